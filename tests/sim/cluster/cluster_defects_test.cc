// Brokers that are wrong in one way each: the simulated cluster finds every one of them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "tests/sim/cluster/defects.h"
#include "tests/sim/cluster/runner.h"

namespace varve::clustersim {
namespace {

constexpr uint64_t kMostSeeds = 500;
constexpr unsigned kMostSeconds = 60;  // of one seed: a run that does not end is one found

// What a run notices, empty when nothing; without a defect, of right brokers. In a process of its
// own, for a wrong broker may well abort, or never end.
std::string Noticed(const ClusterDefect* defect, uint64_t seed) {
  int ends[2];
  const bool piped = pipe(ends) == 0;
  const pid_t child = piped ? fork() : -1;
  if (child < 0) {
    ADD_FAILURE() << "no process could be made for a run: " << std::strerror(errno);
    return "";
  }
  if (child == 0) {
    close(ends[0]);
    // Its last words are part of the catch, not of this test's output.
    if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
    alarm(kMostSeconds);
    std::optional<PlantedDefect> planted;
    if (defect != nullptr) planted.emplace(*defect);
    const RunResult result = RunCluster(DrawOptions(seed));
    if (result.violations.empty()) _exit(0);
    const std::string& why = result.violations.front();
    _exit(write(ends[1], why.data(), why.size()) > 0 ? 1 : 2);
  }
  close(ends[1]);
  char text[300];
  const ssize_t got = read(ends[0], text, sizeof(text));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status))
    return WTERMSIG(status) == SIGALRM ? "the run does not end" : "a check of the broker aborts";
  EXPECT_LE(WEXITSTATUS(status), 1) << "the process of seed " << seed << " could not report";
  return std::string(text, got > 0 ? static_cast<size_t>(got) : 0);
}

class ClusterDefects : public ::testing::TestWithParam<ClusterDefect> {};

TEST_P(ClusterDefects, IsCaught) {
  uint64_t seed = 0;
  std::string noticed;
  while (noticed.empty() && seed < kMostSeeds) noticed = Noticed(&GetParam(), ++seed);
  ASSERT_FALSE(noticed.empty()) << "by none of " << kMostSeeds << " seeds";
  EXPECT_EQ(Noticed(nullptr, seed), "") << "without any defect, at seed " << seed;
  std::printf("| `%s` | %llu | %s |\n", std::string(GetParam().name).c_str(),
              static_cast<unsigned long long>(seed), noticed.c_str());
}

INSTANTIATE_TEST_SUITE_P(All, ClusterDefects,
                         ::testing::ValuesIn(varve::clustersim::ClusterDefects()),
                         [](const auto& row) {
                           std::string out;
                           bool upper = true;
                           for (const char c : row.param.name) {
                             if (c != '-') out.push_back(static_cast<char>(upper ? c & ~32 : c));
                             upper = c == '-';
                           }
                           return out;
                         });

}  // namespace
}  // namespace varve::clustersim
