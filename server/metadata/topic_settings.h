// Topic settings by name: what there is, what values mean, what a topic's effective settings are.
#ifndef VARVE_SERVER_METADATA_TOPIC_SETTINGS_H_
#define VARVE_SERVER_METADATA_TOPIC_SETTINGS_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "server/service/messages.h"

namespace varve::server {

// "No limit", where a setting allows it.
inline constexpr int64_t kUnlimited = -1;

// One setting. Values are integers in decimal; docs/operations.md, "Topic settings", has this
// table.
struct TopicSettingRow {
  std::string_view name;
  int64_t default_value;
  int64_t least, most;
  bool may_be_unlimited;
};
// In order of name.
std::span<const TopicSettingRow> TopicSettingRows();

// INVALID_CONFIG names setting, value and range. `config` is unchanged then.
absl::Status SetTopicSetting(std::string_view name, std::string_view value, TopicConfig* config);
// Back to the default.
absl::Status UnsetTopicSetting(std::string_view name, TopicConfig* config);
// Every setting that somebody set is within its range.
absl::Status CheckTopicConfig(const TopicConfig& config);
// The value that acts, default or not.
int64_t EffectiveSetting(std::string_view name, const TopicConfig& config);
std::vector<TopicSetting> DescribeTopicConfig(const TopicConfig& config);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_TOPIC_SETTINGS_H_
