// Staged logs: installs and repairs from another replica, whole or not at all.
#include "storage/staged_log.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

constexpr ReplicaId kVoter{NodeId{1}, ReplicaEpoch{1}};

// The fixture's log is the peer's: what it holds is staged at `target`.
class StagedLogTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    for (int i = 0; i < 4; ++i) {
      script.Append(5, 700);
      script.Roll();
    }
    script.Append(3, 300);
    script.NewTerm();
    script.Append(2, 100);
    script.Commit(script.image().end().last_index);
    Settle();
    ASSERT_TRUE(target.Open().ok());
    ASSERT_TRUE(target.Create(kGroup).ok());
  }

  const std::vector<Entry>& entries() const { return script.image().entries; }
  // [first, last] by index.
  std::vector<Entry> Entries(Index first, Index last) const {
    std::vector<Entry> out;
    for (const Entry& entry : entries()) {
      if (entry.header.first_index >= first && entry.header.last_index <= last) {
        out.push_back(entry);
      }
    }
    return out;
  }
  std::vector<Index> SegmentStarts() const {
    std::vector<Index> out;
    for (const Entry& entry : entries()) {
      if (entry.header.kind == EntryKind::kMeta && IsSegmentStart(entry.payload())) {
        out.push_back(entry.header.first_index);
      }
    }
    return out;
  }

  static absl::Status Wait(DirectoryHost& on,
                           const std::function<void(PartitionLog::Done)>& begin) {
    auto result = std::make_shared<std::optional<absl::Status>>();
    on.OnShard([&] { begin([result](absl::Status status) { *result = std::move(status); }); });
    if (!on.scheduler.RunUntil([&] { return result->has_value(); }, 10 * kSecond)) {
      return absl::DeadlineExceededError("no answer");
    }
    return **result;
  }
  // In pieces of `piece` entries.
  absl::Status StageAt(DirectoryHost& on, std::vector<Entry> what, size_t piece,
                       std::unique_ptr<StagedLog>* staged) {
    on.OnShard([&] { *staged = on.log(kGroup).Stage(); });
    for (size_t at = 0; at < what.size(); at += piece) {
      std::vector<Entry> some(
          what.begin() + static_cast<std::ptrdiff_t>(at),
          what.begin() + static_cast<std::ptrdiff_t>(std::min(what.size(), at + piece)));
      const absl::Status status = Wait(on, [&](PartitionLog::Done done) {
        (*staged)->Append(std::move(some), std::move(done));
      });
      if (!status.ok()) return status;
    }
    return Wait(on, [&](PartitionLog::Done done) { (*staged)->Finish(std::move(done)); });
  }
  InstalledLog WholeLog() const {
    InstalledLog as;
    as.start = script.image().start;
    as.configurations.committed = {Index{0}, OneVoter()};
    as.consistent_from = Index{3};
    return as;
  }
  absl::Status InstallAt(DirectoryHost& on, std::vector<Entry> what, const InstalledLog& as,
                         size_t piece = 4) {
    std::unique_ptr<StagedLog> staged;
    LogWrite term;
    term.hard_state = HardState{Term{9}, kVoter};
    absl::Status status = on.Write(kGroup, std::move(term));
    if (status.ok()) status = StageAt(on, std::move(what), piece, &staged);
    if (!status.ok()) {
      on.OnShard([&] { staged.reset(); });
      return status;
    }
    return Wait(on, [&](PartitionLog::Done done) {
      on.log(kGroup).Install(std::move(staged), as, std::move(done));
    });
  }
  void ExpectHolds(DirectoryHost& on, const std::vector<Entry>& wanted) {
    const auto image = on.Image(kGroup);
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_EQ(image->entries.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(image->entries[i].frame.view(), wanted[i].frame.view()) << i;
    }
    const PartitionLog& log = on.log(kGroup);
    EXPECT_EQ(log.end(), EndAfter(wanted.back()));
    EXPECT_EQ(log.ends().back(), log.end());
    EXPECT_EQ(log.commit_index(), log.end().last_index);
  }
  // The log takes writes behind its end.
  void ExpectGoesOn(DirectoryHost& on) {
    const LogEnd end = on.log(kGroup).end();
    LogWrite write;
    write.entries.push_back(DataEntry(kGroup, end, Term{9}, 2, 50));
    ASSERT_TRUE(on.Write(kGroup, std::move(write)).ok());
    const auto read = on.Read(kGroup, end.last_index + 1, end.last_index + 1, 1 << 20);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->entries.size(), 1u);
  }
  size_t FilesAt(DirectoryHost& on) {
    size_t files = 0;
    const auto listed = on.disk.List(JoinPath("data/groups", GroupDirectoryName(kGroup)));
    for (const DirectoryEntry& entry : *listed) files += entry.name.ends_with(".log") ? 1 : 0;
    return files;
  }

  DirectoryHost target{8};
};

