// The whole broker in one thread: crashes at random, promises kept, equal seeds equal runs.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/error.h"
#include "tests/sim/broker_workload.h"
#include "tests/sim/sim_node.h"

namespace varve::sim {
namespace {

struct RunOptions {
  uint64_t operations = 1000;
  uint64_t crashes = 4;
  Lie lie = Lie::kNone;
};
struct RunResult {
  uint64_t hash = 0;
  uint64_t operations = 0, acknowledged = 0, read = 0, refused = 0;
  double simulated_seconds = 0;
  std::vector<std::string> problems;
};

uint64_t SeedOf(uint64_t run) {
  const char* text = std::getenv("VARVE_SEED");
  return (text == nullptr ? 1 : std::strtoull(text, nullptr, 10)) * 1'000 + run;
}

// One life of a broker under a seeded workload, with crashes in between.
RunResult RunBroker(uint64_t seed, const RunOptions& options) {
  SimScheduler scheduler(seed);
  const auto random = SeededRandom(seed + 1);
  SimNodeOptions node_options;
  node_options.shards = static_cast<uint32_t>(1 + random->Below(3));
  node_options.dirty_budget_bytes = (64 << 10) << random->Below(4);
  node_options.cache_bytes = (16 << 10) << random->Below(4);
  node_options.lie = options.lie;
  SimNode node(scheduler, seed, node_options);
  const auto partitions = static_cast<uint32_t>(1 + random->Below(6));
  BrokerWorkload workload(node, seed, partitions);
  RunResult result;
  const auto fail = [&](const absl::Status& status) {
    result.problems.push_back(std::string(MessageOf(status)));
    return result;
  };
  if (absl::Status status = node.Start(); !status.ok()) return fail(status);
  workload.CreateTopic();
  const uint64_t per_life = options.operations / (options.crashes + 1);
  for (uint64_t life = 0; life <= options.crashes; ++life) {
    for (uint64_t i = 0; i < per_life; ++i) {
      workload.StartOperation();
      // Bursts and pauses: several operations are under way at most times.
      if (random->OneIn(3)) scheduler.RunFor(static_cast<Nanos>(random->Below(3 * kMillisecond)));
    }
    if (life == options.crashes) break;
    workload.ForgetUnderWay();
    random->OneIn(2) ? node.CrashPower() : node.CrashProcess();
    if (random->OneIn(4)) node.DeleteFold();
    if (absl::Status status = node.Start(); !status.ok()) return fail(status);
    if (random->OneIn(3)) workload.Verify();
  }
  workload.Settle();
  workload.Verify();
  // Healed and at rest: nothing is held any more, a clean stop and start change nothing.
  scheduler.RunFor(10 * kSecond);
  if (node.broker().gate().memory_used() != 0)
    result.problems.push_back("requests still hold memory");
  if (node.broker().directory().dirty_bytes() != 0)
    result.problems.push_back("bytes are still dirty");
  if (absl::Status status = node.Stop(); !status.ok()) return fail(status);
  if (absl::Status status = node.Start(); !status.ok()) return fail(status);
  workload.Verify();
  node.CrashProcess();
  result.hash = scheduler.trace_hash();
  result.operations = workload.operations();
  result.acknowledged = workload.acknowledged();
  result.read = workload.read_records();
  result.refused = workload.bad_refused();
  result.simulated_seconds =
      static_cast<double>(scheduler.Now() - MonoTime(kSecond)) / static_cast<double>(kSecond);
  for (const std::string& problem : workload.problems()) result.problems.push_back(problem);
  return result;
}

std::string Joined(const std::vector<std::string>& problems) {
  std::string out;
  for (const std::string& problem : problems) out += problem + "\n";
  return out;
}

TEST(BrokerSim, KeepsEveryPromiseThroughCrashes) {
  const uint64_t runs = std::getenv("VARVE_SLOW") != nullptr ? 5000 : 150;
  uint64_t acknowledged = 0, read = 0, refused = 0;
  for (uint64_t run = 0; run < runs; ++run) {
    const uint64_t seed = SeedOf(run);
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RunResult result = RunBroker(seed, {});
    ASSERT_TRUE(result.problems.empty()) << Joined(result.problems);
    acknowledged += result.acknowledged;
    read += result.read;
    refused += result.refused;
  }
  std::printf("%lu runs: %lu records acknowledged, %lu read, %lu bad batches refused\n", runs,
              acknowledged, read, refused);
  EXPECT_GT(acknowledged, runs * 100);
  EXPECT_GT(read, runs * 100);
  EXPECT_GT(refused, runs * 10);
}

// The hash covers every event, disk operation and, through both, every request and reply.
TEST(BrokerSim, EqualSeedsGiveEqualHashes) {
  const RunOptions options{10'010, 10};
  const RunResult first = RunBroker(7, options);
  ASSERT_TRUE(first.problems.empty()) << Joined(first.problems);
  EXPECT_GE(first.operations, 10'000u);
  const RunResult again = RunBroker(7, options);
  const RunResult other = RunBroker(8, options);
  ASSERT_TRUE(other.problems.empty()) << Joined(other.problems);
  EXPECT_EQ(first.hash, again.hash);
  EXPECT_NE(first.hash, other.hash);
  // scripts/compare-sim-hashes compares these lines between builds.
  std::printf("hash of seed 7: %016lx\nhash of seed 8: %016lx\n", first.hash, other.hash);
  std::printf("%lu operations in %.1f simulated seconds\n", first.operations,
              first.simulated_seconds);
}

// Planted defects: a disk that forgets what it said it had synced loses promises, and that is seen.
class LyingDiskSim : public testing::TestWithParam<Lie> {};

TEST_P(LyingDiskSim, IsFoundOut) {
  uint64_t found = 0;
  constexpr uint64_t kRuns = 20;
  for (uint64_t run = 0; run < kRuns; ++run) {
    RunOptions options;
    options.lie = GetParam();
    found += RunBroker(SeedOf(run), options).problems.empty() ? 0 : 1;
  }
  std::printf("found in %lu of %lu runs\n", found, kRuns);
  EXPECT_GT(found, kRuns / 4);
}
INSTANTIATE_TEST_SUITE_P(Lies, LyingDiskSim, testing::Values(Lie::kDataSync, Lie::kDirectorySync),
                         [](const auto& which) {
                           return which.param == Lie::kDataSync ? "DataSync" : "DirectorySync";
                         });

}  // namespace
}  // namespace varve::sim
