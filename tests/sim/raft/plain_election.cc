// Elections of the plain replica: timers, votes, roles.
#include <algorithm>
#include <utility>

#include "tests/sim/raft/plain_quorum.h"
#include "tests/sim/raft/plain_replica.h"

namespace varve::raftsim {

void PlainReplica::ResetTimer() {
  elapsed_ = 0;
  timeout_ =
      options_.election_ticks + static_cast<uint32_t>(random_->Below(options_.election_ticks));
}

void PlainReplica::Tick() {
  if (failed_) return;
  ++since_leader_;
  if (role_ == Role::kLeader) {
    if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) {
      heartbeat_elapsed_ = 0;
      SendHeartbeats();
    }
    if (!transfer_.empty() && ++transfer_elapsed_ >= options_.election_ticks) transfer_ = {};
    if (++elapsed_ >= 2 * options_.election_ticks) CheckQuorum();
    return;
  }
  if (++elapsed_ < timeout_) return;
  ResetTimer();
  if (IsVoter(options_.self)) Campaign(true, false);
}

void PlainReplica::CheckQuorum() {
  elapsed_ = 0;
  const bool alive = HasMajority(
      *configuration_.configuration,
      [&](ReplicaId r) {
        return r == options_.self || (progress_.contains(r) && progress_[r].heard);
      },
      false);
  for (auto& [id, progress] : progress_) progress.heard = false;
  if (!alive) BecomeFollower(log_.hard_state.term, {});
}

void PlainReplica::BecomeFollower(Term term, ReplicaId leader) {
  if (term > log_.hard_state.term) {
    log_.hard_state = {term, {}};
    WriteHardState();
  }
  if (role_ != Role::kFollower) ResetTimer();
  role_ = Role::kFollower;
  leader_ = leader;
  votes_.clear();
  progress_.clear();
  confirmed_ = false;
  transfer_ = {};
  for (const Read& read : reads_) out_.reads.push_back({read.id, std::nullopt});
  reads_.clear();
  for (const auto& [index, proposal] : pending_) {
    if (!Planted(Defect::kResultForgotten)) {
      out_.results.push_back({proposal, Outcome::kUnknown, Index{}});
    }
  }
  pending_.clear();
  uncommitted_ = 0;
}

void PlainReplica::Campaign(bool pre_vote, bool forced) {
  role_ = pre_vote ? Role::kPreCandidate : Role::kCandidate;
  leader_ = {};
  votes_.clear();
  forced_ = forced;
  if (pre_vote) {
    votes_.insert(options_.self);
  } else {
    log_.hard_state = {log_.hard_state.term + 1, options_.self};
    WriteHardState();
    outstanding_.back().own_vote = true;
    if (Planted(Defect::kOwnVoteBeforeDurable)) votes_.insert(options_.self);
  }
  for (const ReplicaId to : Others(false)) {
    Packet packet = Make(pre_vote ? MessageType::kPreVote : MessageType::kVote, to);
    if (pre_vote) packet.term = packet.term + 1;
    packet.forced = forced;
    packet.previous = log_.last_index();
    packet.previous_term = log_.last_term();
    Send(std::move(packet));
  }
  CountVotes();
}

void PlainReplica::CountVotes() {
  const bool ignore_epoch = Planted(Defect::kReplicaEpochIgnored);
  const bool one_side = Planted(Defect::kJointByOneSide);
  const auto granted = [&](ReplicaId voter) {
    if (!ignore_epoch) return votes_.contains(voter);
    return std::any_of(votes_.begin(), votes_.end(),
                       [&](ReplicaId v) { return v.node == voter.node; });
  };
  // Its own vote too, even when the others are enough: a candidate that leads, crashes and has
  // forgotten the term could lead it a second time.
  if (role_ == Role::kCandidate && !votes_.contains(options_.self)) return;
  if (!HasMajority(*configuration_.configuration, granted, one_side)) return;
  if (role_ == Role::kPreCandidate) {
    Campaign(false, forced_);
  } else {
    BecomeLeader();
  }
}

void PlainReplica::BecomeLeader() {
  role_ = Role::kLeader;
  leader_ = options_.self;
  votes_.clear();
  progress_.clear();
  confirmed_ = false;
  elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  for (const ReplicaId other : Others(true)) progress_[other].next = log_.last_index() + 1;
  SimEntry barrier;
  barrier.kind = EntryKind::kBarrier;
  AppendOwn(std::move(barrier));
  SendHeartbeats();
  Broadcast();
}

bool PlainReplica::UpToDate(const Packet& packet) const {
  return std::pair(packet.previous_term, packet.previous) >=
         std::pair(log_.last_term(), log_.last_index());
}

void PlainReplica::OnVoteRequest(const Packet& packet) {
  const bool pre = packet.type == MessageType::kPreVote;
  const bool sticky = role_ == Role::kLeader || since_leader_ < options_.election_ticks;
  if (!packet.forced && sticky && packet.term > log_.hard_state.term) {
    Packet reply = Make(pre ? MessageType::kPreVoteReply : MessageType::kVoteReply, packet.from);
    reply.reject = true;
    return Send(std::move(reply));
  }
  if (!pre && packet.term > log_.hard_state.term) BecomeFollower(packet.term, {});
  const bool current = packet.term >= log_.hard_state.term;
  const bool log_ok = UpToDate(packet) || Planted(Defect::kVoteWithoutLogCheck);
  Packet reply = Make(pre ? MessageType::kPreVoteReply : MessageType::kVoteReply, packet.from);
  if (pre) {
    reply.reject = !(log_ok && packet.term > log_.hard_state.term);
    if (!reply.reject) reply.term = packet.term;
    if (Planted(Defect::kPreVoteResetsTimer)) ResetTimer();
    return Send(std::move(reply));
  }
  const ReplicaId vote = log_.hard_state.vote;
  const bool free = vote.empty() || vote == packet.from || Planted(Defect::kVoteTwice);
  reply.reject = !(current && log_ok && free && role_ != Role::kLeader);
  if (reply.reject) return Send(std::move(reply));
  if (role_ != Role::kFollower) BecomeFollower(packet.term, {});
  ResetTimer();
  if (Planted(Defect::kVoteNotPersisted)) return Send(std::move(reply));
  if (vote != packet.from) {
    log_.hard_state.vote = packet.from;
    WriteHardState();
  }
  SendWhenDurable(std::move(reply));
}

void PlainReplica::OnVoteReply(const Packet& packet) {
  const bool pre = packet.type == MessageType::kPreVoteReply;
  if (packet.reject) {
    if (packet.term > log_.hard_state.term) BecomeFollower(packet.term, {});
    return;
  }
  const Term wanted = pre ? log_.hard_state.term + 1 : log_.hard_state.term;
  if (packet.term != wanted || role_ != (pre ? Role::kPreCandidate : Role::kCandidate)) return;
  votes_.insert(packet.from);
  CountVotes();
}

}  // namespace varve::raftsim
