#include "server/partition/partition_census.h"

#include <algorithm>

namespace varve::server {
namespace {

bool IsLearner(const Configuration& now, ReplicaId replica) {
  return std::find(now.learners.begin(), now.learners.end(), replica) != now.learners.end();
}

}  // namespace

void PartitionCensus::Add(const Partition& partition) {
  const raft::Core& core = partition.core();
  const Configurations& configurations = core.configurations();
  if (partition.asleep()) ++asleep;
  if (!partition.suspicion().ok()) ++suspect;
  if (!partition.log().damaged_ranges().empty()) ++damaged;
  if (core.leader().empty()) ++without_leader;
  newest_term = std::max(newest_term, core.term());
  if (IsLearner(core.log().configuration(), core.self())) {
    ++learners;
  } else if (core.role() == raft::Role::kFollower) {
    ++followers;
  } else if (core.role() != raft::Role::kLeader) {
    ++candidates;
  }
  if (core.role() != raft::Role::kLeader) return;
  ++leaders;
  if (configurations.uncommitted || !configurations.committed.configuration.outgoing.empty())
    ++configuration_changes;
  uncommitted_entries += core.end().last_index.value() - core.commit_index().value();
  uncommitted_bytes += core.uncommitted_bytes();
  for (const auto& [id, follower] : core.followers()) {
    const uint64_t held = follower.match.value();
    const uint64_t end = core.end().last_index.value();
    const uint64_t lag = end > held ? end - held : 0;
    follower_lag_entries += lag;
    follower_lag_entries_max = std::max(follower_lag_entries_max, lag);
    if (follower.state == raft::ProgressState::kInstall) ++installs_under_way;
  }
  if (partition.UnderReplicated()) ++under_replicated;
}

void PartitionCensus::Add(const PartitionCensus& other) {
  leaders += other.leaders;
  followers += other.followers;
  learners += other.learners;
  candidates += other.candidates;
  without_leader += other.without_leader;
  asleep += other.asleep;
  suspect += other.suspect;
  damaged += other.damaged;
  newest_term = std::max(newest_term, other.newest_term);
  under_replicated += other.under_replicated;
  installs_under_way += other.installs_under_way;
  configuration_changes += other.configuration_changes;
  uncommitted_entries += other.uncommitted_entries;
  uncommitted_bytes += other.uncommitted_bytes;
  follower_lag_entries += other.follower_lag_entries;
  follower_lag_entries_max = std::max(follower_lag_entries_max, other.follower_lag_entries_max);
}

}  // namespace varve::server
