// Time: election timeouts, and what a leader does and checks as time passes.
#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

void Core::DrawElectionTimeout() {
  election_elapsed_ = 0;
  election_timeout_ = fixed_timeout_
                          ? *fixed_timeout_
                          : options_.election_ticks + random_->Below(options_.election_ticks);
}

void Core::FixElectionTimeout(uint64_t ticks) {
  fixed_timeout_ = ticks;
  election_timeout_ = ticks;
}

// The leader of this term speaks: no reason to campaign, nor to help others to.
void Core::HearLeader() {
  election_elapsed_ = 0;
  ticks_without_leader_ = 0;
}

void Core::On(const Tick& tick) {
  if (tick.n == 0) return;
  TickPendingAside(tick.n);
  if (leadership_) return TickLeader(tick.n);
  election_elapsed_ += tick.n;
  ticks_without_leader_ += tick.n;
  if (Planted(Defect::kTimersOf32Bits)) {
    election_elapsed_ = static_cast<uint32_t>(election_elapsed_);
    ticks_without_leader_ = static_cast<uint32_t>(ticks_without_leader_);
  }
  if (!MayCampaign()) return;
  // A sole voter waits for nobody: its first tick is its election timeout.
  if (IsSoleVoter(log_.configuration(), options_.self) || election_elapsed_ >= election_timeout_) {
    if (role_ == Role::kCandidate && !HardStateIsDurable()) return;  // its own disk is late
    StartElection(/*forced=*/false);
  }
}

void Core::TickLeader(uint64_t n) {
  for (auto& [id, follower] : leadership_->followers) {
    follower.ticks_silent += n;
    follower.ticks_no_news += n;
  }
  if (LeadershipHasFailed(n)) return BecomeFollower(hard_state_.term, {});
  if (leadership_->transfer_to) {
    leadership_->transfer_elapsed += n;
    const bool over = leadership_->transfer_elapsed >= options_.election_ticks;
    if (over && !Planted(Defect::kTransferNeverEnds)) {
      leadership_->transfer_to.reset();
      const bool alone = IsSoleVoter(log_.configuration(), options_.self);
      if (disk_slow_ && !alone) return BecomeFollower(hard_state_.term, {});
    }
  }
  leadership_->heartbeat_elapsed += n;
  if (leadership_->heartbeat_elapsed >= options_.heartbeat_ticks) SendHeartbeats();
}

// Two ways to lose the right to lead: no majority is heard of; or entries wait and for two silence
// timeouts, nothing was committed and no majority took anything, though it may well answer
// heartbeats (raft traps 5 and 41).
bool Core::LeadershipHasFailed(uint64_t n) {
  const uint64_t long_silence = uint64_t{4} * options_.election_ticks;
  auto& followers = leadership_->followers;
  const auto majority_where = [&](auto&& alive) {
    return HasMajority(log_.configuration(), [&](ReplicaId replica) {
      if (replica == options_.self) return !Planted(Defect::kQuorumWithoutItself);
      const auto found = followers.find(replica);
      return found != followers.end() && alive(found->second);
    });
  };
  const bool waiting = commit_index() < log_.last_index();
  leadership_->ticks_no_commit = waiting ? leadership_->ticks_no_commit + n : 0;
  if (leadership_->ticks_no_commit >= long_silence && !Planted(Defect::kStalledEntriesUnnoticed) &&
      !majority_where([&](const Progress& p) { return p.ticks_no_news < long_silence; })) {
    return true;
  }
  leadership_->quorum_elapsed += n;
  if (!options_.check_quorum || leadership_->quorum_elapsed < options_.election_ticks) return false;
  leadership_->quorum_elapsed = 0;
  const bool alive = majority_where([](const Progress& p) { return p.active; });
  for (auto& [id, follower] : followers) follower.active = false;
  return !alive;
}

}  // namespace varve::raft
