// Heartbeats: they keep leader and followers in touch, carry the commit index, and find out what
// was lost on the way.
#include <algorithm>

#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {

void Core::On(const HeartbeatNow& /*now*/) {
  if (leadership_) SendHeartbeats();
}

void Core::SendHeartbeats() {
  leadership_->heartbeat_elapsed = 0;
  RaiseFloor();
  for (auto& [id, follower] : leadership_->followers) {
    Heartbeat heartbeat;
    // Never more than what the follower is known to hold (trap 15).
    heartbeat.commit = Planted(Defect::kCommitBeyondProven)
                           ? commit_index()
                           : std::min(commit_index(), follower.match);
    heartbeat.floor = floor_;
    heartbeat.vouches = !follower.outstanding() || follower.ticks_no_news < options_.election_ticks;
    Send(id, heartbeat);
  }
  const bool reading = !leadership_->reads.empty();
  if (reading) leadership_->probes_due = true;
}

void Core::On(const Message& message, const Heartbeat& heartbeat) {
  if (heartbeat.vouches) HearLeader();
  floor_ = std::max(floor_, heartbeat.floor);
  CommitThrough(std::min(heartbeat.commit, log_.last_index()));
  Send(message.from, HeartbeatReply{Report()});
}

// An append may have been lost. An empty one behind all that was sent finds out: it is rejected
// when something is missing (traps 21 and 25).
void Core::On(const Message& message, const HeartbeatReply& reply) {
  Progress* progress = FollowerOf(message);
  if (progress == nullptr) return;
  const FollowerReport& report = reply.report;
  if (!Planted(Defect::kWindowNeverReopens)) {
    if (progress->state == ProgressState::kInstall) {
      OfferInstall(message.from, *progress);
    } else if (progress->state == ProgressState::kProbe) {
      progress->probe_sent = false;
    } else if (MustInstall(*progress)) {
      BeginInstall(message.from, *progress);
    } else if (report.received + 1 < progress->next && !progress->full) {
      SendAppend(message.from, *progress, {});
    }
  }
  OnReport(message, report, *progress);
}

void Core::On(const PeerAlive& alive) {
  if (alive.term != hard_state_.term) return;
  if (role_ == Role::kFollower && leader_ == alive.peer) HearLeader();
  if (!leadership_) return;
  const auto found = leadership_->followers.find(alive.peer);
  if (found == leadership_->followers.end()) return;
  found->second.active = true;
  found->second.ticks_silent = 0;
}

// Those who followed a leader that is gone campaign one after another, so that they do not split
// the votes: in the order of the replicas, which begins at another one in each group. All of them
// grant votes at once.
uint64_t Core::TicksBehindOthers(ReplicaId lost) const {
  constexpr uint64_t kTicksApart = 2;
  const Configuration& now = log_.configuration();
  std::vector<ReplicaId> heirs;
  for (const auto* voters : {&now.voters, &now.outgoing})
    for (const ReplicaId voter : *voters)
      if (voter != lost && std::find(heirs.begin(), heirs.end(), voter) == heirs.end())
        heirs.push_back(voter);
  std::sort(heirs.begin(), heirs.end());
  const auto self = std::find(heirs.begin(), heirs.end(), options_.self);
  if (self == heirs.end()) return 0;
  const auto place = static_cast<uint64_t>(self - heirs.begin());
  return kTicksApart * ((place + options_.group.value()) % heirs.size());
}

// A leader whose process is gone is not waited for.
void Core::On(const PeerLost& lost) {
  if (leadership_) {
    const auto found = leadership_->followers.find(lost.peer);
    if (found != leadership_->followers.end() && found->second.state == ProgressState::kReplicate) {
      found->second.Probe(found->second.match + 1);
    }
  } else if (leader_ == lost.peer) {
    ticks_without_leader_ = std::max<uint64_t>(ticks_without_leader_, options_.election_ticks);
    const uint64_t wait = std::min(TicksBehindOthers(lost.peer), election_timeout_);
    election_elapsed_ = std::max(election_elapsed_, election_timeout_ - wait);
  }
}

// What everybody has folded durably: nobody asks for the entries below again. Whoever is silent for
// long is installed when it comes back.
void Core::RaiseFloor() {
  Index floor = folded_;
  for (const auto& [id, follower] : leadership_->followers) {
    if (follower.ticks_silent >= options_.floor_silence_ticks) continue;
    floor = std::min(floor, follower.folded);
  }
  floor_ = std::max(floor_, floor);
}

}  // namespace varve::raft
