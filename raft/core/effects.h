// Effects of the Raft core: what its owner has to do. docs/raft.md, "Effects", says in which order.
#ifndef VARVE_RAFT_CORE_EFFECTS_H_
#define VARVE_RAFT_CORE_EFFECTS_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/error.h"
#include "common/log_state.h"
#include "raft/core/input.h"
#include "raft/core/message.h"

namespace varve::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct DiskOperation {
  DiskSequence sequence;
  Term term;  // of the replica when issued
  LogWrite write;
  // The staged files replace the whole log, before the rest of `write`.
  std::optional<InstallPoint> install;
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
// It is not in the log and never will be: another entry is committed in its place.
struct ProposalLost {};
// Whether it is or will be in the log is not known to this replica.
struct ProposalUnknown {};
// Not tried, and never will be:
// NOT_LEADER           another replica leads, or this one in another term than expected
// LEADER_UNKNOWN       nobody is known to lead
// OVERLOADED           too many uncommitted bytes, or leadership is being handed over; for a
//                      configuration not the bytes, but: leadership is not confirmed, the
//                      configuration before it is not committed, or a learner that is to vote has
//                      not caught up
// NO_SPACE             the disk of this replica is full, and the entry carries data
// DISK_FAILED          the disk of this replica failed
// DATA_LOSS            this replica is suspect
// SHUTTING_DOWN        the owner stopped the replica
// BATCH_TOO_LARGE      the payload is larger than an entry may be
// INVALID_REQUEST      kind, payload and width contradict each other, or the configuration does not
//                      follow the present one in one step
struct ProposalRefused {
  Reason reason = Reason::NOT_LEADER;
};
struct ProposalResult {
  ProposalId id;
  // Each id gets at most one Accepted, and exactly one of the others, as its last.
  std::variant<ProposalAccepted, ProposalCommitted, ProposalLost, ProposalUnknown, ProposalRefused>
      result;
};

struct RoleChange {
  Role role = Role::kFollower;
  Term term;
  ReplicaId leader;  // empty: unknown
};

// The barrier is passed at `index`: who has applied it has seen all that was acknowledged before.
// None: not confirmed; ask the leader.
struct ReadResult {
  ReadId id;
  std::optional<Index> index;
};

// Wants the entries from `from` on, of at most `max_bytes` but at least one, for `peer`.
struct LoadEntries {
  ReplicaId peer;
  Index from;
  size_t max_bytes = 0;
};
// Wants files of the log for `peer` that end at a committed entry, `at_least` or later.
struct PrepareInstall {
  ReplicaId peer;
  Index at_least;
};
// Wants the files up to `point` fetched from `from` and made durable beside the log.
struct StageInstall {
  ReplicaId from;
  InstallPoint point;
};

enum class Refusal : uint8_t {
  kForeign,               // another group or replica than this, or from itself
  kNotContiguous,         // indices, offsets or terms do not continue each other
  kContradictsCommitted,  // would replace what is committed here
  kBadEntry,              // frame or configuration cannot be read
  kSecondLeader,          // of a term that another replica leads
};
// A message that no correct replica sends; it had no effect.
struct RefusedMessage {
  ReplicaId from;
  MessageType type = MessageType::kAppend;
  Refusal why = Refusal::kForeign;
};

struct Effects {
  std::vector<DiskOperation> disk;
  std::vector<Message> messages;
  std::vector<ProposalResult> results;
  std::vector<ReadResult> reads;
  std::vector<LoadEntries> loads;
  std::vector<PrepareInstall> prepare_installs;
  std::optional<StageInstall> stage_install;
  std::vector<RefusedMessage> refused;
  // The commit index moved to here.
  std::optional<Index> committed;
  // The last change, when there were several.
  std::optional<RoleChange> role_change;
  // The leader has committed an entry of its own term: it may serve reads and answer out-of-range.
  bool leadership_confirmed = false;
  [[nodiscard]] bool empty() const;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_EFFECTS_H_
