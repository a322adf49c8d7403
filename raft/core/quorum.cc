#include "raft/core/quorum.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace varve::raft {
namespace {

// The k-th largest, where k is the smallest majority; `voters` is not empty.
Index MajorityIndexOf(const std::vector<ReplicaId>& voters,
                      const std::map<ReplicaId, Index>& indices) {
  std::vector<Index> held;
  held.reserve(voters.size());
  for (const ReplicaId& voter : voters) {
    const auto at = indices.find(voter);
    held.push_back(at == indices.end() ? Index{} : at->second);
  }
  const auto middle = held.begin() + static_cast<std::ptrdiff_t>(held.size() / 2);
  std::nth_element(held.begin(), middle, held.end(), std::greater<>());
  return *middle;
}

bool HasMajorityOf(const std::vector<ReplicaId>& voters, const std::set<ReplicaId>& granted) {
  const auto votes = std::count_if(voters.begin(), voters.end(),
                                   [&](const ReplicaId& v) { return granted.contains(v); });
  return static_cast<size_t>(votes) > voters.size() / 2;
}

}  // namespace

Index MajorityIndex(const Configuration& configuration, const std::map<ReplicaId, Index>& indices) {
  if (configuration.voters.empty()) return Index{};
  const Index index = MajorityIndexOf(configuration.voters, indices);
  if (configuration.outgoing.empty()) return index;
  return std::min(index, MajorityIndexOf(configuration.outgoing, indices));
}

Index CommittableIndex(const Configuration& configuration,
                       const std::map<ReplicaId, Index>& durable, Index first_of_term) {
  const Index index = MajorityIndex(configuration, durable);
  return index >= first_of_term ? index : Index{};
}

bool HasMajority(const Configuration& configuration, const std::set<ReplicaId>& granted) {
  return HasMajorityOf(configuration.voters, granted) &&
         (configuration.outgoing.empty() || HasMajorityOf(configuration.outgoing, granted));
}

bool IsSoleVoter(const Configuration& configuration, ReplicaId replica) {
  const auto alone = [&](const std::vector<ReplicaId>& voters) {
    return voters.size() == 1 && voters.front() == replica;
  };
  return alone(configuration.voters) &&
         (configuration.outgoing.empty() || alone(configuration.outgoing));
}

}  // namespace varve::raft
