// docs/raft_traps.md as a test: with the guard of a trap removed (a defect of raft/core/defect.h
// that its row names), a test that its row names fails; and each of those tests fails with one of
// them.
//
// Every other defect fails some scenario.
//
// Scenarios run in this process and must fail by an `expect` or by an invariant of the core: a
// trace that differs is not enough, since traces are recorded. GoogleTest cases run in
// raft_trap_child.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "common/check.h"
#include "tests/raft/script/script.h"
#include "tests/sim/raft/defect_names.h"

namespace varve::raft {
namespace {

constexpr std::string_view kScenario = "scenario ";

struct Row {
  int trap = 0;
  std::vector<std::string> defects;
  std::vector<std::string> tests;  // those that run on the core
};

// NOLINTNEXTLINE(readability-identifier-naming): GoogleTest's name
void PrintTo(const Row& row, std::ostream* out) { *out << "trap " << row.trap; }

std::vector<std::string> Quoted(const std::string& cell) {
  static const std::regex* quoted = new std::regex("`([^`]*)`");
  std::vector<std::string> found;
  for (std::sregex_iterator at(cell.begin(), cell.end(), *quoted), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

// GoogleTest cases of the core, as "Suite.Name".
std::set<std::string> CasesOfTheCore() {
  std::set<std::string> cases;
  std::FILE* pipe = popen(VARVE_RAFT_TRAP_CHILD " --gtest_list_tests", "r");
  if (pipe == nullptr) return cases;
  std::string suite;
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    std::istringstream words{std::string(line)};
    std::string word;
    words >> word;
    if (line[0] != ' ') {
      suite = word;
    } else {
      cases.insert(suite + word);
    }
  }
  pclose(pipe);
  return cases;
}

std::vector<Row> ReadTable() {
  const std::set<std::string> cases = CasesOfTheCore();
  const std::regex form(R"(\|\s*(\d+)\s*\|[^|]*\|([^|]*)\|([^|]*)\|\s*)");
  std::vector<Row> rows;
  std::ifstream file(VARVE_RAFT_TRAPS);
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (!std::regex_match(line, match, form)) continue;
    Row row{std::stoi(match[1]), Quoted(match[2]), {}};
    for (std::string& test : Quoted(match[3])) {
      if (test.starts_with(kScenario) || cases.contains(test)) row.tests.push_back(std::move(test));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

const std::vector<Row>& Rows() {
  static const auto* rows = new std::vector<Row>(ReadTable());
  return *rows;
}

void Throw(const std::string& message) { throw std::runtime_error(message); }

bool ScenarioFails(const std::string& name, const std::string& defect) {
  std::ifstream in(VARVE_RAFT_SCENARIOS "/" + name + ".raft");
  EXPECT_TRUE(in.is_open()) << name;
  std::ostringstream out;
  planted_defect = *raftsim::DefectNamed(defect);
  internal::check_failed_hook = &Throw;
  bool fails = false;
  try {
    fails = Script().Run(in, out) != Script::kDone;
  } catch (const std::runtime_error&) {
    fails = true;
  }
  internal::check_failed_hook = nullptr;
  planted_defect = Defect::kNone;
  return fails;
}

bool CaseFails(const std::string& name, const std::string& defect) {
  const std::string command = "VARVE_RAFT_DEFECT=" + defect + " " VARVE_RAFT_TRAP_CHILD +
                              " --gtest_filter=" + name + " >/dev/null 2>&1";
  return std::system(command.c_str()) != 0;  // NOLINT(concurrency-mt-unsafe): one thread
}

bool Fails(const std::string& test, const std::string& defect) {
  if (!test.starts_with(kScenario)) return CaseFails(test, defect);
  return ScenarioFails(test.substr(kScenario.size()), defect);
}

class RaftTrap : public testing::TestWithParam<Row> {};

TEST_P(RaftTrap, IsNoticedWithoutItsGuard) {
  const Row& row = GetParam();
  std::set<std::string> unnoticed(row.defects.begin(), row.defects.end());
  for (const std::string& defect : row.defects) {
    ASSERT_TRUE(raftsim::DefectNamed(defect)) << defect;
  }
  for (const std::string& test : row.tests) {
    EXPECT_FALSE(Fails(test, "none")) << test;
    bool notices = false;
    for (const std::string& defect : row.defects) {
      if (!Fails(test, defect)) continue;
      notices = true;
      unnoticed.erase(defect);
      std::printf("trap %d without %s: %s fails\n", row.trap, defect.c_str(), test.c_str());
    }
    EXPECT_TRUE(notices) << test << " passes with every defect of its row";
  }
  for (const std::string& defect : unnoticed) {
    ADD_FAILURE() << "no test of the row fails with " << defect;
  }
}

std::vector<Row> RowsOfTheCore() {
  std::vector<Row> rows;
  for (const Row& row : Rows()) {
    if (!row.defects.empty()) rows.push_back(row);
  }
  return rows;
}

INSTANTIATE_TEST_SUITE_P(Table, RaftTrap, testing::ValuesIn(RowsOfTheCore()),
                         [](const auto& tested) { return std::to_string(tested.param.trap); });

std::vector<std::string> ScenarioNames() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(VARVE_RAFT_SCENARIOS)) {
    if (file.path().extension() == ".raft") names.push_back(file.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// A rule whose removal nobody notices would prove nothing in the simulator either.
TEST(RaftTraps, ADefectOfNoRowFailsAScenario) {
  std::set<std::string> in_rows;
  for (const Row& row : Rows()) in_rows.insert(row.defects.begin(), row.defects.end());
  for (size_t i = 1; i < kDefects; ++i) {
    const std::string defect(raftsim::NameOf(static_cast<Defect>(i)));
    if (in_rows.contains(defect)) continue;
    std::string failed;
    for (const std::string& name : ScenarioNames()) {
      if (ScenarioFails(name, defect)) failed += " " + name;
    }
    EXPECT_FALSE(failed.empty()) << defect;
    std::printf("in no row, without %s:%s fail\n", defect.c_str(), failed.c_str());
  }
}

TEST(RaftTraps, WithoutADefectEveryScenarioHolds) {
  for (const std::string& name : ScenarioNames()) EXPECT_FALSE(ScenarioFails(name, "none")) << name;
}

TEST(RaftTraps, TheTableIsRead) {
  EXPECT_EQ(Rows().size(), 51u);
  EXPECT_FALSE(RowsOfTheCore().empty());
}

}  // namespace
}  // namespace varve::raft
