// Elections: when to campaign, whom to vote for, and which votes count.
#include <algorithm>

#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

bool Core::MayCampaign() const {
  return !halted_ && role_ != Role::kLeader && hard_state_.term < kMaxTerm && MayBeNeededToLead() &&
         (!disk_slow_ || IsSoleVoter(log_.configuration(), options_.self));
}

void Core::On(const Campaign& /*campaign*/) {
  if (!MayCampaign()) return;
  ticks_without_leader_ = std::max<uint64_t>(ticks_without_leader_, options_.election_ticks);
  StartElection(/*forced=*/false);
}

void Core::StartElection(bool forced) {
  forced_ = forced;
  const bool alone =
      IsSoleVoter(log_.configuration(), options_.self) && !Planted(Defect::kSoleVoterAsks);
  if (alone || forced || !options_.pre_vote) return BecomeCandidate();
  BecomePreCandidate();
}

void Core::AskForVotes(bool pre) {
  VoteRequest request;
  request.pre = pre;
  request.forced = forced_;
  request.last_index = log_.last_index();
  request.last_term = log_.last_term();
  std::set<ReplicaId> voters(log_.configuration().voters.begin(),
                             log_.configuration().voters.end());
  voters.insert(log_.configuration().outgoing.begin(), log_.configuration().outgoing.end());
  for (const ReplicaId& voter : voters) {
    if (voter == options_.self) continue;
    Send(voter, request);
    if (pre) effects_.messages.back().term = hard_state_.term + 1;
  }
}

void Core::CountOwnVote() {
  votes_.insert(options_.self);
  CountVotes();
}

// A candidate needs its own vote, too, even when the others are enough: one that leads, crashes and
// has forgotten the term could lead it a second time (trap 9).
bool Core::HasWon() const {
  const Configuration& now = log_.configuration();
  const bool own = votes_.contains(options_.self) || Planted(Defect::kLeadsWithoutOwnVote);
  if (!own) return false;
  const auto granted = [&](ReplicaId voter) {
    if (!Planted(Defect::kReplicaEpochIgnored)) return votes_.contains(voter);
    for (const ReplicaId& vote : votes_) {
      if (vote.node == voter.node) return true;
    }
    return false;
  };
  if (Planted(Defect::kJointByOneSide))
    return HasMajority({now.voters, {}, {}, {}, false}, granted);
  return HasMajority(now, granted);
}

bool Core::HasLost() const {
  const auto refused = [&](ReplicaId voter) { return rejections_.contains(voter); };
  const Configuration& now = log_.configuration();
  return HasMajority({now.voters, {}, {}, {}, false}, refused) ||
         (!now.outgoing.empty() && HasMajority({now.outgoing, {}, {}, {}, false}, refused));
}

void Core::CountVotes() {
  if (HasWon()) return role_ == Role::kPreCandidate ? BecomeCandidate() : BecomeLeader();
  if (HasLost()) BecomeFollower(hard_state_.term, {});
}

bool Core::HearsLeader() const {
  if (!options_.check_quorum || Planted(Defect::kStickinessIgnored)) return false;
  return role_ == Role::kLeader || ticks_without_leader_ < options_.election_ticks;
}

bool Core::IsUpToDate(const VoteRequest& request) const {
  return log_.IsUpToDate(request.last_index, request.last_term) ||
         Planted(Defect::kVoteWithoutLogCheck);
}

// Binds nobody: neither term nor timer moves, on either side (trap 4).
void Core::AnswerPreVote(const Message& message, const VoteRequest& request) {
  const bool held_up = HearsLeader() && !request.forced;
  const bool granted = message.term > hard_state_.term && !held_up && IsUpToDate(request);
  if (Planted(Defect::kPreVoteResetsTimer)) DrawElectionTimeout();
  Send(message.from, VoteReply{true, granted, message.term});
  if (granted || Planted(Defect::kPreVoteRefusalBringsTerm)) {
    effects_.messages.back().term = message.term;
  }
}

// A learner votes, too: whether it is one may be news that it has not heard (trap 7). A refusal
// resets no timer (trap 6) and tells the own term, so that a candidate that is behind catches up
// and one that is ahead is found (trap 3).
void Core::On(const Message& message, const VoteRequest& request) {
  if (request.pre) return AnswerPreVote(message, request);
  if (message.term > hard_state_.term) {
    if (HearsLeader() && !request.forced) {
      return Send(message.from, VoteReply{false, false, message.term});
    }
    BecomeFollower(message.term, {});
  }
  const ReplicaId vote = hard_state_.vote;
  const bool free = vote.empty() || vote == message.from || Planted(Defect::kVoteTwice);
  const bool entitled = !Planted(Defect::kLearnerRefusesVote) || IsVoter(options_.self);
  const bool granted = message.term == hard_state_.term && role_ == Role::kFollower &&
                       leader_.empty() && free && entitled && IsUpToDate(request);
  const VoteReply reply{false, granted, message.term};
  if (!granted) {
    if (Planted(Defect::kRefusedVoteResetsTimer)) DrawElectionTimeout();
    return Send(message.from, reply);
  }
  DrawElectionTimeout();
  if (Planted(Defect::kVoteNotPersisted)) return Send(message.from, reply);
  if (vote != message.from) {
    hard_state_.vote = message.from;
    WriteHardState();
  }
  SendWhenDurable(message.from, reply);
}

void Core::On(const Message& message, const VoteReply& reply) {
  // A granted pre-vote carries the term that was asked for, which nobody has entered.
  if (message.term > hard_state_.term && !(reply.pre && reply.granted)) {
    return BecomeFollower(message.term, {});
  }
  const Role asking = reply.pre ? Role::kPreCandidate : Role::kCandidate;
  const Term asked = reply.pre ? hard_state_.term + 1 : hard_state_.term;
  const bool current = reply.asked == asked || Planted(Defect::kOldReplyCounts);
  if (role_ != asking || !current) return;
  (reply.granted ? votes_ : rejections_).insert(message.from);
  CountVotes();
}

}  // namespace varve::raft
