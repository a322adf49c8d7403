// PartitionMetrics: what the partitions of one shard count together; PartitionTotals: the sums.
#ifndef VARVE_SERVER_PARTITION_PARTITION_METRICS_H_
#define VARVE_SERVER_PARTITION_PARTITION_METRICS_H_

#include <array>
#include <cstdint>

#include "common/metric_cells.h"
#include "raft/shell/group_metrics.h"

namespace varve::server {

// Written on the shard, read at scrapes.
struct PartitionMetrics {
  raft::GroupMetrics groups;
  // From the proposal of a batch to its commit, without the wait for the dirty budget.
  LatencyHistogram commit_latency;
  Counter installs_begun, installs_failed;  // of whole logs, taken here
  Counter segments_repaired;
};

struct PartitionTotals {
  uint64_t elections = 0, leader_changes = 0;
  std::array<uint64_t, raft::kStepDownNames.size()> step_downs{};  // by raft::StepDown
  uint64_t proposals_committed = 0, proposals_refused = 0, proposals_lost = 0,
           proposals_unknown = 0;
  uint64_t deaf_messages = 0, refused_messages = 0, rejected_appends = 0;
  uint64_t installs_offered = 0, installs_begun = 0, installs_taken = 0, installs_failed = 0;
  uint64_t segments_repaired = 0;
  LatencyCounts append_round_trip, commit_latency;
  void Add(const PartitionMetrics& cells);
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_PARTITION_METRICS_H_
