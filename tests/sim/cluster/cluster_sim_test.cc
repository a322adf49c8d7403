// Whole clusters in one thread: promises kept through crashes, power losses, cuts and full disks,
// equal seeds equal runs. `varve-sim --seed N` repeats one run.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/sim/cluster/runner.h"

namespace varve::clustersim {
namespace {

uint64_t BaseSeed() {
  const char* text = std::getenv("VARVE_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}
bool Slow() { return std::getenv("VARVE_SLOW") != nullptr; }

std::string Told(const RunResult& result) {
  std::string out = "\n  " + result.Summary();
  for (const std::string& violation : result.violations) out += "\n  " + violation;
  return out;
}

TEST(ClusterSim, EqualSeedsGiveEqualHashes) {
  for (const uint64_t seed : {1, 2}) {
    const RunResult first = RunCluster(DrawOptions(seed));
    const RunResult second = RunCluster(DrawOptions(seed));
    EXPECT_TRUE(first.violations.empty()) << "seed " << seed << Told(first);
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
    std::printf("hash of seed %llu: %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(first.hash));
  }
}

TEST(ClusterSim, ManySeeds) {
  const uint64_t runs = Slow() ? 2000 : 40;
  RunResult sum;
  for (uint64_t run = 0; run < runs; ++run) {
    const uint64_t seed = BaseSeed() * 1'000'003 + run;
    const RunResult result = RunCluster(DrawOptions(seed));
    ASSERT_TRUE(result.violations.empty()) << "VARVE_SEED " << BaseSeed() << "; varve-sim --seed "
                                           << seed << " repeats it" << Told(result);
    sum.Add(result);
  }
  std::printf("VARVE_SEED %llu: %llu runs, %s\n", static_cast<unsigned long long>(BaseSeed()),
              static_cast<unsigned long long>(runs), sum.Summary().c_str());
  EXPECT_GT(sum.acknowledged, runs * 50);
  EXPECT_GT(sum.found, runs * 50);
  EXPECT_GT(sum.compared, runs * 50);
}

}  // namespace
}  // namespace varve::clustersim
