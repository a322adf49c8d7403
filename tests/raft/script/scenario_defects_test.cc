// Scenarios that no core could fail would prove nothing: with each rule of the core removed
// (raft/core/defect.h), at least one scenario does not give its trace.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/check.h"
#include "raft/core/defect.h"
#include "tests/raft/script/script.h"

namespace varve::raft {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Throw(const std::string& message) { throw std::runtime_error(message); }

// Whether the scenario gives its trace.
bool Holds(const std::filesystem::path& path) {
  std::istringstream in(ReadFile(path));
  std::ostringstream out;
  try {
    if (Script().Run(in, out) != Script::kDone) return false;
  } catch (const std::runtime_error&) {
    return false;  // an invariant of the core's own
  }
  std::filesystem::path trace = path;
  return out.str() == ReadFile(trace.replace_extension(".trace"));
}

std::vector<std::string> ScenariosThatFail() {
  std::vector<std::string> failed;
  for (const auto& file : std::filesystem::directory_iterator(VARVE_RAFT_SCENARIOS)) {
    if (file.path().extension() == ".raft" && !Holds(file.path())) {
      failed.push_back(file.path().stem());
    }
  }
  std::sort(failed.begin(), failed.end());
  return failed;
}

class ScenarioDefects : public testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { internal::check_failed_hook = &Throw; }
  void TearDown() override {
    internal::check_failed_hook = nullptr;
    planted_defect = Defect::kNone;
  }
};

TEST_P(ScenarioDefects, IsSeenBySome) {
  planted_defect = static_cast<Defect>(GetParam());
  const std::vector<std::string> failed = ScenariosThatFail();
  EXPECT_FALSE(failed.empty());
  for (const std::string& name : failed) std::printf("defect %zu: %s\n", GetParam(), name.c_str());
}

INSTANTIATE_TEST_SUITE_P(Defects, ScenarioDefects, testing::Range(size_t{1}, kDefects));

TEST(ScenarioDefectsTest, WithoutADefectAllHold) {
  EXPECT_EQ(ScenariosThatFail(), std::vector<std::string>());
}

}  // namespace
}  // namespace varve::raft
