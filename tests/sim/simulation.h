// Simulation: one run of a whole broker under load and crashes, judged by the
// oracle.
#ifndef VARVE_TESTS_SIM_SIMULATION_H_
#define VARVE_TESTS_SIM_SIMULATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/sim_options.h"

namespace varve::sim {

struct SimResult {
  uint64_t hash = 0;  // of every request, answer, disk operation, timer and task
  uint64_t operations = 0, events = 0, disk_operations = 0;
  uint32_t process_crashes = 0, power_losses = 0, clean_stops = 0, lost_folds = 0;
  bool first_crash_came = false;  // of first_crash_after_writes, before the run's end
  uint64_t sent = 0, acknowledged = 0, refused = 0, read = 0;  // batches
  uint64_t recovered_unknown = 0, lost_unknown = 0, topics = 0;
  Nanos simulated = 0;
  std::vector<std::string> violations;  // the first ones; empty when every promise was kept

  [[nodiscard]] uint32_t crashes() const { return process_crashes + power_losses; }
  // What happened, on one line.
  [[nodiscard]] std::string Summary() const;
};

// Runs to the end, or to the first violation.
SimResult RunSimulation(const SimOptions& options);

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_SIMULATION_H_
