#include "server/metadata/membership.h"

#include <algorithm>
#include <utility>

#include "server/defect.h"

namespace varve::server {
namespace {

using Replicas = std::vector<ReplicaId>;

bool Has(const Replicas& replicas, ReplicaId replica) {
  return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

bool HasNode(const Replicas& replicas, NodeId node) {
  return std::any_of(replicas.begin(), replicas.end(),
                     [node](const ReplicaId& r) { return r.node == node; });
}

bool MajorityLives(const Replicas& voters, const std::set<ReplicaId>& ready) {
  const auto living = static_cast<size_t>(std::count_if(
      voters.begin(), voters.end(), [&](const ReplicaId& r) { return ready.contains(r); }));
  return living > voters.size() / 2;
}

// Without a voter that is gone for good, or lost its data, or is one too many. The majority of the
// others must live.
std::optional<Configuration> WithoutVoter(Configuration next, ReplicaId gone,
                                          const std::set<ReplicaId>& ready) {
  std::erase(next.voters, gone);
  if (!MajorityLives(next.voters, ready)) return std::nullopt;
  return next;
}

// The voters become `voters`: one more or less is a step of its own, more go through a joint
// configuration.
Configuration WithVoters(Configuration next, Replicas voters) {
  std::sort(voters.begin(), voters.end());
  Replicas changed;
  std::set_symmetric_difference(next.voters.begin(), next.voters.end(), voters.begin(),
                                voters.end(), std::back_inserter(changed));
  if (changed.size() > 1 && !Planted(Defect::kJointLeftOut)) {
    next.outgoing = next.voters;
    next.auto_leave = true;
  }
  std::erase_if(next.learners, [&](const ReplicaId& r) { return Has(voters, r); });
  next.voters = std::move(voters);
  return next;
}

// Everybody of `members` who does not vote learns, and nobody else.
void SetLearners(const Replicas& members, Configuration* next) {
  std::erase_if(next->learners, [&](const ReplicaId& r) { return !Has(members, r); });
  for (const ReplicaId& replica : members)
    if (!HasNode(next->voters, replica.node) && !Has(next->learners, replica))
      next->learners.push_back(replica);
  std::sort(next->learners.begin(), next->learners.end());
}

Configuration Begin(const Configuration& now) {
  Configuration next = now;
  next.auto_leave = false;
  return next;
}

size_t WantedVoters(size_t brokers) { return brokers >= 5 ? 5 : brokers >= 3 ? 3 : 1; }

// Who votes though it is to learn only, or though there are too many: never the leader if others
// can go, the dead before the living.
std::optional<ReplicaId> VoterToDemote(const Configuration& now, const MetadataMembers& wanted,
                                       size_t voters_wanted) {
  std::optional<ReplicaId> best;
  int best_rank = 0;
  for (const ReplicaId& voter : now.voters) {
    const bool leaving = wanted.leaving.contains(voter.node);
    if (!leaving && now.voters.size() <= voters_wanted) continue;
    if (!leaving && voter == wanted.leader) continue;
    const int rank = (leaving ? 4 : 0) + (wanted.ready.contains(voter) ? 0 : 2) +
                     (voter == wanted.leader ? 0 : 1);
    if (rank <= best_rank && best) continue;
    best = voter;
    best_rank = rank;
  }
  return best;
}

// A voter becomes a learner; with somebody else in its place, if there is one.
std::optional<Configuration> Demote(Configuration next, ReplicaId voter,
                                    std::optional<ReplicaId> instead,
                                    const std::set<ReplicaId>& ready) {
  Replicas voters = next.voters;
  std::erase(voters, voter);
  if (instead) voters.push_back(*instead);
  if (voters.empty() || !MajorityLives(voters, ready)) return std::nullopt;
  next = WithVoters(std::move(next), std::move(voters));
  auto& learners = next.outgoing.empty() ? next.learners : next.learners_next;
  learners.push_back(voter);
  std::sort(learners.begin(), learners.end());
  return next;
}

}  // namespace

std::optional<Configuration> NextMetadataMembers(const Configuration& now,
                                                 const MetadataMembers& wanted) {
  if (!now.outgoing.empty() || now.voters.empty()) return std::nullopt;
  Configuration next = Begin(now);
  Replicas members;
  for (const auto& [node, epoch] : wanted.brokers) members.push_back({node, epoch});
  for (const ReplicaId& voter : now.voters)
    if (!Has(members, voter)) return WithoutVoter(std::move(next), voter, wanted.ready);
  SetLearners(members, &next);
  if (next.learners != now.learners) return next;

  Replicas promotable;
  for (const ReplicaId& learner : next.learners)
    if (wanted.ready.contains(learner) && !wanted.leaving.contains(learner.node))
      promotable.push_back(learner);
  const size_t count = WantedVoters(wanted.brokers.size() - wanted.leaving.size());
  if (const auto demoted = VoterToDemote(next, wanted, count)) {
    const bool replace = next.voters.size() <= count && !promotable.empty();
    return Demote(std::move(next), *demoted,
                  replace ? std::optional(promotable.front()) : std::nullopt, wanted.ready);
  }
  const size_t missing = count - std::min(count, next.voters.size());
  if (missing == 0 || promotable.size() < missing) return std::nullopt;
  Replicas voters = next.voters;
  voters.insert(voters.end(), promotable.begin(),
                promotable.begin() + static_cast<std::ptrdiff_t>(missing));
  return WithVoters(std::move(next), std::move(voters));
}

std::optional<Configuration> NextReplicas(const Configuration& now,
                                          const std::vector<ReplicaId>& goal,
                                          const std::set<ReplicaId>& ready) {
  if (!now.outgoing.empty() || now.voters.empty() || goal.empty()) return std::nullopt;
  Configuration next = Begin(now);
  for (const ReplicaId& voter : now.voters)
    if (!Has(goal, voter) && HasNode(goal, voter.node))
      return WithoutVoter(std::move(next), voter, ready);
  SetLearners(goal, &next);
  if (next.learners != now.learners) return next;
  for (const ReplicaId& replica : goal)
    if (!Has(next.voters, replica) && !ready.contains(replica)) return std::nullopt;
  if (!MajorityLives(goal, ready)) return std::nullopt;
  Configuration reached = WithVoters(next, goal);
  if (reached.voters == now.voters) return std::nullopt;
  return reached;
}

bool AreReplicas(const Configuration& now, const std::vector<ReplicaId>& goal) {
  return now.outgoing.empty() && now.learners.empty() && now.voters.size() == goal.size() &&
         std::all_of(goal.begin(), goal.end(),
                     [&](const ReplicaId& r) { return Has(now.voters, r); });
}

}  // namespace varve::server
