// Majorities of a configuration. Pure functions; while a configuration is joint (`outgoing` is not
// empty), a decision needs a majority of `voters` and one of `outgoing` (Ongaro's thesis, 4.3).
// Without voters there is none. Who does not vote is never asked about.
#ifndef VARVE_RAFT_CORE_QUORUM_H_
#define VARVE_RAFT_CORE_QUORUM_H_

#include "absl/functional/function_ref.h"
#include "common/config.h"
#include "common/types.h"

namespace varve::raft {

// Highest index that every majority holds, when `held_by` says what a voter holds; 0 when there is
// none.
[[nodiscard]] Index MajorityIndex(const Configuration& configuration,
                                  absl::FunctionRef<Index(ReplicaId)> held_by);

// Up to where a leader may commit: what every majority holds, provided that this reaches an entry
// of the leader's own term. Counting replicas proves nothing about entries of older terms, which a
// later leader may still replace; they are committed by an own one behind them (section 5.4.2 and
// figure 8 of the Raft paper). `first_of_term` is the leader's first entry in its term; 0 when
// nothing may be committed.
[[nodiscard]] Index CommittableIndex(const Configuration& configuration,
                                     absl::FunctionRef<Index(ReplicaId)> durable_on,
                                     Index first_of_term);

// Whether every majority has `granted`.
[[nodiscard]] bool HasMajority(const Configuration& configuration,
                               absl::FunctionRef<bool(ReplicaId)> granted);

// Whether each majority of one shares a voter with each majority of the other: one voter more or
// less (Ongaro's thesis, 4.1), or into and out of a joint configuration (4.3). Out of it to the
// outgoing voters is a change that was cancelled.
[[nodiscard]] bool FollowsInOneStep(const Configuration& now, const Configuration& next);

// Whether `replica` decides alone.
[[nodiscard]] bool IsSoleVoter(const Configuration& configuration, ReplicaId replica);

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_QUORUM_H_
