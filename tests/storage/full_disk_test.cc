// A data directory whose disk fills up: what was admitted is written, what must go on goes on, and
// room that comes back is used.
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

class FullDiskTest : public ::testing::Test {
 protected:
  static constexpr GroupId kGroup{100};

  void Begin(uint64_t seed) {
    host = std::make_unique<DirectoryHost>(seed);
    script = std::make_unique<LogScript>(host.get(), kGroup);
    ASSERT_TRUE(host->Open().ok());
    ASSERT_TRUE(host->Create(kGroup).ok());
    script->Begin();
    script->NewTerm();
    Settle();
  }
  void Settle() {
    ASSERT_TRUE(host->scheduler.RunUntil([&] { return script->Settled(); }, 10 * kSecond))
        << host->directory->Admit(SpaceClass::kVital) << ", " << host->directory->health();
    ASSERT_FALSE(script->refused());
  }
  bool Admits(SpaceClass wanted) { return host->directory->Admit(wanted).ok(); }
  // What a leader does: data while it is admitted, segment starts, trims of what is old.
  void Work(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      if (Admits(SpaceClass::kData)) script->Append(1, 2000 + 700 * (i % 9));
      if (i % 6 == 5 && Admits(SpaceClass::kSystem)) script->Roll();
      if (i % 3 == 2) script->Commit(script->image().end().last_index);
      host->scheduler.RunUntil([&] { return script->Settled(); }, 20 * kMillisecond);
    }
  }
  void FillNow() { host->disk.SetCapacity(host->disk.used_bytes()); }
  // Until data is refused; what was admitted is acknowledged.
  void WorkUntilRefused() {
    for (int i = 0; i < 400 && Admits(SpaceClass::kData); ++i) {
      script->Append(1, 3000);
      ASSERT_NO_FATAL_FAILURE(Settle());
      host->scheduler.RunFor(100 * kMillisecond);
    }
    EXPECT_FALSE(Admits(SpaceClass::kData));
  }
  // More hard state than the journal's files hold.
  void Vote(int times) {
    for (int i = 0; i < times; ++i) {
      LogWrite write;
      HardState next = host->log(kGroup).hard_state();
      next.term = next.term + 1;
      write.hard_state = next;
      const absl::Status written = host->Write(kGroup, std::move(write));
      ASSERT_TRUE(written.ok()) << "vote " << i << ": " << written;
    }
    script->Begin();  // the script has not seen these
  }
  uint64_t LogBytes() { return host->log(kGroup).size_bytes(); }

  std::unique_ptr<DirectoryHost> host;
  std::unique_ptr<LogScript> script;
};

TEST_F(FullDiskTest, FilledAtAnyOperationItKeepsWhatItAdmittedAndWhatMustGoOn) {
  uint64_t moments = 0;
  for (uint64_t at = 0;; at += 3) {
    SCOPED_TRACE(at);
    ASSERT_NO_FATAL_FAILURE(Begin(at + 1));
    uint64_t seen = 0;
    host->disk.SetObserver([&](const SimFileOp& op) {
      const bool changes = op.name == "write" || op.name == "allocate" || op.name == "open" ||
                           op.name == "truncate" || op.name == "remove" || op.name == "sync";
      if (changes && seen++ == at) FillNow();
    });
    Work(60);
    host->disk.SetObserver(nullptr);
    if (seen <= at) break;  // the work was done before
    ++moments;
    ASSERT_NO_FATAL_FAILURE(Settle());
    ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
    ASSERT_NO_FATAL_FAILURE(Vote(40));
    ASSERT_TRUE(host->directory->health().ok()) << host->directory->health();
    host->Crash(at % 2 == 0);
    const absl::Status opened = host->Open();
    ASSERT_TRUE(opened.ok()) << opened;
    ASSERT_NO_FATAL_FAILURE(script->Check());
    ASSERT_NO_FATAL_FAILURE(Vote(40));
    host->disk.SetCapacity(1ull << 40);
    host->scheduler.RunFor(kSecond);
    EXPECT_TRUE(Admits(SpaceClass::kData)) << host->directory->AdmitData();
    ASSERT_NO_FATAL_FAILURE(Work(10));
    ASSERT_NO_FATAL_FAILURE(Settle());
    host->Crash(true);
    ASSERT_TRUE(host->Open().ok());
    ASSERT_NO_FATAL_FAILURE(script->Check());
  }
  EXPECT_GT(moments, 40u);
}

TEST_F(FullDiskTest, TrimsFreeTheDiskAndDataResumesByItself) {
  Begin(1);
  Work(40);
  FillNow();
  ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
  const uint64_t before = LogBytes();
  // What an operator or retention does: everything committed may go.
  ASSERT_TRUE(Admits(SpaceClass::kVital));
  ASSERT_TRUE(Admits(SpaceClass::kSystem));
  script->Roll();
  script->Trim(script->image().end().next_offset);
  script->Commit(script->image().end().last_index);
  ASSERT_NO_FATAL_FAILURE(Settle());
  EXPECT_LT(LogBytes(), before / 4);
  host->scheduler.RunFor(10 * kSecond);
  EXPECT_TRUE(Admits(SpaceClass::kData)) << host->directory->AdmitData();
  EXPECT_EQ(host->directory->space_stats().under_way, 0u);
  script->Append(3, 3000);
  ASSERT_NO_FATAL_FAILURE(Settle());
}

