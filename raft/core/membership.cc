// Membership: which configuration may follow which, and what a leader does when one is committed.
// A configuration acts when it is appended and reverts when it is truncated (log_view.h).
#include <algorithm>
#include <set>

#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {
namespace {

bool IsIn(const std::vector<ReplicaId>& replicas, ReplicaId replica) {
  return std::any_of(replicas.begin(), replicas.end(), [&](ReplicaId member) {
    return member == replica ||
           (Planted(Defect::kReplicaEpochIgnored) && member.node == replica.node);
  });
}

bool IsVoterOf(const Configuration& configuration, ReplicaId replica) {
  return IsIn(configuration.voters, replica) || IsIn(configuration.outgoing, replica);
}

void AddMembers(const Configuration& configuration, std::set<ReplicaId>* members) {
  for (const auto* list : {&configuration.voters, &configuration.outgoing, &configuration.learners,
                           &configuration.learners_next}) {
    members->insert(list->begin(), list->end());
  }
}

}  // namespace

bool Core::IsVoter(ReplicaId replica) const { return IsVoterOf(log_.configuration(), replica); }

// Who is removed by a configuration that is not committed may be the only one whose log is new
// enough to lead until it is (Ongaro's thesis, 4.2.2). Its own vote does not count then.
bool Core::MayBeNeededToLead() const {
  const Configurations& known = log_.configurations();
  if (Planted(Defect::kNonVoterCampaigns)) return true;
  return IsVoter(options_.self) || (!Planted(Defect::kRemovedNeverCampaigns) && known.uncommitted &&
                                    IsVoterOf(known.committed.configuration, options_.self));
}

// One change at a time, and none before an entry of this term is committed: else two leaders could
// count majorities that do not overlap (Ongaro's correction of single-server changes, 2015). A
// learner is promoted when it has all that is committed, or it would stop the group until it has.
std::optional<Reason> Core::WhyNotNow(const Configuration& next) const {
  const Configuration& now = log_.configuration();
  const bool early = !leadership_->confirmed || log_.configurations().uncommitted;
  if (early && !Planted(Defect::kSecondConfiguration)) return Reason::OVERLOADED;
  if (next == now || !FollowsInOneStep(now, next)) return Reason::INVALID_REQUEST;
  for (const ReplicaId& voter : next.voters) {
    if (!IsIn(now.learners, voter)) continue;
    const auto learner = leadership_->followers.find(voter);
    if (learner == leadership_->followers.end() || learner->second.match < commit_index()) {
      return Reason::OVERLOADED;
    }
  }
  return std::nullopt;
}

// Who is a member, or was until the change that is not committed yet: those have to learn of it.
void Core::RefreshFollowers(Index next_of_new_ones) {
  std::set<ReplicaId> members;
  AddMembers(log_.configuration(), &members);
  AddMembers(log_.configurations().committed.configuration, &members);
  members.erase(options_.self);
  auto& followers = leadership_->followers;
  std::erase_if(followers, [&](const auto& known) { return !members.contains(known.first); });
  for (const ReplicaId& member : members) {
    if (followers.contains(member)) continue;
    Progress progress(Window(options_.window_appends, options_.window_bytes));
    progress.next = next_of_new_ones;
    progress.active = true;
    followers.emplace(member, std::move(progress));
  }
}

// Called also when leadership is confirmed: the configuration may have been committed by another
// leader, which then left it as it was (trap 31).
void Core::OnConfigurationCommitted() {
  if (log_.configurations().uncommitted) return;
  const Configuration& now = log_.configuration();
  if (!Planted(Defect::kRemovedHearsNothing)) SendWhatIsDue();  // who is removed hears of it
  RefreshFollowers(log_.last_index() + 1);
  if (!now.outgoing.empty()) {
    if (now.auto_leave) LeaveJoint();
  } else if (!IsVoter(options_.self) && !Planted(Defect::kRemovedLeaderStays)) {
    ResignAfterRemoval();
  }
}

void Core::LeaveJoint() {
  Configuration next = log_.configuration();
  next.outgoing.clear();
  next.learners.insert(next.learners.end(), next.learners_next.begin(), next.learners_next.end());
  std::sort(next.learners.begin(), next.learners.end());
  next.learners_next.clear();
  next.auto_leave = false;
  AppendOwn(EntryKind::kConfig, FrameBuffer::Copy(EncodeConfiguration(next)), 0,
            log_.end().append_time, std::nullopt);
}

// Leads until its removal is committed, without counting itself, and hands over (Ongaro's thesis,
// 4.2.2), or the group would wait for an election timeout.
void Core::ResignAfterRemoval() {
  SendHeartbeats();
  const auto successor = BestSuccessor();
  if (successor && !Planted(Defect::kNoSuccessorNamed)) Send(*successor, TimeoutNow{});
  BecomeFollower(hard_state_.term, {});
}

}  // namespace varve::raft
