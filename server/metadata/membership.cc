#include "server/metadata/membership.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace varve::server {
namespace {

bool Has(const std::vector<ReplicaId>& replicas, ReplicaId replica) {
  return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

bool HasNode(const std::vector<ReplicaId>& replicas, NodeId node) {
  return std::any_of(replicas.begin(), replicas.end(),
                     [node](const ReplicaId& r) { return r.node == node; });
}

using Brokers = std::map<NodeId, ReplicaEpoch>;

bool IsCurrent(const Brokers& brokers, ReplicaId replica) {
  const auto at = brokers.find(replica.node);
  return at != brokers.end() && at->second == replica.epoch;
}

// Without a voter that is gone for good, or lost its data: its broker's new replica cannot learn
// beside it. The majority of the others must live.
std::optional<Configuration> WithoutVoter(Configuration next, ReplicaId gone,
                                          const std::set<ReplicaId>& ready) {
  std::erase(next.voters, gone);
  const auto living =
      static_cast<size_t>(std::count_if(next.voters.begin(), next.voters.end(),
                                        [&](const ReplicaId& r) { return ready.contains(r); }));
  if (living <= next.voters.size() / 2) return std::nullopt;
  return next;
}

// Every broker that does not vote learns, and nobody else.
void SetLearners(const Brokers& brokers, Configuration* next) {
  std::erase_if(next->learners, [&](const ReplicaId& r) { return !IsCurrent(brokers, r); });
  for (const auto& [node, epoch] : brokers) {
    const ReplicaId replica{node, epoch};
    if (!Has(next->voters, replica) && !HasNode(next->learners, node))
      next->learners.push_back(replica);
  }
  std::sort(next->learners.begin(), next->learners.end());
}

size_t WantedVoters(size_t brokers) { return brokers >= 5 ? 5 : brokers >= 3 ? 3 : 1; }

}  // namespace

std::optional<Configuration> NextMetadataMembers(const Configuration& now,
                                                 const std::map<NodeId, ReplicaEpoch>& brokers,
                                                 const std::set<ReplicaId>& ready) {
  if (!now.outgoing.empty() || now.voters.empty()) return std::nullopt;
  Configuration next = now;
  next.auto_leave = false;
  for (const ReplicaId& voter : now.voters)
    if (!IsCurrent(brokers, voter)) return WithoutVoter(std::move(next), voter, ready);
  SetLearners(brokers, &next);
  if (next.learners != now.learners) return next;

  const size_t wanted = WantedVoters(brokers.size());
  if (next.voters.size() >= wanted) return std::nullopt;
  std::vector<ReplicaId> promoted;
  for (const ReplicaId& learner : next.learners)
    if (next.voters.size() + promoted.size() < wanted && ready.contains(learner))
      promoted.push_back(learner);
  if (next.voters.size() + promoted.size() < wanted) return std::nullopt;
  // One more is a step of its own; more go through a joint configuration.
  if (promoted.size() > 1) {
    next.outgoing = now.voters;
    next.auto_leave = true;
  }
  for (const ReplicaId& replica : promoted) {
    std::erase(next.learners, replica);
    next.voters.push_back(replica);
  }
  std::sort(next.voters.begin(), next.voters.end());
  return next;
}

}  // namespace varve::server
