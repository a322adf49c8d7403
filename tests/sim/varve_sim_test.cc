// The whole broker in one thread. `varve_sim_test --hash SEED` prints the hash of one run and no
// more, to be compared between processes and builds (scripts/compare-sim-hashes).
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "common/random.h"
#include "tests/sim/simulation.h"

namespace varve::sim {
namespace {

// The run that the acceptance asks for.
SimOptions LongRun(uint64_t seed) { return DrawOptions(seed, 12'000, 10); }

uint64_t BaseSeed() {
  const char* text = std::getenv("VARVE_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}
bool Slow() { return std::getenv("VARVE_SLOW") != nullptr; }

std::string Told(const SimResult& result) {
  std::string out;
  for (const std::string& violation : result.violations) out += "\n  " + violation;
  return out;
}

void Report(uint64_t seed, const SimResult& result,
            std::chrono::steady_clock::time_point began) {
  const double real =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::printf("seed %llu: hash %016llx; %s in %.2f s (%.1f simulated s/s)\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(result.hash),
              result.Summary().c_str(), real,
              static_cast<double>(result.simulated) / 1e9 / real);
}

TEST(SimTest, TenThousandOperationsAndTenCrashesAreTheSameTwice) {
  const auto began = std::chrono::steady_clock::now();
  const SimResult first = RunSimulation(LongRun(1));
  Report(1, first, began);
  EXPECT_TRUE(first.violations.empty()) << "seed 1" << Told(first);
  EXPECT_GE(first.operations, 10'000u);
  EXPECT_EQ(first.crashes(), 10u);
  EXPECT_GT(first.power_losses, 0u);
  EXPECT_GT(first.process_crashes, 0u);
  EXPECT_EQ(RunSimulation(LongRun(1)).hash, first.hash);
  const SimResult other = RunSimulation(LongRun(2));
  EXPECT_TRUE(other.violations.empty()) << "seed 2" << Told(other);
  EXPECT_NE(other.hash, first.hash);
}

}  // namespace
}  // namespace varve::sim

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--hash") {
    const auto result = varve::sim::RunSimulation(
        varve::sim::LongRun(std::strtoull(argv[2], nullptr, 10)));
    std::printf("%016llx %s\n", static_cast<unsigned long long>(result.hash),
                result.Summary().c_str());
    for (const std::string& violation : result.violations) std::cerr << violation << "\n";
    return result.violations.empty() ? 0 : 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
