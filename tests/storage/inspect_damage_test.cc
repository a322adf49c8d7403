// What inspection says of files that were changed, cut or removed.
#include <nlohmann/json.hpp>

#include "tests/storage/inspect_fixture.h"

namespace varve::storage {
namespace {

TEST_F(InspectTest, AFlippedBitIsDamageInEachKindOfFile) {
  struct Case {
    std::string file;
    uint64_t at;
    uint64_t position;  // that the finding names
  };
  const std::vector<Case> cases = {
      {"identity", 100, 0},
      {kJournal, 70, 0},
      {kJournal, 4096 + 60, 0},
      {kJournal, journal_.commit_positions[0] + 200, journal_.commit_positions[0]},
      {PathOf(closed_, ".log"), 90, 0},
      {PathOf(closed_, ".log"), closed_.positions[0] + 80, closed_.positions[0]},
      {PathOf(closed_, ".log"), closed_.positions[3] + 150, closed_.positions[3]},
      {PathOf(active_, ".log"), active_.positions[2] + 5, active_.positions[2]},
      {PathOf(closed_, ".idx"), 90, 0},
      {PathOf(closed_, ".idx"), 4096 + 48 + 3, 4096 + 48},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(StrCat(c.file, " at ", c.at));
    Flip(c.file, c.at);
    const InspectReport report = Inspect();
    const FileFinding finding = ByPath(report)[c.file];
    EXPECT_TRUE(IsDamage(finding.verdict)) << NameOf(finding.verdict) << " " << finding.reason;
    if (c.file != kJournal || c.position != 0) {
      EXPECT_EQ(finding.position, c.position);
    }
    EXPECT_FALSE(finding.reason.empty());
    EXPECT_EQ(RunCommand({path_}).exit_code, kInspectDamage);
    Flip(c.file, c.at);
  }
  EXPECT_EQ(Inspect().CountDamage(), 0u);
}

TEST_F(InspectTest, ATornLastCommitIsNoDamage) {
  // Nothing vouches for the last commit being durable.
  Flip(kJournal, journal_.commit_positions[1] + 300);
  Cut(PathOf(active_, ".log"), active_.positions[5]);
  Write(PathOf(active_, ".idx"), active_.index.substr(0, 4096 + 4 * 48));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, kJournal);
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, journal_.commit_positions[1]);
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

TEST_F(InspectTest, WhatTheJournalStillHoldsMayBeMissingFromTheSegment) {
  Cut(PathOf(active_, ".log"), active_.positions[4] + 10);
  Write(PathOf(active_, ".idx"), active_.index.substr(0, 4096 + 2 * 48));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, active_.positions[4]);
  EXPECT_THAT(finding.recovery, testing::HasSubstr("from the journal"));
}

TEST_F(InspectTest, CutBelowWhatWasSyncedIsDamage) {
  Cut(PathOf(active_, ".log"), active_.positions[2]);
  EXPECT_EQ(ByPath(Inspect())[PathOf(active_, ".log")].verdict, Verdict::kCorrupt);
  Cut(PathOf(closed_, ".log"), closed_.positions[4] + 9);
  const FileFinding finding = ByPath(Inspect())[PathOf(closed_, ".log")];
  EXPECT_EQ(finding.verdict, Verdict::kCorrupt);
  EXPECT_EQ(finding.position, closed_.positions[4]);
}

TEST_F(InspectTest, BytesBehindTheEndOfTheLogAreCut) {
  Write(PathOf(active_, ".log"), active_.log + std::string(100, 'x'));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
  EXPECT_EQ(finding.position, active_.end_position);
  Write(PathOf(active_, ".log"), active_.log + std::string(8000, '\0'));  // reserved room
  EXPECT_EQ(ByPath(Inspect())[PathOf(active_, ".log")].verdict, Verdict::kOk);
}

TEST_F(InspectTest, DeletedFilesAreMissed) {
  for (const std::string& name :
       {std::string("identity"), PathOf(closed_, ".log"), PathOf(active_, ".log")}) {
    SCOPED_TRACE(name);
    SetUp();
    Remove(name);
    EXPECT_EQ(ByPath(Inspect())[name].verdict, Verdict::kMissing);
    EXPECT_EQ(RunCommand({path_}).exit_code, kInspectDamage);
  }
  SetUp();
  Remove(kJournal);
  EXPECT_FALSE(Inspect().recovery.starts);
  EXPECT_NE(RunCommand({path_}).exit_code, kInspectClean);
  SetUp();
  Remove(PathOf(closed_, ".idx"));  // derived
  EXPECT_EQ(RunCommand({path_}).exit_code, kInspectClean);
}

