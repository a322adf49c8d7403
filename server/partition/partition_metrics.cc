#include "server/partition/partition_metrics.h"

namespace varve::server {

void PartitionTotals::Add(const PartitionMetrics& cells) {
  const raft::GroupMetrics& groups = cells.groups;
  elections += groups.elections.value();
  leader_changes += groups.leader_changes.value();
  for (size_t i = 0; i < step_downs.size(); ++i) step_downs[i] += groups.step_downs[i].value();
  proposals_committed += groups.proposals_committed.value();
  proposals_refused += groups.proposals_refused.value();
  proposals_lost += groups.proposals_lost.value();
  proposals_unknown += groups.proposals_unknown.value();
  deaf_messages += groups.deaf_messages.value();
  refused_messages += groups.refused_messages.value();
  rejected_appends += groups.rejected_appends.value();
  installs_offered += groups.installs_offered.value();
  installs_begun += cells.installs_begun.value();
  installs_taken += groups.installs_taken.value();
  installs_failed += cells.installs_failed.value();
  segments_repaired += cells.segments_repaired.value();
  append_round_trip.Add(groups.append_round_trip.Read());
  commit_latency.Add(cells.commit_latency.Read());
}

}  // namespace varve::server
