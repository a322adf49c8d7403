// PeerMarks: the highest mark that this node saw of each other one, by which a node that came back
// from a restored image is found out (storage/restored_image.h; docs/recovery.md, "Restored
// images").
#ifndef VARVE_STORAGE_PEER_MARKS_H_
#define VARVE_STORAGE_PEER_MARKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/types.h"

namespace varve::storage {

// How far the journal of a node's data directory was known to be durable, in one life of its
// process.
struct PeerMark {
  NodeId node;
  DirectoryId directory;  // marks of different directories say nothing of each other
  uint64_t process_epoch = 0;
  // Drawn at random at each start: two lives that an image gave one epoch differ in it. 0: unknown.
  uint64_t incarnation = 0;
  // Last durable commit with frames of replicas; at the start, the last that recovery found.
  CommitSequence durable;
  bool operator==(const PeerMark&) const = default;
  // Names a node, a directory and an epoch.
  [[nodiscard]] bool complete() const {
    return node != NodeId{} && !directory.empty() && process_epoch != 0;
  }
};

// By node, and of one node in the order in which its directories were first seen. A mark never
// falls: by process epoch, then by sequence. Bounded: of one node the directories seen first go
// when there are too many, and nodes beyond the bound are not noted. A value; not thread-safe.
class PeerMarks {
 public:
  static constexpr size_t kMaxMarks = 1024;
  static constexpr size_t kMaxPerNode = 4;

  // Whether that changed what is known. Of two lives with one epoch the one seen first stays.
  // Incomplete marks are ignored.
  bool Note(const PeerMark& mark);
  [[nodiscard]] const PeerMark* Find(NodeId node, const DirectoryId& directory) const;
  [[nodiscard]] const std::vector<PeerMark>& marks() const { return marks_; }

 private:
  std::vector<PeerMark> marks_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_PEER_MARKS_H_
