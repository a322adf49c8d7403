// Elections: when to campaign, and which votes count.
#include <algorithm>

#include "raft/core/core.h"
#include "raft/core/quorum.h"

namespace varve::raft {

// Only the sole voter campaigns: with others it would have to ask them, and it cannot yet.
bool Core::MayCampaign() const {
  return !halted_ && role_ == Role::kFollower && hard_state_.term < kMaxTerm &&
         IsSoleVoter(ActiveConfiguration(), options_.self);
}

// A sole voter waits for nobody: its first tick is its election timeout.
void Core::On(const Tick& tick) {
  if (tick.n > 0 && MayCampaign()) BecomeCandidate();
}

void Core::CountOwnVote() {
  votes_.insert(options_.self);
  if (HasMajority(ActiveConfiguration(), votes_)) BecomeLeader();
}

}  // namespace varve::raft
