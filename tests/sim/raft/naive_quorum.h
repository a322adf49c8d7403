// Majorities by their definition, for the checkers: a twin of raft/core/quorum.h.
#ifndef VARVE_TESTS_SIM_RAFT_NAIVE_QUORUM_H_
#define VARVE_TESTS_SIM_RAFT_NAIVE_QUORUM_H_

#include <vector>

#include "common/config.h"

namespace varve::raftsim {

template <class Granted>
bool HasMajorityOf(const std::vector<ReplicaId>& voters, const Granted& granted) {
  size_t count = 0;
  for (const ReplicaId voter : voters) count += granted(voter) ? 1 : 0;
  return 2 * count > voters.size();
}

// Of the voters and, while the configuration is joint, of the outgoing ones (Ongaro's thesis 4.3).
template <class Granted>
bool HasMajority(const Configuration& configuration, const Granted& granted) {
  if (!HasMajorityOf(configuration.voters, granted)) return false;
  return configuration.outgoing.empty() || HasMajorityOf(configuration.outgoing, granted);
}

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_NAIVE_QUORUM_H_
