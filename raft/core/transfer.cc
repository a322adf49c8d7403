// Leadership transfer (Ongaro's thesis, 3.10).
#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

void Core::On(const Transfer& transfer) {
  if (!leadership_) return;
  ReplicaId target = transfer.target;
  if (target.empty()) target = BestSuccessor().value_or(ReplicaId{});
  if (target == options_.self || !IsVoter(target) || !leadership_->followers.contains(target)) {
    return;
  }
  leadership_->transfer_to = target;
  leadership_->transfer_elapsed = 0;
  leadership_->timeout_sent = false;
  ContinueTransfer();
}

// When the target has everything, it is told to campaign; once, since a second request would
// restart its election. If that is lost, the timeout ends the transfer.
void Core::ContinueTransfer() {
  if (!leadership_->transfer_to || leadership_->timeout_sent) return;
  const auto target = leadership_->followers.find(*leadership_->transfer_to);
  if (target == leadership_->followers.end() || !IsVoter(target->first)) {
    leadership_->transfer_to.reset();
    return;
  }
  const bool has_all = target->second.match == log_.last_index();
  if (!has_all && !Planted(Defect::kTransferToALaggard)) return;
  leadership_->timeout_sent = true;
  Send(target->first, TimeoutNow{});
}

// Without a pre-vote: the leader wants to be deposed.
void Core::On(const Message& /*message*/, const TimeoutNow& /*timeout*/) {
  if (MayCampaign()) StartElection(/*forced=*/true);
}

// The voter that has most of the log, of those that were heard of lately.
std::optional<ReplicaId> Core::BestSuccessor() const {
  std::optional<ReplicaId> best;
  Index match;
  for (const auto& [id, follower] : leadership_->followers) {
    const bool heard = follower.ticks_silent < options_.election_ticks;
    if (!heard || !IsVoter(id) || (best && follower.match <= match)) continue;
    best = id;
    match = follower.match;
  }
  return best;
}

}  // namespace varve::raft
