// IndexRow: one row of a segment's sparse index. docs/formats.md, "Index file".
#ifndef VARVE_STORAGE_INDEX_ROW_H_
#define VARVE_STORAGE_INDEX_ROW_H_

#include <optional>
#include <string>
#include <string_view>

#include "common/types.h"

namespace varve::storage {

inline constexpr size_t kIndexRowBytes = 48;

// Describes the frame that begins at `position`; the two times are the largest of the log before it
// within its segment.
struct IndexRow {
  Index first_index;
  Offset base_offset;
  uint64_t position = 0;
  WallTime max_append_time;
  WallTime max_record_timestamp{-1};
  bool operator==(const IndexRow&) const = default;
};

void EncodeIndexRow(const IndexRow& row, FileNumber file, std::string* out);
// nullopt unless the row's checksum is that of this file; `bytes` are kIndexRowBytes.
std::optional<IndexRow> DecodeIndexRow(std::string_view bytes, FileNumber file);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_INDEX_ROW_H_