class InspectTwoJournalFilesTest : public InspectTest {
 protected:
  static constexpr char kNewer[] = "journal/00000000000000000004.jnl";
  void SetUp() override {
    InspectTest::SetUp();
    Checkpoint checkpoint;
    checkpoint.process_epoch = 4;
    checkpoint.last_commit = CommitSequence(22);
    checkpoint.durable_through = CommitSequence(22);
    checkpoint.next_file = FileNumber(9);
    checkpoint.next_generation = Generation(7);
    checkpoint.live_files = {{FileNumber(3), Generation(5)}};
    ReplicaRecord record = MakeRecord({closed_, active_});
    record.last_frame = FrameSequence(11);
    const EntryHeader& synced = active_.entries[2].header;
    record.sync_point = {active_.ref.file, active_.positions[3], synced.last_index,
                         synced.next_offset()};
    checkpoint.replicas.Put(record);
    Write(kNewer, MakeJournal(identity_, {FileNumber(4), Generation(6)}, checkpoint, {}).bytes);
  }
};

TEST_F(InspectTwoJournalFilesTest, BothAreLiveAndClean) {
  const InspectReport report = Inspect();
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  EXPECT_EQ(report.CountDamage(), 0u);
  ASSERT_EQ(report.journal.size(), 2u);
  EXPECT_TRUE(report.journal[0].live && report.journal[1].live);
  EXPECT_TRUE(!report.journal[0].newest_checkpoint && report.journal[1].newest_checkpoint);
}

TEST_F(InspectTwoJournalFilesTest, TheLastCommitOfAnOlderFileIsNeverTorn) {
  Flip(kJournal, journal_.commit_positions[1] + 300);
  const InspectReport report = Inspect();
  EXPECT_TRUE(report.recovery.starts) << report.recovery.refusal;
  ASSERT_EQ(report.recovery.notes.size(), 1u);
  EXPECT_NE(report.recovery.notes[0].find("DurableCommitDamaged"), std::string::npos);
  EXPECT_GT(report.CountDamage(), 0u);
  EXPECT_EQ(ByPath(report)[kJournal].verdict, Verdict::kCorrupt);
  EXPECT_EQ(ByPath(report)[kJournal].position, journal_.commit_positions[1]);
}

TEST_F(InspectTwoJournalFilesTest, ADeletedOlderFileIsMissed) {
  Remove(kJournal);
  const InspectReport report = Inspect();
  EXPECT_FALSE(report.recovery.starts);
  EXPECT_EQ(ByPath(report)[kJournal].verdict, Verdict::kMissing);
}

TEST_F(InspectTwoJournalFilesTest, ATornRollIsNoDamage) {
  Write("journal/00000000000000000005.jnl", std::string(8192, '\0'));
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, "journal/00000000000000000005.jnl");
  EXPECT_EQ(finding.verdict, Verdict::kTorn);
}

TEST_F(InspectTest, AnIndexThatPointsElsewhereIsDamage) {
  MadeSegment other = MakeSegment(identity_, FileNumber(8), closed_.end, 6);
  other.index =
      MakeSegment(identity_, FileNumber(8), {Index(5), Term(3), Offset(4), WallTime(1)}, 6).index;
  other.index.replace(0, 4096, active_.index, 0, 4096);
  Write(PathOf(active_, ".idx"), other.index);
  const FileFinding finding = OnlyFinding(Inspect());
  EXPECT_EQ(finding.path, PathOf(active_, ".idx"));
  EXPECT_EQ(finding.verdict, Verdict::kCorrupt);
}

TEST_F(InspectTest, WithoutVerificationOnlyPayloadDamageIsOverlooked) {
  Flip(PathOf(closed_, ".log"), closed_.positions[3] + 150);
  EXPECT_EQ(Inspect(false).CountDamage(), 0u);
  Flip(PathOf(closed_, ".log"), closed_.positions[3] + 24);  // its index
  EXPECT_EQ(Inspect(false).CountDamage(), 1u);
}

}  // namespace
}  // namespace varve::storage
