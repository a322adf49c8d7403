// GroupMetrics: what the groups of one shard count together.
#ifndef VARVE_RAFT_SHELL_GROUP_METRICS_H_
#define VARVE_RAFT_SHELL_GROUP_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/metric_cells.h"

namespace varve::raft {

// Why a replica stopped leading.
enum class StepDown : uint8_t {
  kTransfer,    // it handed its leadership over
  kHigherTerm,  // another one began an election unasked
  kNoQuorum,    // no majority answered, or none took entries
  kDisk,        // its disk stalls, failed or forgot
  kRemoved,     // it is no voter any more
};
inline constexpr std::array<std::string_view, 5> kStepDownNames = {"transfer", "higher_term",
                                                                   "no_quorum", "disk", "removed"};

// Written on the shard, read at scrapes. Cells for each shard, so that no cache line travels.
struct GroupMetrics {
  Counter elections;       // begun by replicas here, sole voters' included
  Counter leader_changes;  // another leader than the one before, as replicas here saw it
  std::array<Counter, kStepDownNames.size()> step_downs;  // by StepDown
  Counter proposals_committed, proposals_refused, proposals_lost, proposals_unknown;
  Counter deaf_messages;     // of a process that was lost, not listened to
  Counter refused_messages;  // that no correct replica sends
  Counter rejected_appends;  // that followers answered: their logs differ there
  Counter installs_offered, installs_taken;
  // From an append with entries to the follower's word that they are durable.
  LatencyHistogram append_round_trip;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_SHELL_GROUP_METRICS_H_
