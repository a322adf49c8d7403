// Names of the files and directories of a data directory. docs/formats.md gives them.
#ifndef VARVE_STORAGE_SEGMENT_NAMES_H_
#define VARVE_STORAGE_SEGMENT_NAMES_H_

#include <optional>
#include <string>
#include <string_view>

#include "common/types.h"
#include "storage/partition_log.h"

namespace varve::storage {

std::string GroupDirectoryName(GroupId group);
std::optional<GroupId> ParseGroupDirectoryName(std::string_view name);

std::string SegmentFileName(Offset base_offset, FileNumber file);  // ".log"
std::string IndexFileName(Offset base_offset, FileNumber file);    // ".idx"

enum class GroupFileKind { kSegment, kIndex };
struct GroupFileName {
  Offset base_offset;
  FileNumber file;
  GroupFileKind kind;
};
std::optional<GroupFileName> ParseGroupFileName(std::string_view name);

std::string StateFileName(const SavedState& state);  // ".state"
std::optional<SavedState> ParseStateFileName(std::string_view name);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SEGMENT_NAMES_H_
