// Whether a node came back with less than it had: from a restored image of its data directory, or
// on a disk that lost what it had reported as durable. docs/recovery.md, "Restored images", says
// what follows and what cannot be found out.
//
// Pure. The same rule serves both sides: a node judges itself by what a peer remembers of it, and a
// peer what a node says of itself by the mark that it holds.
#ifndef VARVE_STORAGE_RESTORED_IMAGE_H_
#define VARVE_STORAGE_RESTORED_IMAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/peer_marks.h"

namespace varve::storage {

// What a node says of its own directory.
struct NodeMarks {
  PeerMark now;
  // What its start recovered from: process epoch 0 when the directory was empty; nullopt when the
  // node did not say.
  std::optional<PeerMark> recovered;
  // Marks of lives up to this process epoch have been acted on: all that was here then is suspect
  // already, or gone. 0: none.
  uint64_t settled_epoch = 0;
};

enum class MarkRow : uint8_t {
  kNothingRemembered,
  kOtherNode,
  kOtherDirectory,
  kSettled,
  kThisLife,         // no more than the present life has
  kEarlierLife,      // no more than the present life began from
  kBeyondPresent,    // the present life never was so far
  kEpochUsedTwice,   // another life had the epoch of this one, or of the one before
  kLaterLife,        // of an epoch that is still to come
  kUnknownLife,      // between the life that was recovered and the present one there was none
  kBeyondRecovered,  // sequences never restart, and recovery found less
  kLast = kBeyondRecovered
};
std::string_view NameOf(MarkRow row);

struct MarkFinding {
  MarkRow row = MarkRow::kNothingRemembered;
  std::string why;  // one line; empty unless suspect
  // The node lost what it had: a vote or an acknowledged entry may be among it.
  [[nodiscard]] bool suspect() const { return row >= MarkRow::kBeyondPresent; }
};

// `remembered` is what somebody else saw of the node. `self` must be taken after `remembered` was
// received, or the node may have got further meanwhile.
MarkFinding JudgeMark(const NodeMarks& self, const PeerMark& remembered);
// The reverse: what a peer says of itself, judged by the mark that is held of it. The word of one
// life may be overtaken by a later one of the same, which shows nothing. That of an earlier life
// may be, too: so this is a reason to hold back the peer's messages and to tell it the mark, by
// which the peer itself decides.
MarkFinding JudgePeer(const NodeMarks& said, const PeerMark& held);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_RESTORED_IMAGE_H_
