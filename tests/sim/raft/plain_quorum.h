// Majorities by their definition, for the plain replica and the checkers.
#ifndef VARVE_TESTS_SIM_RAFT_PLAIN_QUORUM_H_
#define VARVE_TESTS_SIM_RAFT_PLAIN_QUORUM_H_

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
// `incoming_only` leaves the latter out; only a planted defect does that.
template <class Granted>
bool HasMajority(const Configuration& configuration, const Granted& granted, bool incoming_only) {
  if (!HasMajorityOf(configuration.voters, granted)) return false;
  return incoming_only || configuration.outgoing.empty() ||
         HasMajorityOf(configuration.outgoing, granted);
}

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_PLAIN_QUORUM_H_
