// Runs of cores, what many of them reached, and the shortest form of one that fails.
#ifndef VARVE_TESTS_SIM_RAFT_RUNNER_H_
#define VARVE_TESTS_SIM_RAFT_RUNNER_H_

#include <string>
#include <vector>

#include "tests/sim/raft/core_replica.h"
#include "tests/sim/raft/world.h"

namespace varve::raftsim {

// `sites` counts how often each planted defect's guard was asked; it may be null.
RunResult RunCores(const SimOptions& options, Defect defect, DefectSites* sites);

struct Catch {
  uint64_t seeds = 0;     // runs until the first violation; 0: none in `limit`
  std::string violation;  // of that run
  RunResult run;
};
// Runs seeds from `first_seed` on, at most `limit`, until one has a violation.
Catch Hunt(uint64_t first_seed, uint64_t limit, Defect defect);

// One line: counts, simulated time, hash and the violation if there is one.
std::string Summary(const RunResult& result);
// The story of the run's end, the violation, and the command that repeats it.
std::string Failure(uint64_t seed, const RunResult& result, Defect defect);
// Fewer kinds of faults, then fewer events with faults, as long as the same invariant breaks.
SimOptions Shrink(SimOptions options, Defect defect);

// How often many runs together reached each thing that they are meant to reach.
struct Report {
  uint64_t runs = 0, steps = 0, committed = 0, committed_after_healing = 0;
  uint64_t unsynced_lost = 0, reads = 0, violations = 0;
  SimTime simulated = 0;
  SimTime leaderless = 0;  // the longest
  FaultCounts faults{};
  std::array<uint64_t, kMessageTypes> delivered{};
  std::array<uint64_t, 4> roles{};
  DefectSites sites{};

  void Add(const RunResult& result);
  [[nodiscard]] std::string Text() const;
  // Names of what was never reached.
  [[nodiscard]] std::vector<std::string> NeverReached() const;
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_RUNNER_H_
