// Every change of role is here and nowhere else.
#include <utility>

#include "raft/core/core.h"

namespace varve::raft {

// Enters a new term with its own vote. The vote counts when it is durable.
void Core::BecomeCandidate() {
  role_ = Role::kCandidate;
  leader_ = {};
  votes_.clear();
  hard_state_ = {hard_state_.term + 1, options_.self};
  WriteHardState();
  ReportRole();
}

// The barrier is the first entry of the term: committing it commits what older terms left behind.
// It repeats the previous entry's append time, as entries that carry no user's data may.
void Core::BecomeLeader() {
  role_ = Role::kLeader;
  leader_ = options_.self;
  votes_.clear();
  durable_ = {{options_.self, durable_index_}};
  confirmed_ = false;
  ReportRole();
  barrier_index_ = Append(EntryKind::kBarrier, FrameBuffer(0), 0, end_.append_time, std::nullopt);
}

// Keeps term and vote: a vote is never forgotten within its term.
void Core::BecomeFollower() {
  const bool changed = role_ != Role::kFollower;
  role_ = Role::kFollower;
  leader_ = {};
  votes_.clear();
  durable_.clear();
  confirmed_ = false;
  effects_.leadership_confirmed = false;
  if (changed) ReportRole();
}

void Core::ReportRole() { effects_.role_change = RoleChange{role_, hard_state_.term, leader_}; }

}  // namespace varve::raft