TEST_F(FullDiskTest, ARemovedReplicaFreesTheDisk) {
  Begin(2);
  ASSERT_TRUE(host->Create(GroupId{200}).ok());
  LogScript other(host.get(), GroupId{200});
  other.Begin();
  for (int i = 0; i < 30; ++i) other.Append(1, 9000);
  ASSERT_TRUE(host->scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
  FillNow();
  ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
  ASSERT_TRUE(host->Remove(GroupId{200}).ok());
  host->scheduler.RunFor(host->options.trash_delay + 10 * kSecond);
  EXPECT_TRUE(Admits(SpaceClass::kData)) << host->directory->AdmitData();
}

TEST_F(FullDiskTest, SystemEntriesGoOnWhereDataIsRefusedAndEndBeforeVitalOnes) {
  Begin(3);
  Work(20);
  FillNow();
  ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
  uint64_t rolls = 0;
  while (Admits(SpaceClass::kSystem)) {
    ASSERT_TRUE(Admits(SpaceClass::kVital));
    ASSERT_LT(++rolls, 1000u);
    script->Roll();
    ASSERT_NO_FATAL_FAILURE(Settle());
    host->scheduler.RunFor(100 * kMillisecond);
  }
  EXPECT_GT(rolls, 3u);
  ASSERT_TRUE(Admits(SpaceClass::kVital));
  const uint64_t left = host->directory->space_stats().reserve;
  EXPECT_GT(left, 0u);
  EXPECT_LE(left, host->options.reserve_bytes / 4);
  // A trim still fits, and makes room for everything.
  script->Trim(script->image().end().next_offset);
  script->Commit(script->image().end().last_index);
  ASSERT_NO_FATAL_FAILURE(Settle());
  host->scheduler.RunFor(10 * kSecond);
  EXPECT_TRUE(Admits(SpaceClass::kData)) << host->directory->AdmitData();
}

TEST_F(FullDiskTest, WithTheReserveUsedUpFramesWaitAndNothingIsLost) {
  Begin(4);
  FillNow();
  ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
  // Nobody asks for admission.
  for (int i = 0; i < 200 && script->Settled(); ++i) {
    script->Roll();
    host->scheduler.RunUntil([&] { return script->Settled(); }, kSecond);
  }
  EXPECT_FALSE(Admits(SpaceClass::kVital));
  EXPECT_TRUE(host->directory->health().ok()) << host->directory->health();
  EXPECT_FALSE(script->refused());
  host->disk.SetCapacity(1ull << 40);
  ASSERT_NO_FATAL_FAILURE(Settle());
  host->scheduler.RunFor(10 * kSecond);
  EXPECT_TRUE(Admits(SpaceClass::kData));
  host->Crash(true);
  ASSERT_TRUE(host->Open().ok());
  script->Check();
}

// What makes room must not wait for those who need it.
TEST_F(FullDiskTest, ARemovalOvertakesWritesThatWaitForRoom) {
  Begin(5);
  ASSERT_TRUE(host->Create(GroupId{200}).ok());
  LogScript other(host.get(), GroupId{200});
  other.Begin();
  other.NewTerm();
  for (int i = 0; i < 20; ++i) other.Append(1, 9000);
  ASSERT_TRUE(host->scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
  FillNow();
  ASSERT_NO_FATAL_FAILURE(WorkUntilRefused());
  for (int i = 0; i < 200 && Admits(SpaceClass::kVital); ++i) {
    other.Roll();
    host->scheduler.RunFor(10 * kMillisecond);
  }
  ASSERT_FALSE(Admits(SpaceClass::kVital));
  for (int i = 0; i < 3; ++i) other.Roll();  // these wait for room
  host->scheduler.RunFor(kSecond);
  ASSERT_GT(host->directory->dirty_bytes(), 0u);
  ASSERT_TRUE(host->Remove(GroupId{200}).ok());
  host->scheduler.RunFor(host->options.trash_delay + 10 * kSecond);
  EXPECT_TRUE(host->directory->health().ok()) << host->directory->health();
  EXPECT_EQ(host->directory->dirty_bytes(), 0u);
  EXPECT_TRUE(Admits(SpaceClass::kVital)) << host->directory->Admit(SpaceClass::kVital);
  host->disk.SetCapacity(1ull << 40);
  ASSERT_NO_FATAL_FAILURE(Settle());
  host->Crash(true);
  ASSERT_TRUE(host->Open().ok());
  script->Check();
}

}  // namespace
}  // namespace varve::storage
