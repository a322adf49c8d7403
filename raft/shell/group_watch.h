// GroupWatch: counts what one group does, from its inputs, effects and messages.
#ifndef VARVE_RAFT_SHELL_GROUP_WATCH_H_
#define VARVE_RAFT_SHELL_GROUP_WATCH_H_

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "raft/core/core.h"
#include "raft/shell/group_metrics.h"

namespace varve::raft {

// Confined to the group's shard. It changes nothing: the core and its effects are only looked at.
// Without metrics it does nothing. A batch costs it two readings of the clock for each follower, at
// most, and no allocation once its queues have grown.
class GroupWatch {
 public:
  // All must outlive the watch; `metrics` may be null.
  GroupWatch(const Core& core, const Clock& clock, GroupMetrics* metrics)
      : core_(core), clock_(clock), metrics_(metrics) {}

  // Before the core takes it.
  void OnInput(const Input& input);
  // What the core's last steps brought about, before it is delivered.
  void OnEffects(const Effects& effects);
  // A message of a process that was lost.
  void OnDeafMessage();

 private:
  struct Sent {
    Index last;
    MonoTime at;
  };
  void OnReply(const Message& message, const AppendReply& reply);
  void OnRoleChange(const RoleChange& change);
  void NoteAppends(const std::vector<Message>& messages);
  void CountResult(const ProposalResult& result);
  [[nodiscard]] StepDown WhySteppedDown(const RoleChange& change) const;

  const Core& core_;
  const Clock& clock_;
  GroupMetrics* const metrics_;
  Role role_ = Role::kFollower;
  Term term_;              // of the last role change
  ReplicaId last_leader_;  // that was known
  bool disk_slow_ = false, disk_lost_ = false;
  std::optional<Term> handing_over_;  // asked to transfer in this term
  // Appends under way, by follower; few, so that a list serves. Of a leadership.
  std::vector<std::pair<ReplicaId, std::deque<Sent>>> under_way_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_GROUP_WATCH_H_
