// The first block of every file of a data directory: what the file is and to whom it belongs.
// docs/formats.md, "File header".
#ifndef VARVE_STORAGE_FORMAT_FILE_HEADER_H_
#define VARVE_STORAGE_FORMAT_FILE_HEADER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"
#include "storage/journal.h"

namespace varve::storage {

inline constexpr size_t kFileHeaderBytes = 4096;
inline constexpr uint16_t kFormatVersion = 1;
// Feature bits that this version knows; a file that requires others is refused with NEWER_FORMAT.
inline constexpr uint64_t kKnownRequiredFeatures = 0;

enum class FileKind { kIdentity, kJournal, kSegment, kIndex, kDerivedState };
// "journal", "segment", ...
std::string_view NameOf(FileKind kind);

// Fields that do not apply to the kind stay zero.
struct FileHeader {
  FileKind kind = FileKind::kIdentity;
  uint64_t required_features = 0;
  uint64_t optional_features = 0;
  DirectoryIdentity identity;
  FileNumber file;
  GroupId group;
  Offset base_offset;
  Index first_index;
  Generation generation;
  uint64_t first_commit_position = 0;
  std::array<uint8_t, 16> key_id{};
  bool operator==(const FileHeader&) const = default;
};

// Exactly kFileHeaderBytes.
std::string EncodeFileHeader(const FileHeader& header);

// Reads the block that a file of `kind` begins with (`block` may be longer). Hostile input is fine.
// DATA_LOSS: too short, not a file of that kind, or the checksum differs. NEWER_FORMAT: intact, but
// of a newer version or with a required feature that this version does not know.
absl::StatusOr<FileHeader> DecodeFileHeader(std::string_view block, FileKind kind);

// FOREIGN_DIRECTORY, naming what differs, unless the file belongs to `identity`.
absl::Status CheckBelongs(const FileHeader& header, const DirectoryIdentity& identity);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_FILE_HEADER_H_
