// Every change of role is here and nowhere else.
#include <utility>

#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {

// Keeps term and vote unless the term is a new one: a vote is never forgotten within its term.
void Core::BecomeFollower(Term term, ReplicaId leader) {
  const bool changed = role_ != Role::kFollower || leader_ != leader || term != hard_state_.term;
  if (term > hard_state_.term) {
    hard_state_ = {term, {}};
    ForgetLeader();
    WriteHardState();
  }
  if (role_ != Role::kFollower && Planted(Defect::kVoteForgotten)) hard_state_.vote = {};
  if (role_ != Role::kFollower) DrawElectionTimeout();
  if (leadership_) {
    for (const PendingRead& read : leadership_->reads) {
      effects_.reads.push_back({read.id, std::nullopt});
    }
    for (const ReadId read : leadership_->early_reads) {
      effects_.reads.push_back({read, std::nullopt});
    }
    leadership_.reset();
    recent_.Clear();
    ticks_without_leader_ = options_.election_ticks;
    SetPendingAside();
  }
  role_ = Role::kFollower;
  leader_ = leader;
  votes_.clear();
  rejections_.clear();
  effects_.leadership_confirmed = false;
  if (changed) ReportRole();
}

// Asks for nothing that binds, so nothing is written (Ongaro's thesis, 9.6).
void Core::BecomePreCandidate() {
  role_ = Role::kPreCandidate;
  leader_ = {};
  votes_ = {options_.self};
  rejections_.clear();
  DrawElectionTimeout();
  ReportRole();
  AskForVotes(true);
}

// Enters a new term with its own vote. The vote counts when it is durable.
void Core::BecomeCandidate() {
  role_ = Role::kCandidate;
  leader_ = {};
  votes_.clear();
  rejections_.clear();
  ForgetLeader();
  hard_state_ = {hard_state_.term + 1, options_.self};
  const bool persisted = !Planted(Defect::kOwnVoteNotPersisted);
  if (persisted) WriteHardState();
  DrawElectionTimeout();
  ReportRole();
  AskForVotes(false);
  if (!persisted || Planted(Defect::kOwnVoteBeforeDurable)) CountOwnVote();
}

// The barrier is the first entry of the term: committing it commits what older terms left behind.
// It repeats the previous entry's append time, as entries that carry no user's data may. Nothing
// here looks at the log's tail (trap 13).
void Core::BecomeLeader() {
  role_ = Role::kLeader;
  leader_ = options_.self;
  votes_.clear();
  rejections_.clear();
  staging_.reset();
  leadership_.emplace();
  leadership_->barrier = log_.last_index() + 1;
  RefreshFollowers(leadership_->barrier);
  ReportRole();
  if (Planted(Defect::kLeaderReadsItsTail)) {
    effects_.loads.push_back({options_.self, commit_index() + 1, options_.max_append_bytes});
  }
  AppendOwn(EntryKind::kBarrier, FrameBuffer(0), 0, log_.end().append_time, std::nullopt);
}

// What the logs were proven to share belongs to a term and its leader.
void Core::ForgetLeader() {
  proven_ = Index{};
  acknowledged_ = Index{};
  acknowledgement_due_ = false;
}

void Core::ReportRole() { effects_.role_change = RoleChange{role_, hard_state_.term, leader_}; }

}  // namespace varve::raft
