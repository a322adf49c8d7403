// Config: the values of all settings and where each came from.
//
// Precedence: flag, environment, file, default. Nothing here reads the machine: the process passes
// the file's text and the environment in.
#ifndef VARVE_SERVER_CONFIG_CONFIG_H_
#define VARVE_SERVER_CONFIG_CONFIG_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/settings.h"

namespace varve::server {

// A text for a setting and where it stood: "varved.yaml:12", "VARVE_DATA_DIR", "--data_dir".
struct GivenValue {
  const Setting* setting = nullptr;
  std::string text;
  std::string source;
};

// Reads one YAML file: sections nest, or their names are joined by dots ("grpc.address: ...").
// Errors (CONFIG_FILE_INVALID) name file, line and key: syntax, unknown keys (with the nearest
// known one), duplicates, values that are lists or missing. Values are checked by Resolve.
absl::StatusOr<std::vector<GivenValue>> ReadConfigFile(const std::string& name,
                                                       const std::string& text);

// Settings given by VARVE_* variables. Others of that prefix are no errors, since orchestrators set
// some for every service of the name; `unknown` gets a line about each.
std::vector<GivenValue> ReadEnvironment(const std::map<std::string, std::string>& variables,
                                        std::vector<std::string>* unknown);

// "--key=value"; the nearest key is named for an unknown one. '-' in a key counts as '_'.
absl::StatusOr<GivenValue> ReadFlag(std::string_view argument);

class Config {
 public:
  struct Entry {
    const Setting* setting = nullptr;
    SettingValue value;
    std::string source;  // "default" when nobody gave it
  };

  // Later lists win. CONFIG_FILE_INVALID for a value that its setting does not allow, with the
  // source.
  static absl::StatusOr<Config> Resolve(const std::vector<std::vector<GivenValue>>& lists);
  // Whether a broker may run with it. CONFIG_FILE_INVALID for a missing required setting, and for
  // an address beyond loopback without security.allow_anonymous.
  [[nodiscard]] absl::Status Check() const;

  // By key; a key that is not in the table is a defect.
  [[nodiscard]] const std::string& Text(std::string_view key) const;
  [[nodiscard]] int64_t Number(std::string_view key) const;
  [[nodiscard]] bool Flag(std::string_view key) const { return Number(key) != 0; }
  [[nodiscard]] HostPort Address(std::string_view key) const;
  // In the order of the table.
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  [[nodiscard]] const Entry& Find(std::string_view key) const;
  [[nodiscard]] absl::Status CheckAddresses() const;
  std::vector<Entry> entries_;
};

// "key = value  # source" per setting, aligned.
std::string FormatConfig(const Config& config);
// docs/configuration.md.
std::string FormatConfigDocs();
// The settings part of --help.
std::string FormatConfigHelp();

}  // namespace varve::server

#endif  // VARVE_SERVER_CONFIG_CONFIG_H_
