// The YAML side of Config. yaml-cpp throws; nothing leaves this file.
#include <set>

#include <yaml-cpp/yaml.h>

#include "common/error.h"
#include "server/config/config.h"

namespace varve::server {
namespace {

// The table has two levels; deeper files are mistakes, whatever they mean.
constexpr int kMaxDepth = 4;

class FileReader {
 public:
  explicit FileReader(const std::string& name) : name_(name) {}

  absl::Status Read(const YAML::Node& map, const std::string& prefix, int depth) {
    for (const auto& pair : map) {
      if (!pair.first.IsScalar()) return Refuse(pair.first, "a key must be a plain word");
      const std::string key = prefix + pair.first.Scalar();
      if (pair.second.IsMap() && depth < kMaxDepth && FindSetting(key) == nullptr) {
        VARVE_RETURN_IF_ERROR(Read(pair.second, key + ".", depth + 1));
        continue;
      }
      VARVE_RETURN_IF_ERROR(Take(key, pair.first, pair.second));
    }
    return absl::OkStatus();
  }
  std::vector<GivenValue> values;

 private:
  absl::Status Take(const std::string& key, const YAML::Node& at, const YAML::Node& value) {
    const Setting* setting = FindSetting(key);
    if (setting == nullptr)
      return Refuse(at, StrCat("unknown key \"", key.substr(0, 100), "\"; the nearest is \"",
                               NearestSetting(key).key, "\""));
    if (!seen_.insert(key).second) return Refuse(at, StrCat("key \"", key, "\" is given twice"));
    if (!value.IsScalar())
      return Refuse(at,
                    StrCat("key \"", key, "\" has ", value.IsNull() ? "no value" : "no plain value",
                           ", allowed is ", DescribeAllowed(*setting)));
    values.push_back({setting, value.Scalar(), Place(at)});
    return absl::OkStatus();
  }
  [[nodiscard]] std::string Place(const YAML::Node& at) const {
    return StrCat(name_, ":", at.Mark().line + 1);
  }
  [[nodiscard]] absl::Status Refuse(const YAML::Node& at, const std::string& what) const {
    return MakeError(Reason::CONFIG_FILE_INVALID, Place(at), ": ", what);
  }

  const std::string& name_;
  std::set<std::string> seen_;
};

}  // namespace

absl::StatusOr<std::vector<GivenValue>> ReadConfigFile(const std::string& name,
                                                       const std::string& text) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1)
      return MakeError(Reason::CONFIG_FILE_INVALID, name, ": holds ", documents.size(),
                       " YAML documents, allowed is one");
    FileReader reader(name);
    if (documents.empty() || documents[0].IsNull()) return reader.values;
    if (!documents[0].IsMap())
      return MakeError(Reason::CONFIG_FILE_INVALID, name, ":", documents[0].Mark().line + 1,
                       ": expected lines of the form \"key: value\"");
    VARVE_RETURN_IF_ERROR(reader.Read(documents[0], "", 1));
    return std::move(reader.values);
  } catch (const YAML::Exception& e) {
    return MakeError(Reason::CONFIG_FILE_INVALID, name, ":", e.mark.line + 1,
                     ": not valid YAML: ", e.msg);
  }
}

}  // namespace varve::server
