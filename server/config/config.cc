#include "server/config/config.h"

#include <algorithm>

#include "common/check.h"
#include "common/error.h"

namespace varve::server {
namespace {

std::string Normalised(std::string_view key) {
  std::string out(key);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

}  // namespace

std::vector<GivenValue> ReadEnvironment(const std::map<std::string, std::string>& variables,
                                        std::vector<std::string>* unknown) {
  std::vector<GivenValue> out;
  for (const auto& [name, text] : variables) {
    if (!name.starts_with("VARVE_") || name == "VARVE_CONFIG") continue;
    const auto settings = AllSettings();
    const auto found = std::find_if(settings.begin(), settings.end(), [&](const Setting& setting) {
      return EnvironmentName(setting) == name;
    });
    if (found != settings.end()) {
      out.push_back({&*found, text, name});
      continue;
    }
    std::string key = name.substr(6);
    for (char& c : key) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    unknown->push_back(StrCat("environment variable ", name,
                              " is not a setting and is ignored; the nearest is ",
                              EnvironmentName(NearestSetting(key))));
  }
  return out;
}

absl::StatusOr<GivenValue> ReadFlag(std::string_view argument) {
  const size_t equals = argument.find('=');
  if (!argument.starts_with("--") || equals == std::string_view::npos)
    return MakeError(Reason::CONFIG_FILE_INVALID, "argument \"", argument,
                     "\" is not of the form --key=value");
  const std::string key = Normalised(argument.substr(2, equals - 2));
  const Setting* setting = FindSetting(key);
  if (setting == nullptr)
    return MakeError(Reason::CONFIG_FILE_INVALID, "flag --", key,
                     " is not a setting; the nearest is --", NearestSetting(key).key);
  return GivenValue{setting, std::string(argument.substr(equals + 1)), StrCat("--", key)};
}

absl::StatusOr<Config> Config::Resolve(const std::vector<std::vector<GivenValue>>& lists) {
  Config config;
  for (const Setting& setting : AllSettings()) {
    // The default of a required setting is the empty text, which Parse would refuse.
    SettingValue initial{std::string(setting.initial), 0};
    if (!setting.required) {
      VARVE_ASSIGN_OR_RETURN(initial, ParseSetting(setting, setting.initial));
    }
    config.entries_.push_back({&setting, std::move(initial), "default"});
  }
  for (const std::vector<GivenValue>& list : lists) {
    for (const GivenValue& given : list) {
      absl::StatusOr<SettingValue> value = ParseSetting(*given.setting, given.text);
      if (!value.ok()) return AddContext(value.status(), given.source);
      Entry& entry = config.entries_[static_cast<size_t>(given.setting - AllSettings().data())];
      entry.value = std::move(*value);
      entry.source = given.source;
    }
  }
  return config;
}

absl::Status Config::Check() const {
  for (const Entry& entry : entries_)
    if (entry.setting->required && entry.value.text.empty())
      return MakeError(Reason::CONFIG_FILE_INVALID, entry.setting->key, " is not set: give --",
                       entry.setting->key, "=..., ", EnvironmentName(*entry.setting), " or \"",
                       entry.setting->key, ": ...\" in the configuration file");
  return CheckAddresses();
}

absl::Status Config::CheckAddresses() const {
  if (Flag("security.allow_anonymous")) return absl::OkStatus();
  for (const Entry& entry : entries_) {
    if (entry.setting->type != SettingType::kAddress || entry.value.text.empty()) continue;
    if (IsLoopback(Address(entry.setting->key).host)) continue;
    return MakeError(
        Reason::CONFIG_FILE_INVALID, entry.source, ": ", entry.setting->key, " is ",
        entry.value.text,
        ", which other machines can reach, and this version authenticates nobody; bind to "
        "127.0.0.1, "
        "or accept that whoever reaches the port may read, write and delete everything by adding "
        "the line \"security.allow_anonymous: true\" to the configuration file");
  }
  return absl::OkStatus();
}

const Config::Entry& Config::Find(std::string_view key) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.setting->key == key; });
  VARVE_CHECK(found != entries_.end(), "no setting ", key);
  return *found;
}

const std::string& Config::Text(std::string_view key) const { return Find(key).value.text; }
int64_t Config::Number(std::string_view key) const { return Find(key).value.number; }

HostPort Config::Address(std::string_view key) const {
  absl::StatusOr<HostPort> address = ParseHostPort(Text(key));
  VARVE_CHECK(address.ok(), key, " was checked when it was read");
  return *std::move(address);
}

}  // namespace varve::server
