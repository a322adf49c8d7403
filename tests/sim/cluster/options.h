// What one simulated run of a cluster is made of, all of it drawn from its seed.
#ifndef VARVE_TESTS_SIM_CLUSTER_OPTIONS_H_
#define VARVE_TESTS_SIM_CLUSTER_OPTIONS_H_

#include <array>
#include <cstdint>

#include "common/clock.h"
#include "tests/server/sim_cluster.h"
#include "tests/sim/cluster/fault_kind.h"

namespace varve::clustersim {

struct ClusterOptions {
  uint64_t seed = 1;
  uint32_t brokers = 3;
  uint32_t topics = 2;  // at the beginning
  uint32_t partitions = 2;
  uint32_t replicas = 3;
  uint64_t segment_bytes = 64 << 10;
  // Faults begin for so long; then the cluster heals and is judged.
  Nanos storm = 20 * kSecond;
  Nanos fault_gap = kSecond;  // on average, from one fault's beginning to the next
  std::array<uint32_t, kFaultKinds> weights{};
  uint32_t writers = 3;
  uint32_t readers = 2;
  Nanos think = 10 * kMillisecond;  // of each client, on average
  uint32_t max_batch_records = 8;
  uint32_t max_value_bytes = 200;
  uint32_t topic_change_one_in = 0;  // of the writers' actions; 0: topics stay
  uint32_t trim_one_in = 0;          // of the writers' actions: delete-records
  uint32_t move_one_in = 0;          // of the writers' actions: replicas, leaders and partitions
  sim::SimNetworkOptions links;
  server::SimNodeOptions node;
};

ClusterOptions DrawOptions(uint64_t seed);
// Three brokers, eight partitions, 100 operations per second, no faults: what speed is told of.
ClusterOptions SpeedOptions(uint64_t seed);

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_OPTIONS_H_
