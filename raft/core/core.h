// Core: the Raft state machine of one replica of one group, without any I/O.
//
// The owner feeds inputs with Step and then takes the effects, in this order: pass Effects::disk to the
// log in order, send Effects::messages, then look at the rest. A disk operation's completion comes back as
// the input DiskDone. Nothing leaves a replica that depends on bytes that are not durable: votes and append
// acknowledgements wait inside the core for the completion (Ongaro's thesis, section 3.8).
//
// Equal inputs give equal effects: the core has no thread, clock, file, socket, lock or global random.
// Not thread-safe; one shard owns it. Present scope: a group of one voter (docs/raft.md).
#ifndef VARVE_RAFT_CORE_CORE_H_
#define VARVE_RAFT_CORE_CORE_H_

#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "common/error.h"
#include "common/log_state.h"

namespace varve::raft {

using DiskSequence = StrongInt<struct DiskSequenceTag, uint64_t>;
using ProposalId = StrongInt<struct ProposalIdTag, uint64_t>;

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

// --- Inputs ---------------------------------------------------------------------------------------

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
  WallTime now;  // leader's clock; the entry's append time is the larger of this and the previous one's
};

// The log finished the operation `sequence`, which was issued in `term`.
struct DiskDone {
  DiskSequence sequence;
  Term term;
};

// The disk failed for good: no vote, no acknowledgement, no leadership until a restart.
struct DiskFailed {};

using Input = std::variant<Tick, Propose, DiskDone, DiskFailed>;

// --- Effects --------------------------------------------------------------------------------------

struct DiskOperation {
  DiskSequence sequence;  // grows by one
  Term term;              // of the replica when issued
  LogWrite write;
};

// A proposal was put into the log (not yet durable).
struct ProposalAccepted {
  Index index;
  Term term;
  Offset base_offset;
  WallTime append_time;
};
// It is committed: every reader sees it at this offset for ever.
struct ProposalCommitted {
  Index index;
  Offset base_offset;
  WallTime append_time;
};
// It will never be in the log.
struct ProposalLost {};
// Whether it is or will be in the log is not known to this replica.
struct ProposalUnknown {};
// Not tried: NOT_LEADER, LEADER_UNKNOWN, OVERLOADED, DISK_FAILED, BATCH_TOO_LARGE.
struct ProposalRefused {
  Reason reason = Reason::NOT_LEADER;
};
struct ProposalResult {
  ProposalId id;
  // Each id gets at most one Accepted, and exactly one of the others, as its last.
  std::variant<ProposalAccepted, ProposalCommitted, ProposalLost, ProposalUnknown, ProposalRefused> result;
};

struct RoleChange {
  Role role = Role::kFollower;
  Term term;
  ReplicaId leader;  // empty: unknown
};

struct Effects {
  std::vector<DiskOperation> disk;
  std::vector<ProposalResult> results;
  // The commit index moved to here.
  std::optional<Index> committed;
  std::optional<RoleChange> role_change;
  // The leader has committed an entry of its own term: it may serve reads and answer out-of-range.
  bool leadership_confirmed = false;
  [[nodiscard]] bool empty() const;
};

// --- Core -----------------------------------------------------------------------------------------

struct CoreOptions {
  GroupId group;
  ReplicaId self;
  // Bytes of proposals that are not yet committed; the first is always accepted.
  size_t max_uncommitted_bytes = 0;
};

// What the log held when the replica started.
struct CoreState {
  HardState hard_state;
  LogStart start;
  LogEnd end;
  Index commit_index;
  Configurations configurations;
};

class Core {
 public:
  Core(CoreOptions options, CoreState state);

  // Takes one input. Never fails: what cannot be done is answered in the effects.
  void Step(Input input);
  // Everything that became due since the last call, in order; the core forgets it.
  [[nodiscard]] Effects TakeEffects();

  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term term() const { return hard_state_.term; }
  [[nodiscard]] ReplicaId vote() const { return hard_state_.vote; }
  [[nodiscard]] ReplicaId leader() const { return leader_; }
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  // Exclusive bound of committed offsets.
  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] Index durable_index() const { return durable_index_; }
  [[nodiscard]] const LogEnd& end() const { return end_; }
  [[nodiscard]] bool leadership_confirmed() const { return confirmed_; }
  [[nodiscard]] const Configurations& configurations() const { return configurations_; }
  // Hash of all state; equal cores have equal fingerprints in every build.
  [[nodiscard]] uint64_t fingerprint() const;

 private:
  Role role_ = Role::kFollower;
  HardState hard_state_;
  ReplicaId leader_;
  Index commit_index_;
  Offset high_watermark_;
  Index durable_index_;
  LogEnd end_;
  bool confirmed_ = false;
  Configurations configurations_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_CORE_H_
