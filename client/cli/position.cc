#include "client/cli/position.h"

#include <algorithm>
#include <string>

#include "client/cli/cli_error.h"
#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

constexpr uint64_t kMaxOffset = INT64_MAX;

Status NoPosition(std::string_view text) {
  return UsageError(
      "\"" + std::string(text) + "\" is not a position",
      "Write start, end, an offset, -N (the last N of each partition), @2h (since two "
      "hours ago) or a time such as 2024-05-01T12:00:00Z.");
}

bool AllDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

Result<FromPosition> Absolute(StartPosition position) {
  return FromPosition{.kind = FromPosition::Kind::kAbsolute, .position = position};
}

// "2h" or milliseconds since the epoch.
Result<FromPosition> ParseAt(std::string_view text, std::string_view whole, int64_t now_ms) {
  if (AllDigits(text) && text != "0") {
    const Result<uint64_t> ms = ParseCount(text);
    if (!ms.ok() || *ms > kMaxOffset) return NoPosition(whole);
    return Absolute(StartPosition::Time(static_cast<int64_t>(*ms)));
  }
  const Result<std::chrono::nanoseconds> ago = ParseDuration(text);
  if (!ago.ok()) return NoPosition(whole);
  const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(*ago).count();
  return Absolute(StartPosition::Time(std::max<int64_t>(0, now_ms - ms)));
}

}  // namespace

Result<FromPosition> ParsePosition(std::string_view text, int64_t now_ms) {
  if (text == "start") return Absolute(StartPosition::Start());
  if (text == "end") return Absolute(StartPosition::End());
  if (text.starts_with('@')) return ParseAt(text.substr(1), text, now_ms);
  const bool before_end = text.starts_with('-');
  if (AllDigits(before_end ? text.substr(1) : text)) {
    const Result<uint64_t> number = ParseCount(before_end ? text.substr(1) : text);
    if (!number.ok() || *number > kMaxOffset) return NoPosition(text);
    const auto value = static_cast<int64_t>(*number);
    if (!before_end) return Absolute(StartPosition::Offset(value));
    return FromPosition{
        .kind = FromPosition::Kind::kBeforeEnd, .position = {}, .records_before_end = value};
  }
  const Result<int64_t> time = ParseTime(text);
  if (!time.ok() || *time < 0) return NoPosition(text);
  return Absolute(StartPosition::Time(*time));
}

Result<std::vector<Assignment>> ResolvePositions(Admin& admin, std::string_view topic,
                                                 const std::vector<uint32_t>& partitions,
                                                 const FromPosition& from) {
  std::vector<Assignment> assignments;
  for (uint32_t partition : partitions)
    assignments.push_back({{std::string(topic), partition}, from.position});
  if (from.kind == FromPosition::Kind::kAbsolute) return assignments;

  std::vector<OffsetQuery> queries;
  for (const Assignment& a : assignments) queries.push_back({a.partition, StartPosition::Start()});
  for (const Assignment& a : assignments) queries.push_back({a.partition, StartPosition::End()});
  const Result<std::vector<OffsetAnswer>> answers = admin.ListOffsets(queries);
  if (!answers.ok()) return answers.status();
  for (size_t i = 0; i < assignments.size(); ++i) {
    const OffsetAnswer& start = (*answers)[i];
    const OffsetAnswer& end = (*answers)[i + assignments.size()];
    if (!start.status.ok()) return start.status;
    if (!end.status.ok()) return end.status;
    assignments[i].from =
        StartPosition::Offset(std::max(start.offset, end.offset - from.records_before_end));
  }
  return assignments;
}

}  // namespace varve::cli
