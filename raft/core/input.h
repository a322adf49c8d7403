// Inputs of the Raft core: everything that can happen to a replica. docs/raft.md, "Inputs".
#ifndef VARVE_RAFT_CORE_INPUT_H_
#define VARVE_RAFT_CORE_INPUT_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "common/entry.h"
#include "common/types.h"

namespace varve::raft {

// Number of a disk operation of one core; grows by one from 1.
using DiskSequence = StrongInt<struct DiskSequenceTag, uint64_t>;
// The owner's name for a proposal; each is used once.
using ProposalId = StrongInt<struct ProposalIdTag, uint64_t>;

// Time passes: `n` ticks of the owner's tick length.
struct Tick {
  uint32_t n = 1;
};

// Asks to append one entry. Refused unless the replica leads in `expected_term` (when that is set).
// The core gives index, term, base offset and append time, and seals the frame.
struct Propose {
  ProposalId id;
  EntryKind kind = EntryKind::kData;
  FrameBuffer payload;
  uint32_t records = 0;  // width in offsets; 0 for zero-width kinds
  std::optional<Term> expected_term;
  WallTime now;  // leader's clock; the append time is the larger of this and the previous entry's
};

// The log finished the operation `sequence`, which was issued in `term`.
struct DiskDone {
  DiskSequence sequence;
  Term term;
};

// The disk failed for good: no vote, no acknowledgement, no leadership until a restart.
struct DiskFailed {};

// The owner goes away: what is pending is answered, and nothing is done any more.
struct Stop {};

using Input = std::variant<Tick, Propose, DiskDone, DiskFailed, Stop>;

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_INPUT_H_
