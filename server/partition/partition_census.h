// PartitionCensus: how the replicas of one broker stand at a moment, added up.
#ifndef VARVE_SERVER_PARTITION_PARTITION_CENSUS_H_
#define VARVE_SERVER_PARTITION_PARTITION_CENSUS_H_

#include <cstdint>

#include "common/types.h"
#include "server/partition/partition.h"

namespace varve::server {

struct PartitionCensus {
  // Each replica is one of these; a learner is counted as such whatever its role.
  uint64_t leaders = 0, followers = 0, learners = 0, candidates = 0;
  // Of these the ones that know of no leader, internal partitions included.
  uint64_t without_leader = 0;
  uint64_t asleep = 0;
  uint64_t suspect = 0, damaged = 0;
  Term newest_term;
  // Of the partitions that are led here:
  uint64_t under_replicated = 0;
  uint64_t installs_under_way = 0;
  uint64_t configuration_changes = 0;  // not committed, or joint
  uint64_t uncommitted_entries = 0, uncommitted_bytes = 0;
  uint64_t follower_lag_entries = 0, follower_lag_entries_max = 0;

  // On the partition's shard.
  void Add(const Partition& partition);
  void Add(const PartitionCensus& other);
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_PARTITION_CENSUS_H_
