// One simulated run of a cluster, from formation to judgement.
#ifndef VARVE_TESTS_SIM_CLUSTER_RUNNER_H_
#define VARVE_TESTS_SIM_CLUSTER_RUNNER_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/cluster/options.h"

namespace varve::clustersim {

struct RunResult {
  uint64_t hash = 0;  // of every request, answer, packet, disk operation, timer and task
  uint64_t events = 0, operations = 0;
  uint64_t sent = 0, acknowledged = 0, refused = 0, unknown = 0, found = 0;
  uint64_t looks = 0, compared = 0, elections = 0, packets = 0, topics = 0, moves = 0;
  std::array<uint64_t, kFaultKinds> faults{};
  Nanos simulated = 0;
  std::vector<std::string> violations;  // the first ones

  void Add(const RunResult& other);
  [[nodiscard]] std::string Summary() const;
};

// To the end, or to the first violation.
RunResult RunCluster(const ClusterOptions& options);

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_RUNNER_H_
