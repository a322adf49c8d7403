// The whole broker in one thread, from the request gate down: promises kept through crashes, equal
// seeds equal runs, planted defects found.
// `varve_sim_test --hash SEED` prints the hash of one long run and no more, to be compared between
// processes and builds (scripts/compare-sim-hashes); `--short SEED` repeats one run of ManySeeds.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "tests/sim/simulation.h"

namespace varve::sim {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The run that the acceptance asks for.
SimOptions LongRun(uint64_t seed) { return DrawOptions(seed, 12'000, 10); }
SimOptions ShortRun(uint64_t seed) { return DrawOptions(seed, 1'500, 4); }

uint64_t BaseSeed() {
  const char* text = std::getenv("VARVE_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}
bool Slow() { return std::getenv("VARVE_SLOW") != nullptr; }

std::string Told(const SimResult& result) {
  std::string out = "\n  " + result.Summary();
  for (const std::string& violation : result.violations) out += "\n  " + violation;
  return out;
}

std::string HashText(const SimResult& result) {
  char text[32];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(result.hash));
  return text;
}

// What `--hash SEED` prints first in a process of its own, with another working directory.
std::string HashFromElsewhere(uint64_t seed) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command =
      "cd / && exec '" + program + "' --hash " + std::to_string(seed) + " 2>/dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::array<char, 17> text{};
  const size_t got = std::fread(text.data(), 1, text.size() - 1, pipe);
  // The rest of its line must not block it.
  while (std::fgetc(pipe) != EOF) continue;
  return pclose(pipe) == 0 ? std::string(text.data(), got) : "";
}

// The hash covers every request, reply, disk operation, timer and task.
TEST(BrokerSim, EqualSeedsGiveEqualHashes) {
  const auto began = SteadyClock::now();
  const SimResult first = RunSimulation(LongRun(1));
  const double real = std::chrono::duration<double>(SteadyClock::now() - began).count();
  EXPECT_TRUE(first.violations.empty()) << "seed 1" << Told(first);
  EXPECT_GE(first.operations, 10'000u);
  EXPECT_EQ(first.crashes(), 10u);
  EXPECT_GT(first.power_losses, 0u);
  EXPECT_GT(first.process_crashes, 0u);
  EXPECT_EQ(HashFromElsewhere(1), HashText(first));
  const SimResult other = RunSimulation(LongRun(2));
  EXPECT_TRUE(other.violations.empty()) << "seed 2" << Told(other);
  EXPECT_NE(other.hash, first.hash);
  std::printf("hash of seed 1: %s\nhash of seed 2: %s\n%s\n", HashText(first).c_str(),
              HashText(other).c_str(), first.Summary().c_str());
  std::printf("%.2f real seconds, %.0f simulated ones per real one\n", real,
              static_cast<double>(first.simulated) / 1e9 / real);
}

// One seed after another; each draws another mixture.
TEST(BrokerSim, ManySeeds) {
  const uint64_t runs = Slow() ? 5000 : 150;
  SimResult sum;
  uint64_t crashes = 0;
  for (uint64_t run = 0; run < runs; ++run) {
    const uint64_t seed = BaseSeed() * 1'000'003 + run;
    const SimResult result = RunSimulation(ShortRun(seed));
    ASSERT_TRUE(result.violations.empty())
        << "VARVE_SEED " << BaseSeed() << "; --short " << seed << " repeats it" << Told(result);
    sum.operations += result.operations;
    sum.acknowledged += result.acknowledged;
    sum.refused += result.refused;
    sum.read += result.read;
    crashes += result.crashes();
  }
  std::printf(
      "VARVE_SEED %lu: %lu runs, %lu operations, %lu crashes; %lu batches acknowledged, "
      "%lu refused; %lu reads judged\n",
      BaseSeed(), runs, sum.operations, crashes, sum.acknowledged, sum.refused, sum.read);
  EXPECT_GE(crashes, runs * 4);
  EXPECT_GT(sum.acknowledged, runs * 50);
  EXPECT_GT(sum.refused, runs);
  EXPECT_GT(sum.read, runs * 100);
}

// Every write of a short run is once the last one before the power fails.
TEST(BrokerSim, PowerLossAtEveryWrite) {
  SimOptions options = DrawOptions(7, 250, 0);
  bool ended = false;
  uint64_t boundaries = 0;
  for (; !ended; ++boundaries) {
    options.first_crash_after_writes = boundaries;
    const SimResult result = RunSimulation(options);
    ASSERT_TRUE(result.violations.empty())
        << "power loss after write " << boundaries << Told(result);
    ended = !result.first_crash_came;
  }
  std::printf("power lost at each of %llu boundaries\n",
              static_cast<unsigned long long>(boundaries));
  EXPECT_GT(boundaries, 100u);
}

// In a process of its own: a defect may also break an invariant of the broker,
// which aborts.
bool Fails(Defect defect, uint64_t seed) {
  SimOptions options = ShortRun(seed);
  options.defect = defect;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
    _exit(RunSimulation(options).violations.empty() ? 0 : 1);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

struct Planted {
  Defect defect;
  const char* name;
};
class PlantedDefect : public testing::TestWithParam<Planted> {};

TEST_P(PlantedDefect, IsFound) {
  constexpr uint64_t kSeeds = 12;
  uint64_t found = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    ASSERT_FALSE(Fails(Defect::kNone, seed)) << "seed " << seed << " fails by itself";
    found += Fails(GetParam().defect, seed) ? 1 : 0;
  }
  std::printf("%s: found by %llu of %llu seeds\n", GetParam().name,
              static_cast<unsigned long long>(found), static_cast<unsigned long long>(kSeeds));
  EXPECT_GT(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(Disk, PlantedDefect,
                         testing::Values(Planted{Defect::kNoDataSync, "NoDataSync"},
                                         Planted{Defect::kNoDirectorySync, "NoDirectorySync"},
                                         Planted{Defect::kMisdirectedWrite, "MisdirectedWrite"}),
                         [](const auto& which) { return which.param.name; });

int RunOne(std::string_view mode, const char* text) {
  const uint64_t seed = std::strtoull(text, nullptr, 10);
  const SimResult result = RunSimulation(mode == "--hash" ? LongRun(seed) : ShortRun(seed));
  std::printf("%s %s\n", HashText(result).c_str(), result.Summary().c_str());
  for (const std::string& violation : result.violations)
    std::fprintf(stderr, "%s\n", violation.c_str());
  return result.violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace varve::sim

int main(int argc, char** argv) {
  const std::string_view mode = argc == 3 ? argv[1] : "";
  if (mode == "--hash" || mode == "--short") return varve::sim::RunOne(mode, argv[2]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
