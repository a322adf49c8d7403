// The commit rule.
#include <algorithm>
#include <utility>

#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

Index Core::HeldBy(ReplicaId voter) const {
  if (voter == options_.self) {
    return Planted(Defect::kLeaderCountsUndurable) ? log_.last_index() : durable_index_;
  }
  const auto found = leadership_->followers.find(voter);
  return found == leadership_->followers.end() ? Index{} : found->second.match;
}

// Never beyond the own end: a leader exposes nothing that it has not appended itself. Its own disk
// need not have it, when those of a majority have.
void Core::AdvanceCommit() {
  const auto held_by = [this](ReplicaId voter) { return HeldBy(voter); };
  const Configuration* counted = &log_.configuration();
  Configuration wrong;
  if (Planted(Defect::kLearnerCounted)) {
    wrong.voters = counted->voters;
    wrong.voters.insert(wrong.voters.end(), counted->learners.begin(), counted->learners.end());
    counted = &wrong;
  }
  if (Planted(Defect::kJointByOneSide)) {
    wrong.voters = counted->voters;
    counted = &wrong;
  }
  if (Planted(Defect::kRemovedLeaderCountsItself) && !IsVoter(options_.self)) {
    wrong.voters = counted->voters;
    wrong.voters.push_back(options_.self);
    counted = &wrong;
  }
  const Index index =
      std::min(CommittableIndex(*counted, held_by, leadership_->barrier), log_.last_index());
  if (index > commit_index()) CommitThrough(index);
}

void Core::CommitThrough(Index index) {
  if (index <= commit_index()) return;
  const bool configuration_committed = log_.CommitThrough(index);
  if (configuration_committed) configurations_changed_ = true;
  effects_.committed = index;
  AnswerProposals(index);
  if (!leadership_) return;
  leadership_->ticks_no_commit = 0;
  const bool confirms = !leadership_->confirmed && index >= leadership_->barrier;
  if (confirms) {
    leadership_->confirmed = true;
    effects_.leadership_confirmed = true;
    for (const ReadId read : std::exchange(leadership_->early_reads, {})) BeginRead(read);
  }
  const bool finds = confirms && !Planted(Defect::kJointNeverLeft);
  if (configuration_committed || finds) OnConfigurationCommitted();
}

}  // namespace varve::raft