TEST_F(StagedLogTest, AnInstallReplacesTheWholeLog) {
  ASSERT_TRUE(InstallAt(target, entries(), WholeLog()).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, entries()));
  EXPECT_EQ(target.log(kGroup).durable_index(), script.image().end().last_index);
  EXPECT_EQ(target.log(kGroup).epochs(), log().epochs());
  EXPECT_EQ(target.log(kGroup).hard_state().term, Term{9});
  EXPECT_EQ(target.log(kGroup).Segments().size(), log().Segments().size());
  for (const bool power : {false, true}) {
    target.scheduler.RunFor(power ? 2 * kSecond : 0);
    target.Crash(power);
    ASSERT_TRUE(target.Open().ok());
    ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, entries()));
  }
  EXPECT_EQ(FilesAt(target), log().Segments().size());
  ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(target));
  ASSERT_TRUE(target.Close().ok());
  ASSERT_TRUE(target.Open().ok());
  ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(target));
}

TEST_F(StagedLogTest, AnInstallMayBeginBehindTheOldLog) {
  const Index first = SegmentStarts().at(2);
  const std::vector<Entry> suffix = Entries(first, script.image().end().last_index);
  InstalledLog as = WholeLog();
  as.start = {first, suffix.front().header.base_offset + 2, *log().TermAt(first - 1)};
  ASSERT_TRUE(InstallAt(target, suffix, as, 100).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, suffix));
  EXPECT_EQ(target.log(kGroup).start(), as.start);
  target.Crash(true);
  ASSERT_TRUE(target.Open().ok());
  EXPECT_EQ(target.log(kGroup).start(), as.start);
  EXPECT_EQ(target.log(kGroup).TermAt(first - 1), as.start.previous_term);
  ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(target));
}

TEST_F(StagedLogTest, WhatIsDroppedLeavesNothing) {
  std::unique_ptr<StagedLog> staged;
  ASSERT_TRUE(StageAt(target, entries(), 7, &staged).ok());
  EXPECT_GT(FilesAt(target), 4u);
  target.OnShard([&] { staged.reset(); });
  target.scheduler.RunFor(kSecond);
  EXPECT_EQ(FilesAt(target), 1u);
  // Left behind by a crash, they go at the next start.
  ASSERT_TRUE(StageAt(target, entries(), 7, &staged).ok());
  target.Crash(true);
  staged.reset();
  ASSERT_TRUE(target.Open().ok());
  target.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(FilesAt(target), 1u);
  EXPECT_EQ(target.log(kGroup).end().last_index, Index{1});
}

TEST_F(StagedLogTest, EntriesThatDoNotBelongTogetherAreRefused) {
  struct Case {
    const char* name;
    std::vector<Entry> what;
  };
  std::vector<Entry> gap = entries();
  gap.erase(gap.begin() + 3);
  std::vector<Entry> headless(entries().begin() + 1, entries().end());
  std::vector<Entry> damaged = entries();
  std::string bytes(damaged[4].frame.view());
  bytes[bytes.size() - 5] ^= 1;
  damaged[4].frame = SharedBytes::Copy(bytes);
  std::vector<Entry> lying = entries();
  lying[4].header.append_time = lying[4].header.append_time + 1;
  const Case cases[] = {{"a gap", gap},
                        {"no segment start", headless},
                        {"a flipped bit", damaged},
                        {"a header that says otherwise", lying}};
  for (const Case& c : cases) {
    const absl::Status status = InstallAt(target, c.what, WholeLog());
    EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << c.name << ": " << status;
    target.scheduler.RunFor(kSecond);
    EXPECT_EQ(FilesAt(target), 1u) << c.name;
    ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(target));
  }
}

