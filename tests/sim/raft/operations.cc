// Load and operators: proposals, read barriers, membership.
#include <algorithm>

#include "tests/sim/raft/world.h"

namespace varve::raftsim {
namespace {

void Remove(std::vector<ReplicaId>* list, ReplicaId replica) { std::erase(*list, replica); }
void Insert(std::vector<ReplicaId>* list, ReplicaId replica) {
  list->insert(std::lower_bound(list->begin(), list->end(), replica), replica);
}
bool Has(const std::vector<ReplicaId>& list, ReplicaId replica) {
  return std::find(list.begin(), list.end(), replica) != list.end();
}

}  // namespace

World::Node* World::Leader() {
  Node* best = nullptr;
  for (Node& node : nodes_) {
    const bool leads = node.replica && node.state.role == Role::kLeader;
    if (leads && (best == nullptr || node.state.term > best->state.term)) best = &node;
  }
  return best;
}

// Of the configuration that the newest leader acts on.
bool World::IsMember(ReplicaId replica) {
  const Node* leader = Leader();
  if (leader == nullptr) return false;
  const Configuration& now = *leader->state.configuration;
  return Has(now.voters, replica) || Has(now.outgoing, replica) || Has(now.learners, replica);
}

// To a random node, so that a deposed leader is asked too.
void World::ProposeSome() {
  Add(now_ + 1 + random_->Below(2 * options_.between_proposals), Kind::kPropose, 0);
  if (quiet_) return;
  Node* node = &nodes_[random_->Below(nodes_.size())];
  if (random_->OneIn(2)) node = Leader();
  if (node == nullptr || !node->replica || node->paused_until > now_) return;
  const uint64_t burst = random_->OneIn(10) ? 8 : 1;
  for (uint64_t i = 0; i < burst && result_.violation.empty(); ++i) {
    const uint64_t proposal = ++last_proposal_;
    unanswered_[proposal] = {Number(*node), node->life};
    Tell(now_, " ", Show(node->id), " is asked to append proposal ", proposal);
    StepNode(*node, [&](Replica& r) { r.Propose(proposal); });
  }
  if (result_.violation.empty()) ReadSome();
}

void World::ReadSome() {
  const uint64_t first = random_->Below(nodes_.size());
  if (!random_->OneIn(2)) return;
  Node* oldest = &nodes_[first];
  // Most of all the leader that does not know yet that it is deposed.
  for (Node& candidate : nodes_) {
    const bool leads = candidate.replica && candidate.state.role == Role::kLeader;
    if (leads && candidate.state.term < Leader()->state.term) oldest = &candidate;
  }
  Node& node = *oldest;
  if (!node.replica || node.paused_until > now_) return;
  const uint64_t read = ++last_read_;
  for (const auto& checker : checkers_) checker->OnReadBegins(read);
  StepNode(node, [&](Replica& r) { r.ReadBarrier(read); });
}

void World::Operate() {
  Add(now_ + 250 * kMillis, Kind::kOperate, 0);
  Node* leader = Leader();
  if (leader == nullptr || quiet_ || leader->paused_until > now_) return;
  ChangeMembership(*leader, true);
}

// The next step back to members that all exist; false when there is none to take.
bool World::Repair(const Configuration& now, Configuration* next) const {
  for (const ReplicaId learner : now.learners) {
    if (Exists(learner)) continue;
    Remove(&next->learners, learner);
    return true;
  }
  for (const ReplicaId voter : now.voters) {
    if (Exists(voter) || now.voters.size() < 2) continue;
    Remove(&next->voters, voter);
    return true;
  }
  if (now.voters.size() >= options_.voters) return false;
  for (const Node& node : nodes_) {
    const bool caught_up = node.durable.last_index() + 20 > ledger_.last();
    if (!Has(now.learners, node.id) || !caught_up || !node.replica) continue;
    Remove(&next->learners, node.id);
    Insert(&next->voters, node.id);
    return true;
  }
  for (const Node& node : nodes_) {
    const bool same_node = std::any_of(now.voters.begin(), now.voters.end(),
                                       [&](ReplicaId v) { return v.node == node.id.node; });
    if (same_node || Has(now.learners, node.id)) continue;
    Insert(&next->learners, node.id);
    return true;
  }
  return false;
}

// A learner comes, goes or is promoted; voters are replaced, several at once when joint.
void World::DrawChange(Configuration* next) {
  for (uint64_t changes = 1 + random_->Below(3); changes > 0; --changes) {
    const ReplicaId id = nodes_[random_->Below(nodes_.size())].id;
    if (Has(next->voters, id)) {
      if (next->voters.size() < 3) continue;
      Remove(&next->voters, id);
    } else if (Has(next->learners, id)) {
      Remove(&next->learners, id);
      if (random_->OneIn(2)) Insert(&next->voters, id);
    } else if (std::none_of(next->voters.begin(), next->voters.end(),
                            [&](ReplicaId v) { return v.node == id.node; })) {
      random_->OneIn(2) ? Insert(&next->learners, id) : Insert(&next->voters, id);
    }
  }
}

void World::ChangeMembership(Node& leader, bool repair_only) {
  const Configuration& now = *leader.state.configuration;
  Configuration next = now;
  if (!now.outgoing.empty()) {
    if (now.auto_leave) return;  // the leader leaves it
    // Now and then a change is cancelled.
    if (!repair_only && random_->OneIn(3)) {
      next.voters = now.outgoing;
      std::erase_if(next.learners, [&](ReplicaId id) { return Has(next.voters, id); });
    }
    next.outgoing.clear();
    next.auto_leave = false;
  } else if (!repair_only) {
    DrawChange(&next);
  } else if (!Repair(now, &next)) {
    return;
  }
  std::vector<ReplicaId> difference;
  std::set_symmetric_difference(now.voters.begin(), now.voters.end(), next.voters.begin(),
                                next.voters.end(), std::back_inserter(difference));
  // Now and then an operator forgets that two voters at once need a joint one; the core refuses.
  const bool mistaken = !repair_only && difference.size() > 1 && random_->OneIn(8);
  if (now.outgoing.empty() && !mistaken &&
      (difference.size() > 1 || (!difference.empty() && random_->OneIn(2)))) {
    next.outgoing = now.voters;
    next.auto_leave = random_->OneIn(2);
  }
  // Nobody asks for members of whom a majority is gone.
  const auto gone = std::count_if(next.voters.begin(), next.voters.end(),
                                  [&](ReplicaId voter) { return !Exists(voter); });
  if (next == now || 2 * static_cast<size_t>(gone) >= next.voters.size()) return;
  const uint64_t proposal = ++last_proposal_;
  unanswered_[proposal] = {Number(leader), leader.life};
  Tell(now_, " ", Show(leader.id), " is asked to change the membership");
  StepNode(leader, [&](Replica& r) { r.ProposeConfiguration(proposal, next); });
}

}  // namespace varve::raftsim
