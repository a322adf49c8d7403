// Partition: who its replicas are and which of them leads.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "server/metadata/membership.h"
#include "server/partition/partition.h"

namespace varve::server {
namespace {

// A replica that lacks no more entries than this keeps up with its leader.
constexpr uint64_t kKeepsUpEntries = 100;
// How often a goal that is not reached is looked at: more seldom while nothing comes of it.
constexpr Nanos kFirstMembersWait = 20 * kMillisecond;
constexpr Nanos kLongestMembersWait = 1 * kSecond;

}  // namespace

void Partition::ProposeConfiguration(const Configuration& next) {
  raft_->Propose(FrameBuffer::Copy(EncodeConfiguration(next)), EntryKind::kConfig, 0,
                 leader_epoch());
}

bool Partition::KeepsUp(const raft::Progress& follower) const {
  return follower.state == raft::ProgressState::kReplicate &&
         follower.match + kKeepsUpEntries >= raft_->core().commit_index();
}

std::set<ReplicaId> Partition::ReadyReplicas() const {
  std::set<ReplicaId> ready = {options_.self};
  for (const auto& [id, follower] : raft_->core().followers())
    if (KeepsUp(follower) && view_.IsLive(id.node)) ready.insert(id);
  return ready;
}

void Partition::SetGoal(ReplicaGoal goal) {
  if (goal_ == goal) return;
  goal_ = std::move(goal);
  members_wait_ = 0;
  ReviewMembers();
}

// The group's own log is the fact about its voters, the metadata is the goal (DESIGN section 6).
// The goal may be an old one, where this broker has not folded the newest yet. That costs detours
// only: a replica of an old goal that is not in the newer one is still whole, or its data is gone
// and its epoch with it, and then it never catches up and is never promoted.
void Partition::ReviewMembers() {
  if (!serving() || goal_.replicas.empty()) return;
  const raft::Core& core = raft_->core();
  if (core.configurations().uncommitted) return ArmMembersReview();
  const Configuration& now = core.log().configuration();
  if (AreReplicas(now, goal_.replicas)) {
    members_wait_ = 0;
    if (goal_.report_reached && reports_ != nullptr)
      reports_->Tell({ReplicaReport::Kind::kGoalReached, options_.group, goal_.replicas});
    return;
  }
  if (const auto next = NextReplicas(now, goal_.replicas, ReadyReplicas())) {
    ProposeConfiguration(*next);
    members_wait_ = 0;
  }
  ArmMembersReview();
}

void Partition::ArmMembersReview() {
  if (members_timer_ != TimerId{}) shard_.Cancel(std::exchange(members_timer_, TimerId{}));
  members_wait_ = std::clamp(members_wait_ * 2, kFirstMembersWait, kLongestMembersWait);
  members_timer_ = shard_.RunAt(clock_.Now() + members_wait_, [self = self_] {
    if (*self == nullptr) return;
    (*self)->members_timer_ = TimerId{};
    (*self)->ReviewMembers();
  });
}

// --- Leadership
// -----------------------------------------------------------------------------------

absl::Status Partition::TransferTo(NodeId node) {
  if (!serving()) return WhyNotServing();
  if (node == options_.self.node) return absl::OkStatus();
  const Configuration& now = raft_->core().log().configuration();
  for (const auto& [id, follower] : raft_->core().followers()) {
    const bool votes = std::find(now.voters.begin(), now.voters.end(), id) != now.voters.end();
    if (id.node != node || !votes) continue;
    if (!KeepsUp(follower) || !view_.IsLive(node))
      return MakeError(Reason::OVERLOADED, "the replica of group ", options_.group, " on node ",
                       node, " lags behind and cannot take over at once");
    raft_->Give(raft::Transfer{id});
    return absl::OkStatus();
  }
  return MakeError(Reason::INVALID_REQUEST, "node ", node, " has no voter of group ",
                   options_.group);
}

bool Partition::has_successor() const {
  const raft::Core& core = raft_->core();
  if (stopped_ || core.role() != raft::Role::kLeader) return false;
  const auto& voters = core.log().configuration().voters;
  return std::any_of(voters.begin(), voters.end(), [&](const ReplicaId& voter) {
    const auto follower = core.followers().find(voter);
    return follower != core.followers().end() && view_.IsLive(voter.node) &&
           follower->second.state == raft::ProgressState::kReplicate;
  });
}

absl::Status Partition::WouldLead() const {
  if (absl::Status suspect = log_->suspicion(); !suspect.ok()) return suspect;
  if (draining_ || disk_slow_ || stopped_)
    return MakeError(Reason::OVERLOADED, "the broker ",
                     draining_    ? "drains"
                     : disk_slow_ ? "has a disk that stalls"
                                  : "is stopping");
  return directory_.Admit(storage::SpaceClass::kData);
}

void Partition::SetDiskSlow(bool slow) {
  disk_slow_ = slow;
  raft_->Give(raft::DiskSlow{disk_slow_ || draining_});
}

void Partition::SetDraining(bool draining) {
  draining_ = draining;
  raft_->Give(raft::DiskSlow{disk_slow_ || draining_});
}

void Partition::TellSuspect() {
  if (reports_ != nullptr && options_.group >= kFirstTopicGroup)
    reports_->Tell({ReplicaReport::Kind::kSuspect, options_.group, {options_.self}});
}

}  // namespace varve::server
