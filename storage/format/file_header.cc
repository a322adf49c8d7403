#include "storage/format/file_header.h"

#include <cstring>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c.h"
#include "common/error.h"

namespace varve::storage {
namespace {

constexpr size_t kMagicBytes = 8;
constexpr size_t kVersionAt = 8;
constexpr size_t kHeaderBytesAt = 12;
constexpr size_t kRequiredAt = 16;
constexpr size_t kOptionalAt = 24;
constexpr size_t kClusterAt = 32;
constexpr size_t kDirectoryAt = 48;
constexpr size_t kFileAt = 64;
constexpr size_t kGroupAt = 72;
constexpr size_t kBaseOffsetAt = 80;
constexpr size_t kFirstIndexAt = 88;
constexpr size_t kGenerationAt = 96;
constexpr size_t kFirstCommitAt = 104;
constexpr size_t kNodeAt = 112;
constexpr size_t kKeyAt = 120;
constexpr size_t kCrcAt = kFileHeaderBytes - sizeof(uint32_t);

std::string_view MagicOf(FileKind kind) {
  switch (kind) {
    case FileKind::kIdentity:
      return "VARVEIDN";
    case FileKind::kJournal:
      return "VARVEJNL";
    case FileKind::kSegment:
      return "VARVESEG";
    case FileKind::kIndex:
      return "VARVEIDX";
    case FileKind::kDerivedState:
      return "VARVESTA";
  }
  VARVE_CHECK(false, "file kind ", static_cast<int>(kind));
}

template <class Id>
Id LoadId(const char* at) {
  Id id;
  std::memcpy(id.bytes.data(), at, id.bytes.size());
  return id;
}

FileHeader LoadHeader(const char* at, FileKind kind) {
  FileHeader header;
  header.kind = kind;
  header.required_features = LoadLittle<uint64_t>(at + kRequiredAt);
  header.optional_features = LoadLittle<uint64_t>(at + kOptionalAt);
  header.identity.cluster = LoadId<ClusterId>(at + kClusterAt);
  header.identity.directory = LoadId<DirectoryId>(at + kDirectoryAt);
  header.identity.node = NodeId{LoadLittle<uint32_t>(at + kNodeAt)};
  header.file = FileNumber{LoadLittle<uint64_t>(at + kFileAt)};
  header.group = GroupId{LoadLittle<uint64_t>(at + kGroupAt)};
  header.base_offset = Offset{LoadLittle<int64_t>(at + kBaseOffsetAt)};
  header.first_index = Index{LoadLittle<uint64_t>(at + kFirstIndexAt)};
  header.generation = Generation{LoadLittle<uint64_t>(at + kGenerationAt)};
  header.first_commit_position = LoadLittle<uint64_t>(at + kFirstCommitAt);
  std::memcpy(header.key_id.data(), at + kKeyAt, header.key_id.size());
  return header;
}

}  // namespace

std::string_view NameOf(FileKind kind) {
  switch (kind) {
    case FileKind::kIdentity:
      return "identity";
    case FileKind::kJournal:
      return "journal";
    case FileKind::kSegment:
      return "segment";
    case FileKind::kIndex:
      return "index";
    case FileKind::kDerivedState:
      return "derived state";
  }
  return "unknown";
}

std::string EncodeFileHeader(const FileHeader& header) {
  std::string block(kFileHeaderBytes, '\0');
  char* at = block.data();
  std::memcpy(at, MagicOf(header.kind).data(), kMagicBytes);
  StoreLittle(at + kVersionAt, kFormatVersion);
  StoreLittle(at + kHeaderBytesAt, static_cast<uint32_t>(kFileHeaderBytes));
  StoreLittle(at + kRequiredAt, header.required_features);
  StoreLittle(at + kOptionalAt, header.optional_features);
  std::memcpy(at + kClusterAt, header.identity.cluster.bytes.data(), 16);
  std::memcpy(at + kDirectoryAt, header.identity.directory.bytes.data(), 16);
  StoreLittle(at + kFileAt, header.file.value());
  StoreLittle(at + kGroupAt, header.group.value());
  StoreLittle(at + kBaseOffsetAt, header.base_offset.value());
  StoreLittle(at + kFirstIndexAt, header.first_index.value());
  StoreLittle(at + kGenerationAt, header.generation.value());
  StoreLittle(at + kFirstCommitAt, header.first_commit_position);
  StoreLittle(at + kNodeAt, header.identity.node.value());
  std::memcpy(at + kKeyAt, header.key_id.data(), header.key_id.size());
  StoreLittle(at + kCrcAt, Crc32c(std::string_view(block).substr(0, kCrcAt)));
  return block;
}

absl::StatusOr<FileHeader> DecodeFileHeader(std::string_view block, FileKind kind) {
  if (block.size() < kFileHeaderBytes) {
    return MakeError(Reason::DATA_LOSS, NameOf(kind), " file header: ", block.size(),
                     " bytes where ", kFileHeaderBytes, " belong");
  }
  if (block.substr(0, kMagicBytes) != MagicOf(kind)) {
    return MakeError(Reason::DATA_LOSS, "file header: this is no ", NameOf(kind), " file of varve");
  }
  // The checksum comes first: its place is the same in every version, and a flipped bit must not
  // pass for a newer format.
  if (LoadLittle<uint32_t>(block.data() + kCrcAt) != Crc32c(block.substr(0, kCrcAt))) {
    return MakeError(Reason::DATA_LOSS, NameOf(kind), " file header: checksum differs");
  }
  const auto version = LoadLittle<uint16_t>(block.data() + kVersionAt);
  const FileHeader header = LoadHeader(block.data(), kind);
  const uint64_t unknown = header.required_features & ~kKnownRequiredFeatures;
  if (version > kFormatVersion || unknown != 0) {
    return MakeError(Reason::NEWER_FORMAT, NameOf(kind), " file of format version ", version,
                     " with unknown required features ", unknown, "; this varve knows version ",
                     kFormatVersion);
  }
  const auto header_bytes = LoadLittle<uint32_t>(block.data() + kHeaderBytesAt);
  if (version != kFormatVersion || header_bytes != kFileHeaderBytes) {
    return MakeError(Reason::DATA_LOSS, NameOf(kind), " file header: version ", version, " with ",
                     header_bytes, " header bytes does not exist");
  }
  return header;
}

absl::Status CheckBelongs(const FileHeader& header, const DirectoryIdentity& identity) {
  const DirectoryIdentity& found = header.identity;
  if (found == identity) return absl::OkStatus();
  if (found.cluster != identity.cluster) {
    return MakeError(Reason::FOREIGN_DIRECTORY, NameOf(header.kind), " file belongs to cluster ",
                     found.cluster.ToString(), ", not to ", identity.cluster.ToString());
  }
  if (found.node != identity.node) {
    return MakeError(Reason::FOREIGN_DIRECTORY, NameOf(header.kind), " file belongs to node ",
                     found.node, ", not to node ", identity.node);
  }
  return MakeError(Reason::FOREIGN_DIRECTORY, NameOf(header.kind), " file belongs to directory ",
                   found.directory.ToString(), ", not to ", identity.directory.ToString());
}

}  // namespace varve::storage
