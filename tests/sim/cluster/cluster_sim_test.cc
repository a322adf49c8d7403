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

// It knows of nobody but its seeds: without them it would never answer its leader.
TEST(ClusterSim, ABrokerThatDiedBeforeItHeardOfTheMetadataComesBack) {
  server::SimCluster cluster(1, 3);
  cluster.network.Isolate(NodeId{3}, cluster.Ids());
  const auto entered = [&] {
    return cluster.node(2).has_broker() && cluster.node(2).broker().in_cluster();
  };
  for (int wait = 0; wait < 2'000 && !entered(); ++wait) cluster.scheduler.RunFor(kMillisecond);
  ASSERT_TRUE(entered());
  cluster.node(2).Crash();
  cluster.network.Heal();
  cluster.node(2).Start();
  EXPECT_TRUE(cluster.AwaitReady());
}

// Whoever let it in is gone when it can be reached: it finds those who lead now through the seeds.
TEST(ClusterSim, ABrokerThatWasLetInByOneThatIsGoneFindsTheOthers) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {  // they enter in different orders
    server::SimCluster cluster(seed, 4);
    cluster.network.Isolate(NodeId{2}, cluster.Ids());
    cluster.scheduler.RunFor(5 * kSecond);
    for (const size_t i : {0, 2, 3}) ASSERT_TRUE(cluster.node(i).ready());
    ASSERT_TRUE(cluster.node(1).has_broker() && !cluster.node(1).ready());
    cluster.node(0).Crash();
    cluster.network.Heal();
    EXPECT_TRUE(cluster.AwaitReady()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace varve::clustersim
