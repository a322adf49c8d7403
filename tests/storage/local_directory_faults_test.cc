// A data directory whose disk fails or is full while it runs.
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

class DirectoryFaultsTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    script.Append(5, 2000);
    script.Roll();
    script.Append(5, 2000);
    Settle();
  }
};

TEST_F(DirectoryFaultsTest, AFailedSyncOfASegmentIsFinal) {
  host.disk.AddFault(
      {.kind = SimFault::Kind::kSyncError, .path_prefix = "data/groups", .count = 1});
  script.Append(1, 100);
  Settle();  // the journal is sound
  host.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(ReasonOf(host.directory->health()), Reason::DISK_FAILED) << host.directory->health();
  LogWrite write;
  write.commit_index = Index{2};
  EXPECT_EQ(ReasonOf(host.Write(kGroup, std::move(write))), Reason::DISK_FAILED);
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  script.Check();
}

TEST_F(DirectoryFaultsTest, AFailedSyncOfTheJournalIsFinal) {
  host.scheduler.RunFor(10 * kMillisecond);  // no spare file is under way
  host.disk.AddFault(
      {.kind = SimFault::Kind::kSyncError, .path_prefix = "data/journal", .count = 1});
  script.Append(1, 100);
  host.scheduler.RunUntil([&] { return script.refused(); }, kSecond);
  EXPECT_TRUE(script.refused());
  EXPECT_EQ(ReasonOf(host.directory->health()), Reason::DISK_FAILED) << host.directory->health();
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  script.Check();
}

TEST_F(DirectoryFaultsTest, AFullDiskIsToldAndNothingAcknowledgedIsLost) {
  host.disk.SetCapacity(host.disk.used_bytes() + 30'000);
  bool told = false;
  for (int i = 0; i < 40 && !told; ++i) {
    script.Append(1, 3000);
    ASSERT_NO_FATAL_FAILURE(Settle());  // the reserve has room for what was admitted
    told = ReasonOf(host.directory->AdmitData()) == Reason::NO_SPACE;
  }
  EXPECT_TRUE(told);
  EXPECT_FALSE(script.refused());
  EXPECT_TRUE(host.directory->health().ok()) << host.directory->health();
  host.Crash(true);
  host.disk.SetCapacity(1ull << 40);
  const absl::Status opened = host.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  script.Check();
}

TEST_F(DirectoryFaultsTest, AFullDiskResumesByItselfAndTheBudgetComesBack) {
  for (const uint64_t room : {2'000u, 10'000u, 30'000u, 70'000u}) {
    SCOPED_TRACE(room);
    host.disk.SetCapacity(host.disk.used_bytes() + room);
    for (int i = 0; i < 40 && script.Settled(); ++i) {
      script.Append(1, 3000);
      if (i % 7 == 3) script.Roll();
      host.scheduler.RunUntil([&] { return script.Settled(); }, kSecond);
    }
    EXPECT_TRUE(host.directory->health().ok()) << host.directory->health();
    if (!script.Settled()) {
      EXPECT_EQ(ReasonOf(host.directory->AdmitData()), Reason::NO_SPACE);
    }
    host.disk.SetCapacity(1ull << 40);
    ASSERT_NO_FATAL_FAILURE(Settle());
    EXPECT_FALSE(script.refused());
    host.scheduler.RunFor(10 * kSecond);
    EXPECT_EQ(host.directory->dirty_bytes(), 0u);
    EXPECT_EQ(host.directory->AdmitData(), absl::OkStatus());
    const auto image = host.Image(kGroup);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->Difference(script.image()), "");
  }
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  script.Check();
}

TEST_F(DirectoryFaultsTest, AFailedSegmentDiskAnswersEveryWrite) {
  host.disk.AddFault({.kind = SimFault::Kind::kWriteError, .path_prefix = "data/groups"});
  int waiting = 0;
  LogEnd end = script.image().end();
  for (int i = 0; i < 60; ++i) {  // more than the journal's live files hold
    if (!host.directory->health().ok()) break;
    LogWrite write;
    write.entries.push_back(DataEntry(kGroup, end, script.image().hard_state.term, 1, 9000));
    end = EndAfter(write.entries.back());
    ++waiting;
    host.Submit(kGroup, std::move(write), [&](const absl::Status&) { --waiting; });
  }
  EXPECT_TRUE(host.scheduler.RunUntil([&] { return waiting == 0; }, 60 * kSecond)) << waiting;
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(ReasonOf(host.directory->health()), Reason::DISK_FAILED);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
}

TEST_F(DirectoryFaultsTest, ATruncationDoesNoInputOrOutputOnTheShard) {
  host.scheduler.RunFor(kSecond);
  for (const bool restarted : {false, true}) {
    if (restarted) {
      host.Crash(false);
      ASSERT_TRUE(host.Open().ok());
      ASSERT_NO_FATAL_FAILURE(script.Check());
    }
    bool on_shard = false;
    int operations = 0;
    host.disk.SetObserver([&](const SimFileOp&) { operations += on_shard ? 1 : 0; });
    LogImage after = script.image();
    after.entries.pop_back();
    after.entries.pop_back();
    LogWrite write;
    write.truncate_from = after.end().last_index + 1;
    std::optional<absl::Status> answer;
    host.OnShard([&] {
      on_shard = true;
      host.log(kGroup).Write(std::move(write), [&](absl::Status status) { answer = status; });
      on_shard = false;
    });
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return answer.has_value(); }, kSecond));
    EXPECT_EQ(*answer, absl::OkStatus());
    EXPECT_EQ(operations, 0);
    EXPECT_EQ(host.log(kGroup).end(), after.end());
    host.disk.SetObserver(nullptr);
    script.Begin();
  }
}

}  // namespace
}  // namespace varve::storage
