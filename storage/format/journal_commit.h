// Bytes around the frames of one commit. docs/formats.md, "Commit".
#ifndef VARVE_STORAGE_FORMAT_JOURNAL_COMMIT_H_
#define VARVE_STORAGE_FORMAT_JOURNAL_COMMIT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/bytes.h"
#include "storage/replica_state.h"

namespace varve::storage {

// Fixed part of the header, without the lists.
inline constexpr size_t kCommitFixedBytes = 56;
// Fixed part of the trailer: the last bytes of the commit's last block.
inline constexpr size_t kCommitTailBytes = 32;

struct GroupFrame {
  GroupId group;
  FrameSequence last;
  bool operator==(const GroupFrame&) const = default;
};

struct CommitHeader {
  Generation generation;
  CommitSequence sequence;
  CommitSequence durable_through;
  uint32_t header_bytes = 0;  // lists included
  uint32_t bytes = 0;         // of the whole commit
  uint32_t frames = 0;
  uint32_t groups = 0;
  uint32_t preceding_groups = 0;
};

struct CommitTail {
  Generation generation;
  CommitSequence sequence;
  uint32_t groups = 0;
};

// Bytes of a commit of that many groups and frame bytes, padding included.
size_t CommitBytes(size_t groups, size_t preceding_groups, size_t frame_bytes);

// Fills in the derived fields of `header` (lengths and counts of lists) and returns header and
// lists.
std::string EncodeCommitHeader(CommitHeader* header, const std::vector<GroupFrame>& groups,
                               const std::vector<GroupFrame>& preceding, size_t frame_bytes);
// What follows the frames: zeros and the trailer, so that the commit has header.bytes.
std::string EncodeCommitEnd(const CommitHeader& header, const std::vector<GroupFrame>& groups,
                            size_t frame_bytes);

// The fixed part of a header at the beginning of `bytes`, of a file of `generation`; DATA_LOSS when
// there is none. Lengths are consistent with each other, but may exceed `bytes`.
absl::StatusOr<CommitHeader> DecodeCommitHeader(std::string_view bytes, Generation generation);
// The fixed part of a trailer at the end of `block`.
absl::StatusOr<CommitTail> DecodeCommitTail(std::string_view block, Generation generation);
// The generation that a commit header claims, when its checksum agrees: finds what a file whose own
// header is lost held.
bool IsCommitOfAnyGeneration(std::string_view bytes, Generation* generation);

// Of a commit that may be damaged elsewhere: the list in its header, the list of the preceding
// commit (both under one checksum), and the list in its trailer, which `bytes` ends with. nullopt
// when the checksum disagrees or `bytes` are too short.
struct CommitLists {
  std::vector<GroupFrame> groups;
  std::vector<GroupFrame> preceding;
};
std::optional<CommitLists> ReadHeaderLists(std::string_view bytes, const CommitHeader& header);
std::optional<std::vector<GroupFrame>> ReadTrailerList(std::string_view bytes,
                                                       const CommitTail& tail);

struct JournalCommit {
  CommitHeader header;
  std::vector<GroupFrame> groups;
  std::vector<GroupFrame> preceding;
  std::vector<JournalFrame> frames;  // entries share the commit's buffer
};

// All checksums of the commit `bytes` (exactly header.bytes long). DATA_LOSS means that these are
// not the bytes that were written.
absl::Status VerifyCommit(std::string_view bytes, const CommitHeader& header);
// The contents of a verified commit. DATA_LOSS then means that the writer was another version or
// wrong.
absl::StatusOr<JournalCommit> DecodeCommit(const SharedBytes& bytes, const CommitHeader& header);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FORMAT_JOURNAL_COMMIT_H_
