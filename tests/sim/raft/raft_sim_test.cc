// Many seeds without a violation; every planted defect caught; equal seeds equal runs.
// Seeds derive from VARVE_SEED; VARVE_SLOW=1 runs at least 100 simulated hours and prints the table
// of defects for docs/testing.md.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/sim/raft/runner.h"

namespace varve::raftsim {
namespace {

bool Slow() { return std::getenv("VARVE_SLOW") != nullptr; }
uint64_t FirstSeed() {
  const char* text = std::getenv("VARVE_SEED");
  return (text == nullptr ? 1 : std::strtoull(text, nullptr, 10)) * 1'000'000;
}

TEST(RaftSim, KeepsEveryInvariant) {
  const uint64_t least = Slow() ? 100 * 3600 * kSeconds : 4 * 3600 * kSeconds;
  Report report;
  for (uint64_t seed = FirstSeed(); report.simulated < least; ++seed) {
    const RunResult result = RunCores(DrawOptions(seed), Defect::kNone, &report.sites);
    report.Add(result);
    ASSERT_EQ(result.violation, "") << Failure(seed, result, Defect::kNone);
  }
  std::printf("%s", report.Text().c_str());
  EXPECT_EQ(report.NeverReached(), std::vector<std::string>());
}

// Seeds that failed once, whoever was to blame.
TEST(RaftSim, Corpus) {
  std::ifstream corpus(VARVE_RAFT_SIM_CORPUS);
  ASSERT_TRUE(corpus.is_open());
  uint64_t runs = 0;
  for (std::string line; std::getline(corpus, line);) {
    if (line.empty() || line[0] == '#') continue;
    const uint64_t seed = std::strtoull(line.c_str(), nullptr, 10);
    const RunResult result = RunCores(DrawOptions(seed), Defect::kNone, nullptr);
    EXPECT_EQ(result.violation, "") << Failure(seed, result, Defect::kNone);
    ++runs;
  }
  EXPECT_GT(runs, 0u);
}

TEST(RaftSim, EqualSeedsGiveEqualRuns) {
  for (const uint64_t seed : {7, 8}) {
    const RunResult first = RunCores(DrawOptions(seed), Defect::kNone, nullptr);
    SimOptions told = DrawOptions(seed);
    told.tell = true;  // which must not change the run
    const RunResult again = RunCores(told, Defect::kNone, nullptr);
    EXPECT_EQ(first.hash, again.hash);
    EXPECT_EQ(first.steps, again.steps);
    EXPECT_FALSE(again.story.empty());
    // The same in every build, as `varve_raft_sim --seed N --hash` shows.
    std::printf("hash of seed %llu: %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(first.hash));
  }
  EXPECT_NE(RunCores(DrawOptions(7), Defect::kNone, nullptr).hash,
            RunCores(DrawOptions(8), Defect::kNone, nullptr).hash);
}

TEST(RaftSim, ShrinkingKeepsTheViolation) {
  const Catch caught = Hunt(1, 2'000, Defect::kVoteNotPersisted);
  ASSERT_GT(caught.seeds, 0u);
  const SimOptions drawn = DrawOptions(caught.seeds);
  const SimOptions shrunk = Shrink(drawn, Defect::kVoteNotPersisted);
  const RunResult result = RunCores(shrunk, Defect::kVoteNotPersisted, nullptr);
  EXPECT_EQ(result.violation.substr(0, 3), caught.violation.substr(0, 3));
  EXPECT_LE(std::count(shrunk.on.begin(), shrunk.on.end(), true),
            std::count(drawn.on.begin(), drawn.on.end(), true));
}

class PlantedDefect : public testing::TestWithParam<size_t> {};

TEST_P(PlantedDefect, IsCaught) {
  const auto defect = static_cast<Defect>(GetParam());
  const Catch caught = Hunt(FirstSeed(), 2'000, defect);
  ASSERT_GT(caught.seeds, 0u) << NameOf(defect) << " not caught from seed " << FirstSeed();
  std::printf("| %s | %s | %llu |\n", std::string(NameOf(defect)).c_str(),
              caught.violation.substr(0, caught.violation.find(':')).c_str(),
              static_cast<unsigned long long>(caught.seeds));
}

std::vector<size_t> WithinReach() {
  std::vector<size_t> within;
  for (size_t i = 1; i < kDefects; ++i) {
    if (WhyOutOfReach(static_cast<Defect>(i)).empty()) within.push_back(i);
  }
  return within;
}

INSTANTIATE_TEST_SUITE_P(Defects, PlantedDefect, testing::ValuesIn(WithinReach()),
                         [](const auto& which) {
                           std::string name;
                           for (const char c : NameOf(static_cast<Defect>(which.param))) {
                             if (c != '-') name += c;
                           }
                           return name;
                         });

}  // namespace
}  // namespace varve::raftsim
