// Every row of the recovery tables is reached from real files: by a crash or fault of the campaign,
// or by a small test named after it. Rows that are marked unreachable never are.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

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

class RecoveryRowFromFiles : public testing::TestWithParam<RecoveryScenario> {
 protected:
  // A damaged replica goes on: everything but the range is there, and it takes writes.
  void ExpectDamaged() {
    PartitionLog& log = stage.host.log(RecoveryStage::kGroup);
    EXPECT_TRUE(log.suspicion().ok()) << log.suspicion();
    ASSERT_EQ(log.damaged_ranges().size(), 1u);
    const DamagedRange range = log.damaged_ranges()[0];
    EXPECT_EQ(ReasonOf(Read(range.first)), Reason::DATA_LOSS);
    EXPECT_EQ(ReasonOf(Read(range.last)), Reason::DATA_LOSS);
    EXPECT_TRUE(Read(range.last + 1).ok()) << Read(range.last + 1);
    EXPECT_TRUE(Write().ok());
  }
  // A suspect one answers every write, and shows nothing that does not verify.
  void ExpectSuspect() {
    PartitionLog& log = stage.host.log(RecoveryStage::kGroup);
    EXPECT_EQ(ReasonOf(log.suspicion()), Reason::REPLICA_SUSPECT);
    EXPECT_EQ(ReasonOf(Write()), Reason::REPLICA_SUSPECT);
    EXPECT_TRUE(Read(log.start().index).ok()) << Read(log.start().index);
    for (const DamagedRange& range : log.damaged_ranges())
      EXPECT_EQ(ReasonOf(Read(range.first)), Reason::DATA_LOSS);
    EXPECT_TRUE(stage.host.directory->health().ok());
  }
  absl::Status Read(Index from) {
    const Index last = stage.script.image().end().last_index;
    return stage.host.Read(RecoveryStage::kGroup, from, last, 1).status();
  }
  absl::Status Write() {
    LogWrite write;
    write.hard_state = HardState{Term{9}, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
    return stage.host.Write(RecoveryStage::kGroup, std::move(write));
  }

  RecoveryStage stage;
};

TEST_P(RecoveryRowFromFiles, IsReached) {
  const RecoveryRow reached = GetParam().row;
  const RecoveryRowInfo& row = InfoOf(GetParam().after.value_or(reached));
  ASSERT_NO_FATAL_FAILURE(GetParam().prepare(stage));
  const absl::Status opened = stage.Open();
  std::string rows;
  for (const RecoveryRowInfo& info : AllRecoveryRows())
    if (stage.trace.count(info.row) > 0) rows += StrCat(info.name, " ");
  EXPECT_GT(stage.trace.count(reached), 0u)
      << InfoOf(reached).name << ", but " << rows << ": " << opened;
  if (row.verdict == RecoveryVerdict::kRefuse) {
    EXPECT_EQ(ReasonOf(opened), row.error) << opened;
    EXPECT_NE(MessageOf(opened).find(StrCat("recovery row ", row.name)), std::string_view::npos)
        << opened;
    return;
  }
  ASSERT_TRUE(opened.ok()) << opened;
  if (row.verdict == RecoveryVerdict::kDamaged) return ExpectDamaged();
  if (row.verdict == RecoveryVerdict::kSuspect) return ExpectSuspect();
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
  std::istringstream shown(page.substr(at, end == std::string::npos ? end : end - at));
  std::istringstream meant(tables);
  for (std::string want, have; std::getline(meant, want); have.clear()) {
    std::getline(shown, have);
    ASSERT_EQ(have, want) << VARVE_RECOVERY_PAGE << " differs from storage/recovery_table.inc";
  }
  std::string more;
  EXPECT_FALSE(std::getline(shown, more)) << more;
}

}  // namespace
}  // namespace varve::storage
