// Majorities of a configuration. Pure functions; while a configuration is joint (`outgoing` is not
// empty), a decision needs a majority of `voters` and one of `outgoing`. Without voters there is
// none.
#ifndef VARVE_RAFT_CORE_QUORUM_H_
#define VARVE_RAFT_CORE_QUORUM_H_

#include <map>
#include <set>

#include "common/config.h"
#include "common/types.h"

namespace varve::raft {

// Highest index that every majority holds, when `indices` says what each replica holds. A replica
// that is absent holds nothing; replicas that do not vote are not counted. 0 when there is none.
[[nodiscard]] Index MajorityIndex(const Configuration& configuration,
                                  const std::map<ReplicaId, Index>& indices);

// Up to where a leader may commit: what every majority holds, provided that this reaches an entry
// of the leader's own term. Counting replicas proves nothing about entries of older terms, which a
// later leader may still replace; they are committed by an own one behind them (section 5.4.2 and
// figure 8 of the Raft paper). `first_of_term` is the leader's first entry in its term; 0 when
// nothing may be committed.
[[nodiscard]] Index CommittableIndex(const Configuration& configuration,
                                     const std::map<ReplicaId, Index>& durable,
                                     Index first_of_term);

// Whether `granted` has every majority.
[[nodiscard]] bool HasMajority(const Configuration& configuration,
                               const std::set<ReplicaId>& granted);

// Whether `replica` decides alone.
[[nodiscard]] bool IsSoleVoter(const Configuration& configuration, ReplicaId replica);

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_QUORUM_H_
