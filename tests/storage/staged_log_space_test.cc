// Staged logs beside writes that wait: for room, or for nothing any more.
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/staged_log_host.h"

namespace varve::storage {
namespace {

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

}  // namespace
}  // namespace varve::storage
