#include "storage/segment_names.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>

namespace varve::storage {
namespace {

std::string FileStem(Offset base_offset, FileNumber file) {
  char out[64];
  std::snprintf(out, sizeof out, "%020" PRId64 "-%020" PRIu64, base_offset.value(), file.value());
  return out;
}

template <class Int>
bool ParseDigits(std::string_view text, int base, Int* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out, base);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string GroupDirectoryName(GroupId group) {
  char out[32];
  std::snprintf(out, sizeof out, "%016" PRIx64, group.value());
  return out;
}

std::optional<GroupId> ParseGroupDirectoryName(std::string_view name) {
  uint64_t value = 0;
  if (name.size() != 16 || !ParseDigits(name, 16, &value)) return std::nullopt;
  if (GroupDirectoryName(GroupId(value)) != name) return std::nullopt;
  return GroupId(value);
}

std::string SegmentFileName(Offset base_offset, FileNumber file) {
  return FileStem(base_offset, file) + ".log";
}
std::string IndexFileName(Offset base_offset, FileNumber file) {
  return FileStem(base_offset, file) + ".idx";
}

std::optional<GroupFileName> ParseGroupFileName(std::string_view name) {
  if (name.size() != 45 || name[20] != '-') return std::nullopt;
  const std::string_view extension = name.substr(41);
  if (extension != ".log" && extension != ".idx") return std::nullopt;
  int64_t base = 0;
  uint64_t file = 0;
  if (!ParseDigits(name.substr(0, 20), 10, &base) || !ParseDigits(name.substr(21, 20), 10, &file) ||
      base < 0)
    return std::nullopt;
  // A sign where a digit belongs ("-00...") is read as a number but is nobody's name.
  if (FileStem(Offset(base), FileNumber(file)) != name.substr(0, 41)) return std::nullopt;
  return GroupFileName{Offset(base), FileNumber(file),
                       extension == ".log" ? GroupFileKind::kSegment : GroupFileKind::kIndex};
}

std::string StateFileName(const SavedState& state) {
  char out[64];
  std::snprintf(out, sizeof out, "%020" PRIu64 "-%020" PRIu64 ".state", state.index.value(),
                state.term.value());
  return out;
}

std::optional<SavedState> ParseStateFileName(std::string_view name) {
  if (name.size() != 47 || name[20] != '-' || !name.ends_with(".state")) return std::nullopt;
  uint64_t index = 0;
  uint64_t term = 0;
  if (!ParseDigits(name.substr(0, 20), 10, &index) || !ParseDigits(name.substr(21, 20), 10, &term))
    return std::nullopt;
  const SavedState state{Index(index), Term(term)};
  if (index == 0 || StateFileName(state) != name) return std::nullopt;
  return state;
}

}  // namespace varve::storage
