// Every row of the recovery tables is reached from real files: by a crash or fault of the campaign,
// or by a small test named after it. Rows that are marked unreachable never are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>

#include "common/error.h"
#include "tests/storage/fault_campaign.h"
#include "tests/storage/recovery_scenarios.h"

namespace varve::storage {
namespace {

std::vector<RecoveryScenario> AllScenarios() {
  std::vector<RecoveryScenario> all = JournalScenarios();
  for (const RecoveryScenario& scenario : FileScenarios()) all.push_back(scenario);
  return all;
}

class RecoveryRowFromFiles : public testing::TestWithParam<RecoveryScenario> {};

TEST_P(RecoveryRowFromFiles, IsReached) {
  const RecoveryRow reached = GetParam().row;
  const RecoveryRowInfo& row = InfoOf(GetParam().after.value_or(reached));
  RecoveryStage stage;
  ASSERT_NO_FATAL_FAILURE(GetParam().prepare(stage));
  const absl::Status opened = stage.Open();
  EXPECT_GT(stage.trace.count(reached), 0u) << InfoOf(reached).name << ": " << opened;
  if (row.verdict == RecoveryVerdict::kRefuse) {
    EXPECT_EQ(ReasonOf(opened), row.error) << opened;
    EXPECT_NE(MessageOf(opened).find(StrCat("recovery row ", row.name)), std::string_view::npos)
        << opened;
    return;
  }
  ASSERT_TRUE(opened.ok()) << opened;
  stage.script.Check();
}

INSTANTIATE_TEST_SUITE_P(Each, RecoveryRowFromFiles, testing::ValuesIn(AllScenarios()),
                         [](const auto& tested) {
                           return std::string(InfoOf(tested.param.row).name);
                         });

TEST(RecoveryRows, EveryRowIsReachedOrProvenUnreachable) {
  FaultCounts counts;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    EXPECT_EQ(RunCrash(seed, &counts), "") << "seed " << seed;
    EXPECT_EQ(RunFailingDisk(seed, &counts), "") << "seed " << seed;
    EXPECT_EQ(RunDamage(seed, &counts), "") << "seed " << seed;
  }
  RecoveryTrace scenarios;
  for (const RecoveryScenario& scenario : AllScenarios()) {
    RecoveryStage stage;
    ASSERT_NO_FATAL_FAILURE(scenario.prepare(stage));
    stage.Open().IgnoreError();
    scenarios.Add(stage.trace);
  }
  for (const RecoveryRowInfo& row : AllRecoveryRows()) {
    const uint64_t campaign = counts.rows.count(row.row);
    const uint64_t small = scenarios.count(row.row);
    std::cout << row.table << ' ' << row.name << ": campaign " << campaign << ", small tests "
              << small << (row.unreachable.empty() ? "" : " (unreachable)") << '\n';
    if (row.unreachable.empty()) {
      EXPECT_GT(campaign + small, 0u) << row.name << " is reached by nothing";
    } else {
      EXPECT_EQ(campaign + small, 0u) << row.name << " is reached, against: " << row.unreachable;
    }
  }
}

// The tables as docs/recovery.md shows them.
std::string TablesAsText() {
  const std::vector<RecoveryScenario> scenarios = AllScenarios();
  std::string text;
  std::string_view table;
  for (const RecoveryRowInfo& row : AllRecoveryRows()) {
    if (row.table != table) {
      text +=
          StrCat("\n### ", row.table, "\n\n| row | what is seen | verdict | why | reached by |\n",
                 "|---|---|---|---|---|\n");
      table = row.table;
    }
    const bool small = std::any_of(scenarios.begin(), scenarios.end(),
                                   [&](const RecoveryScenario& s) { return s.row == row.row; });
    text += StrCat("| `", row.name, "` | ", ConditionsOf(row), " | ", NameOf(row.verdict),
                   row.verdict == RecoveryVerdict::kRefuse && row.error != Reason::DATA_LOSS
                       ? StrCat(", ", InfoOf(row.error).name)
                       : "",
                   " | ", row.reason, " | ",
                   !row.unreachable.empty() ? StrCat("nothing: ", row.unreachable)
                                            : std::string(small ? "its own test" : "the campaign"),
                   " |\n");
  }
  return text;
}

// With VARVE_RECOVERY_TABLES_OUT=FILE the tables are written there, for the page.
TEST(RecoveryRows, ThePageShowsTheTables) {
  const std::string tables = TablesAsText();
  if (const char* out = std::getenv("VARVE_RECOVERY_TABLES_OUT")) std::ofstream(out) << tables;
  std::ifstream file(VARVE_RECOVERY_PAGE);
  const std::string page(std::istreambuf_iterator<char>(file), {});
  ASSERT_FALSE(page.empty()) << VARVE_RECOVERY_PAGE;
  const size_t at = page.find("\n### directory\n");
  ASSERT_NE(at, std::string::npos);
  const size_t end = page.find("\n## ", at);
  EXPECT_EQ(page.substr(at, end == std::string::npos ? end : end - at), tables)
      << VARVE_RECOVERY_PAGE << " is not what storage/recovery_table.inc says";
}

}  // namespace
}  // namespace varve::storage
