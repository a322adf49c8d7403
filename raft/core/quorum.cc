#include "raft/core/quorum.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "raft/core/defect.h"

namespace varve::raft {
namespace {

// The k-th largest, where k is the smallest majority; `voters` is not empty.
Index MajorityIndexOf(const std::vector<ReplicaId>& voters,
                      absl::FunctionRef<Index(ReplicaId)> held_by) {
  absl::InlinedVector<Index, 8> held;
  held.reserve(voters.size());
  for (const ReplicaId& voter : voters) held.push_back(held_by(voter));
  const auto middle = held.begin() + static_cast<std::ptrdiff_t>(held.size() / 2);
  std::nth_element(held.begin(), middle, held.end(), std::greater<>());
  return *middle;
}

bool HasMajorityOf(const std::vector<ReplicaId>& voters,
                   absl::FunctionRef<bool(ReplicaId)> granted) {
  const auto votes = std::count_if(voters.begin(), voters.end(), granted);
  return static_cast<size_t>(votes) > voters.size() / 2;
}

bool DifferByOneAtMost(const std::vector<ReplicaId>& a, const std::vector<ReplicaId>& b) {
  std::vector<ReplicaId> difference;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::back_inserter(difference));
  return difference.size() <= 1 || Planted(Defect::kTwoVotersAtOnce);
}

}  // namespace

Index MajorityIndex(const Configuration& configuration,
                    absl::FunctionRef<Index(ReplicaId)> held_by) {
  if (configuration.voters.empty()) return Index{};
  const Index index = MajorityIndexOf(configuration.voters, held_by);
  if (configuration.outgoing.empty()) return Planted(Defect::kEmptySideDecides) ? Index{} : index;
  return std::min(index, MajorityIndexOf(configuration.outgoing, held_by));
}

Index CommittableIndex(const Configuration& configuration,
                       absl::FunctionRef<Index(ReplicaId)> durable_on, Index first_of_term) {
  const Index index = MajorityIndex(configuration, durable_on);
  const bool own = index >= first_of_term || Planted(Defect::kOldTermCommittedByCount);
  return own ? index : Index{};
}

bool HasMajority(const Configuration& configuration, absl::FunctionRef<bool(ReplicaId)> granted) {
  return HasMajorityOf(configuration.voters, granted) &&
         (configuration.outgoing.empty() ? !Planted(Defect::kEmptySideDecides)
                                         : HasMajorityOf(configuration.outgoing, granted));
}

bool IsSoleVoter(const Configuration& configuration, ReplicaId replica) {
  const auto alone = [&](const std::vector<ReplicaId>& voters) {
    return voters.size() == 1 && voters.front() == replica;
  };
  return alone(configuration.voters) &&
         (configuration.outgoing.empty() || alone(configuration.outgoing));
}

bool FollowsInOneStep(const Configuration& now, const Configuration& next) {
  if (next.voters.empty()) return false;
  if (!now.outgoing.empty()) {
    return next.outgoing.empty() && (next.voters == now.voters || next.voters == now.outgoing);
  }
  if (next.outgoing.empty()) return DifferByOneAtMost(now.voters, next.voters);
  return next.outgoing == now.voters;
}

}  // namespace varve::raft
