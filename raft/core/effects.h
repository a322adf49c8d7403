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

namespace varve::raft {

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

struct DiskOperation {
  DiskSequence sequence;
  Term term;  // of the replica when issued
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
// Not tried, and never will be:
// NOT_LEADER           another replica leads, or this one in another term than expected
// LEADER_UNKNOWN       nobody is known to lead
// OVERLOADED           too many uncommitted bytes; for a configuration also: leadership is not
// confirmed,
//                      or the configuration before it is not committed
// DISK_FAILED          the disk of this replica failed
// SHUTTING_DOWN        the owner stopped the replica
// BATCH_TOO_LARGE      the payload is larger than an entry may be
// INVALID_REQUEST      kind, payload and width contradict each other
// UNSUPPORTED_FEATURE  the configuration does not leave this replica as the only voter
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

struct Effects {
  std::vector<DiskOperation> disk;
  std::vector<ProposalResult> results;
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
