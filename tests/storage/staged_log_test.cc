// Staged logs: installs and repairs from another replica, whole or not at all.
#include "storage/staged_log.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "common/error.h"
#include "tests/storage/staged_log_host.h"

namespace varve::storage {
namespace {

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

// A replica that joins has no entry yet, and no segment.
TEST_F(StagedLogTest, AnInstallFillsAReplicaThatHasNothing) {
  const std::vector<Entry> one_segment = Entries(Index{1}, SegmentStarts().at(1) - 1);
  for (const std::vector<Entry>& held : {entries(), one_segment}) {
    ASSERT_TRUE(target.Remove(kGroup).ok());
    ASSERT_TRUE(target.Create(kGroup, ReplicaEpoch{2}, std::nullopt).ok());
    ASSERT_TRUE(target.log(kGroup).Segments().empty());
    ASSERT_TRUE(InstallAt(target, held, WholeLog()).ok());
    for (const bool power : {false, true}) {
      ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, held));
      target.scheduler.RunFor(power ? 2 * kSecond : 0);
      target.Crash(power);
      ASSERT_TRUE(target.Open().ok());
    }
    ASSERT_NO_FATAL_FAILURE(ExpectHolds(target, held));
    ASSERT_NO_FATAL_FAILURE(ExpectGoesOn(target));
  }
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

// A file is open until it is synced, and a log may have thousands.
TEST_F(StagedLogTest, ASegmentIsSyncedWhenTheNextOneBegins) {
  std::set<std::string> synced;
  target.disk.SetObserver([&](const SimFileOp& op) {
    if (op.name == "sync") synced.emplace(op.path);
  });
  std::unique_ptr<StagedLog> staged;
  target.OnShard([&] { staged = target.log(kGroup).Stage(); });
  const Index third = SegmentStarts().at(2);
  for (const auto& [first, last] :
       {std::pair(Index{1}, third), std::pair(third + 1, entries().back().header.last_index)}) {
    ASSERT_TRUE(Wait(target, [&, first = first, last = last](PartitionLog::Done done) {
                  staged->Append(Entries(first, last), std::move(done));
                }).ok());
    const auto& segments = staged->segments();
    for (size_t i = 0; i + 1 < segments.size(); ++i)
      EXPECT_TRUE(synced.contains(segments[i].segment->path())) << i << " of " << segments.size();
    EXPECT_FALSE(synced.contains(segments.back().segment->path()));
  }
  target.OnShard([&] { staged.reset(); });
  target.disk.SetObserver(nullptr);
}

TEST_F(StagedLogTest, ASyncOfAStagedSegmentThatFailsFailsTheDirectory) {
  target.scheduler.RunFor(10 * kSecond);
  target.disk.AddFault({.kind = SimFault::Kind::kSyncError, .path_prefix = "data/groups"});
  std::unique_ptr<StagedLog> staged;
  EXPECT_EQ(ReasonOf(StageAt(target, entries(), 7, &staged)), Reason::DISK_FAILED);
  EXPECT_EQ(ReasonOf(target.directory->health()), Reason::DISK_FAILED);
  target.OnShard([&] { staged.reset(); });
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