TEST_F(StagedLogTest, AnOlderLogIsNotInstalled) {
  ASSERT_TRUE(InstallAt(target, entries(), WholeLog()).ok());
  const Index some = SegmentStarts().at(2) + 1;
  EXPECT_EQ(ReasonOf(InstallAt(target, Entries(Index{1}, some), WholeLog())), Reason::DATA_LOSS);
  InstalledLog elsewhere = WholeLog();
  elsewhere.start.index = Index{5};
  EXPECT_EQ(ReasonOf(InstallAt(target, entries(), elsewhere)), Reason::DATA_LOSS);
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, entries()));
}

TEST_F(StagedLogTest, AFullDiskStagesNothingAndLosesNothing) {
  target.disk.SetCapacity(target.disk.used_bytes() + 8'000);
  const absl::Status status = InstallAt(target, entries(), WholeLog());
  EXPECT_EQ(ReasonOf(status), Reason::NO_SPACE) << status;
  target.disk.SetCapacity(uint64_t{1} << 40);
  target.scheduler.RunFor(kSecond);
  ASSERT_TRUE(InstallAt(target, entries(), WholeLog()).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, entries()));
}

// A log without reserve, whose own writes wait for room on a full disk.
class StagedLogOnFullDiskTest : public StagedLogTest {
 protected:
  void SetUp() override {
    StagedLogTest::SetUp();
    full.options.reserve_bytes = 0;
    full.options.sync_interval = 100 * kMillisecond;
    ASSERT_TRUE(full.Open().ok());
    ASSERT_TRUE(full.Create(kGroup).ok());
    LogWrite term;
    term.hard_state = HardState{Term{9}, kVoter};
    ASSERT_TRUE(full.Write(kGroup, std::move(term)).ok());
    full.scheduler.RunFor(kSecond);
  }
  void WriteWithoutRoom() {
    full.disk.SetCapacity(full.disk.used_bytes());
    LogWrite write;
    write.entries.push_back(DataEntry(kGroup, full.log(kGroup).end(), Term{9}, 2, 9'000));
    ASSERT_TRUE(full.Write(kGroup, std::move(write)).ok()) << "the journal has room of its own";
    full.scheduler.RunFor(kSecond);
    ASSERT_TRUE(Waits());
  }
  bool Waits() { return full.directory->dirty_bytes() > 0; }
  void Stage() {
    full.OnShard([&] { staged = full.log(kGroup).Stage(); });
  }
  // Answered in `answer`.
  void Append(std::vector<Entry> what) {
    answer.reset();
    full.OnShard([&] {
      staged->Append(std::move(what), [this](absl::Status status) { answer = std::move(status); });
    });
  }
  void Answered() {
    ASSERT_TRUE(full.scheduler.RunUntil([&] { return answer.has_value(); }, kSecond));
    EXPECT_TRUE(answer->ok()) << *answer;
  }

  DirectoryHost full{9};
  std::unique_ptr<StagedLog> staged;
  std::optional<absl::Status> answer;
};

// What was admitted comes first.
TEST_F(StagedLogOnFullDiskTest, AnAppendWaitsBehindWritesThatWaitForRoom) {
  ASSERT_NO_FATAL_FAILURE(WriteWithoutRoom());
  Stage();
  Append(entries());
  full.scheduler.RunFor(kSecond);
  EXPECT_FALSE(answer.has_value()) << *answer;
  full.disk.SetCapacity(uint64_t{1} << 40);
  ASSERT_NO_FATAL_FAILURE(Answered());
  EXPECT_FALSE(Waits());
  ASSERT_TRUE(Wait(full, [&](PartitionLog::Done done) { staged->Finish(std::move(done)); }).ok());
  ASSERT_TRUE(Wait(full, [&](PartitionLog::Done done) {
                full.log(kGroup).Install(std::move(staged), WholeLog(), std::move(done));
              }).ok());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(full, entries()));
}

TEST_F(StagedLogOnFullDiskTest, RoomForTheWritesAloneIsTheirs) {
  ASSERT_NO_FATAL_FAILURE(WriteWithoutRoom());
  Stage();
  Append(entries());
  full.disk.SetCapacity(full.disk.used_bytes() + 24'000);
  ASSERT_TRUE(full.scheduler.RunUntil([&] { return answer.has_value(); }, 10 * kSecond));
  EXPECT_EQ(ReasonOf(*answer), Reason::NO_SPACE) << *answer;
  EXPECT_FALSE(Waits());
  full.OnShard([&] { staged.reset(); });
}

// Its files are room that the writes wait for.
TEST_F(StagedLogOnFullDiskTest, WhatIsDroppedWhileItWaitsGivesItsRoomBack) {
  Stage();
  Append(Entries(Index{1}, SegmentStarts().at(3) - 1));
  ASSERT_NO_FATAL_FAILURE(Answered());
  ASSERT_NO_FATAL_FAILURE(WriteWithoutRoom());
  Append(Entries(SegmentStarts().at(3), script.image().end().last_index));
  full.scheduler.RunFor(kSecond);
  EXPECT_FALSE(answer.has_value()) << *answer;
  full.OnShard([&] { staged.reset(); });
  full.scheduler.RunFor(kSecond);
  EXPECT_FALSE(Waits());
  EXPECT_EQ(FilesAt(full), 1u);
}

TEST_F(StagedLogOnFullDiskTest, AFailedDirectoryStagesNothing) {
  Stage();
  full.disk.AddFault({.kind = SimFault::Kind::kSyncError, .path_prefix = "data/groups"});
  LogWrite write;
  write.entries.push_back(DataEntry(kGroup, full.log(kGroup).end(), Term{9}, 2, 900));
  ASSERT_TRUE(full.Write(kGroup, std::move(write)).ok());
  full.scheduler.RunFor(kSecond);
  ASSERT_FALSE(full.directory->health().ok());
  Append(entries());
  ASSERT_TRUE(full.scheduler.RunUntil([&] { return answer.has_value(); }, kSecond));
  EXPECT_EQ(ReasonOf(*answer), Reason::DISK_FAILED) << *answer;
  full.OnShard([&] { staged.reset(); });
}

// The old log, or the new one; the new one when that was said.
TEST_F(StagedLogTest, AtEveryWriteItIsTheOldLogOrTheNew) {
  uint64_t ops = 1'000;
  for (uint64_t k = 0; k <= ops; ++k) {
    SCOPED_TRACE(testing::Message() << "power lost after operation " << k << " of " << ops);
    DirectoryHost on(k + 1);
    ASSERT_TRUE(on.Open().ok());
    ASSERT_TRUE(on.Create(kGroup).ok());
    LogScript old(&on, kGroup);
    old.Begin();
    old.NewTerm();
    old.Append(4, 500);
    old.Roll();
    old.Append(2, 500);
    ASSERT_TRUE(on.scheduler.RunUntil([&] { return old.Settled(); }, 10 * kSecond));
    const std::vector<Entry> before = old.image().entries;
    const uint64_t begun = on.disk.ops();
    if (k < ops) on.disk.FailAfter(k);
    const absl::Status status = InstallAt(on, entries(), WholeLog());
    if (k == 0 || status.ok()) on.scheduler.RunFor(kSecond);
    const bool died = on.disk.dead();
    if (!died && status.ok()) ops = std::min(ops, on.disk.ops() - begun);
    on.Crash(true);
    const absl::Status opened = on.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    const bool is_new = on.log(kGroup).commit_index() == script.image().end().last_index;
    ASSERT_TRUE(is_new || !status.ok());
    const auto image = on.Image(kGroup);
    ASSERT_TRUE(image.ok()) << image.status();
    const std::vector<Entry>& wanted = is_new ? entries() : before;
    ASSERT_EQ(image->entries.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(image->entries[i].frame.view(), wanted[i].frame.view()) << i;
    }
    ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(on));
  }
  EXPECT_GT(ops, 10u);
  EXPECT_LT(ops, 1'000u);
}

// --- Repair

class RepairTest : public StagedLogTest {
 protected:
  // Everything is durable in segments, then one of them is damaged and the directory opened again.
  void Damage(size_t segment) {
    host.scheduler.RunFor(5 * kSecond);
    ASSERT_TRUE(host.Close().ok());
    const std::string path = GroupFiles(".log").at(segment);
    ASSERT_TRUE(host.disk.Corrupt(path, kFileHeaderBytes + 200, "damage").ok());
    ASSERT_TRUE(host.Open().ok());
  }
  absl::Status RepairWith(std::vector<Entry> what) {
    std::unique_ptr<StagedLog> staged;
    absl::Status status = StageAt(host, std::move(what), 3, &staged);
    if (!status.ok()) return status;
    return Wait(host,
                [&](PartitionLog::Done done) { log().Repair(std::move(staged), std::move(done)); });
  }
  std::vector<Entry> SegmentEntries(size_t segment) const {
    return Entries(SegmentStarts().at(segment), SegmentStarts().at(segment + 1) - 1);
  }
};

TEST_F(RepairTest, ADamagedSegmentIsNamedRefusedAndInstalledAgain) {
  ASSERT_NO_FATAL_FAILURE(Damage(1));
  const auto damaged = log().damaged_ranges();
  ASSERT_EQ(damaged.size(), 1u);
  EXPECT_GE(damaged[0].first, SegmentStarts()[1]);
  EXPECT_EQ(damaged[0].last, SegmentStarts()[2] - 1);
  EXPECT_EQ(ReasonOf(host.Read(kGroup, damaged[0].first, damaged[0].last, 1 << 20).status()),
            Reason::DATA_LOSS);
  const absl::Status repaired = RepairWith(SegmentEntries(1));
  ASSERT_TRUE(repaired.ok()) << repaired;
  EXPECT_TRUE(log().damaged_ranges().empty());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(host, entries()));
  for (const bool power : {false, true}) {
    host.scheduler.RunFor(power ? 2 * kSecond : 0);
    host.Crash(power);
    ASSERT_TRUE(host.Open().ok());
    EXPECT_TRUE(log().damaged_ranges().empty());
    EXPECT_TRUE(log().suspicion().ok());
    ASSERT_NO_FATAL_FAILURE(ExpectHolds(host, entries()));
  }
  EXPECT_EQ(GroupFiles(".log").size(), log().Segments().size());
}

TEST_F(RepairTest, OnlyWholeClosedSegmentsOfTheSameTermsAreTaken) {
  ASSERT_NO_FATAL_FAILURE(Damage(1));
  const Index last = script.image().end().last_index;
  EXPECT_EQ(ReasonOf(RepairWith(Entries(SegmentStarts()[1], SegmentStarts()[2] - 2))),
            Reason::DATA_LOSS);
  EXPECT_EQ(ReasonOf(RepairWith(Entries(SegmentStarts()[4], last))), Reason::DATA_LOSS)
      << "the active one";
  EXPECT_FALSE(log().damaged_ranges().empty());
  EXPECT_TRUE(RepairWith(Entries(SegmentStarts()[0], SegmentStarts()[3] - 1)).ok())
      << "several at once";
  EXPECT_TRUE(log().damaged_ranges().empty());
  ASSERT_NO_FATAL_FAILURE(ExpectHolds(host, entries()));
}

}  // namespace
}  // namespace varve::storage
