#include "server/metadata/topic_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"

namespace varve::server {
namespace {

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
constexpr int64_t kTenYearsMs = int64_t{10} * 366 * 24 * 3600 * kSecondMs;

constexpr auto kRows = std::to_array<TopicSettingRow>({
    {"max.batch.bytes", int64_t{limits::kDefaultBatchBytes}, int64_t{limits::kKiB},
     int64_t{limits::kMaxBatchBytes}, false},
    {"retention.bytes", kUnlimited, 1, kLargest, true},
    {"retention.ms", kUnlimited, kSecondMs, kTenYearsMs, true},
    {"segment.bytes", int64_t{limits::kDefaultSegmentBytes}, int64_t{limits::kMinSegmentBytes},
     int64_t{limits::kMaxSegmentBytes}, false},
    {"segment.ms", kUnlimited, kSecondMs, kTenYearsMs, true},
});

std::optional<int64_t> Get(std::string_view name, const TopicConfig& config) {
  const auto positive = [](uint64_t value) -> std::optional<int64_t> {
    if (value == 0) return std::nullopt;
    return static_cast<int64_t>(value);
  };
  if (name == "max.batch.bytes") return positive(config.max_batch_bytes);
  if (name == "segment.bytes") return positive(config.segment_bytes);
  if (name == "segment.ms") return config.segment_ms;
  if (name == "retention.ms") return config.retention_ms;
  return config.retention_bytes;
}

void Put(std::string_view name, std::optional<int64_t> value, TopicConfig* config) {
  if (name == "max.batch.bytes") {
    config->max_batch_bytes = static_cast<uint32_t>(value.value_or(0));
  } else if (name == "segment.bytes") {
    config->segment_bytes = static_cast<uint64_t>(value.value_or(0));
  } else if (name == "segment.ms") {
    config->segment_ms = value;
  } else if (name == "retention.ms") {
    config->retention_ms = value;
  } else {
    config->retention_bytes = value;
  }
}

const TopicSettingRow* FindRow(std::string_view name) {
  const auto at = std::find_if(kRows.begin(), kRows.end(),
                               [&](const TopicSettingRow& row) { return row.name == name; });
  return at == kRows.end() ? nullptr : &*at;
}

absl::Status Unknown(std::string_view name) {
  std::string known;
  for (const TopicSettingRow& row : kRows) known += StrCat(known.empty() ? "" : ", ", row.name);
  return MakeError(Reason::INVALID_CONFIG, "there is no topic setting \"", name, "\"; there are ",
                   known);
}

absl::Status CheckRange(const TopicSettingRow& row, int64_t value) {
  if (value == kUnlimited && row.may_be_unlimited) return absl::OkStatus();
  if (value >= row.least && value <= row.most) return absl::OkStatus();
  return MakeError(Reason::INVALID_CONFIG, row.name, " ", value, " is outside ", row.least, " to ",
                   row.most, row.may_be_unlimited ? ", and not -1 (no limit)" : "");
}

}  // namespace

std::span<const TopicSettingRow> TopicSettingRows() { return kRows; }

absl::Status SetTopicSetting(std::string_view name, std::string_view value, TopicConfig* config) {
  const TopicSettingRow* row = FindRow(name);
  if (row == nullptr) return Unknown(name);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size())
    return MakeError(Reason::INVALID_CONFIG, name, " \"", value, "\" is not an integer");
  VARVE_RETURN_IF_ERROR(CheckRange(*row, number));
  Put(name, number, config);
  return absl::OkStatus();
}

absl::Status UnsetTopicSetting(std::string_view name, TopicConfig* config) {
  if (FindRow(name) == nullptr) return Unknown(name);
  Put(name, std::nullopt, config);
  return absl::OkStatus();
}

absl::Status CheckTopicConfig(const TopicConfig& config) {
  for (const TopicSettingRow& row : kRows) {
    if (const auto value = Get(row.name, config)) {
      VARVE_RETURN_IF_ERROR(CheckRange(row, *value));
    }
  }
  return absl::OkStatus();
}

int64_t EffectiveSetting(std::string_view name, const TopicConfig& config) {
  const TopicSettingRow* row = FindRow(name);
  VARVE_CHECK(row != nullptr, "no topic setting ", name);
  return Get(name, config).value_or(row->default_value);
}

std::vector<TopicSetting> DescribeTopicConfig(const TopicConfig& config) {
  std::vector<TopicSetting> out;
  out.reserve(kRows.size());
  for (const TopicSettingRow& row : kRows) {
    const auto value = Get(row.name, config);
    out.push_back({std::string(row.name), StrCat(value.value_or(row.default_value)), !value});
  }
  return out;
}

}  // namespace varve::server
