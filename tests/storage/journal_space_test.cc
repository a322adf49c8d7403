// A journal on a disk that fills up: what it holds of its own must carry it on.
#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/journal_files.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr JournalOptions kSmall = {.file_bytes = 160 << 10, .max_live_files = 4};
constexpr GroupId kGroup{65536};

size_t JournalFilesOf(JournalHost& host) {
  const auto list = host.disk.List("journal");
  if (!list.ok()) return 0;
  size_t files = 0;
  for (const DirectoryEntry& entry : *list)
    if (JournalNumberOf(entry.name)) ++files;
  return files;
}

// Commits as many votes as fill several files, on a disk that gives no byte more.
void CommitManyVotes(JournalHost& host, GroupScript& group) {
  const uint64_t rolls = host.journal->stats().checkpoints;
  Term term = group.scalars().hard_state.term;
  for (int i = 0; i < 120; ++i) {
    term = term + 1;
    host.Submit(group.Vote(term, NodeId{1}), /*urgent=*/true);
    if (i % 7 == 0) host.NoteAllDurable();
    bool settled = host.Settle();
    for (int again = 0; again < 4 && !settled; ++again) {
      host.NoteAllDurable();
      settled = host.Settle();
    }
    ASSERT_TRUE(settled) << "vote " << i << ", " << JournalFilesOf(host) << " files";
  }
  EXPECT_GE(host.journal->stats().checkpoints, rolls + 2);
}

class FilledAt : public ::testing::TestWithParam<bool> {};

// The disk fills up behind every operation of a journal at work, one after another.
TEST_P(FilledAt, EveryPointTheJournalGoesOn) {
  const bool spares_ahead = GetParam();
  uint64_t moments = 0;
  for (uint64_t at = 0;; ++at) {
    SCOPED_TRACE(at);
    JournalHost host(at + 1, kSmall);
    host.spares_ahead = spares_ahead;
    ASSERT_TRUE(host.Start().ok());
    uint64_t seen = 0;
    host.disk.SetObserver([&](const SimFileOp& op) {
      const bool changes = op.name != "read" && op.name != "list" && op.name != "stat";
      if (changes && seen++ == at) host.disk.SetCapacity(host.disk.used_bytes());
    });
    GroupScript group(kGroup, FileNumber{100});
    host.Submit(group.Create());
    for (int i = 0; i < 44; ++i) {
      host.Submit(group.Append(1, 12'000));
      host.Settle();
      if (i % 3 == 1) host.NoteAllDurable();
    }
    host.disk.SetObserver(nullptr);
    if (seen <= at) break;  // the work was done before the moment came
    ++moments;
    ASSERT_NO_FATAL_FAILURE(CommitManyVotes(host, group));
    EXPECT_TRUE(host.refused.empty());
    // The next process finds what it needs on the full disk, too.
    host.Kill();
    const absl::Status again = host.Start();
    ASSERT_TRUE(again.ok()) << again;
    ASSERT_NO_FATAL_FAILURE(CommitManyVotes(host, group));
    const auto contents = host.Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_TRUE(SameReplicas(contents->replicas, TableOf(host.acknowledged)));
  }
  EXPECT_GT(moments, 50u);
}

INSTANTIATE_TEST_SUITE_P(Journal, FilledAt, ::testing::Bool());

TEST(JournalReserve, APowerCutOnAFullDiskLosesNothing) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    JournalHost host(seed, kSmall);
    ASSERT_TRUE(host.Start().ok());
    GroupScript group(kGroup, FileNumber{100});
    host.Submit(group.Create());
    for (uint64_t i = 0; i < seed; ++i) {
      host.Submit(group.Append(1, 9000));
      host.NoteAllDurable();
      ASSERT_TRUE(host.Settle());
    }
    host.disk.SetCapacity(host.disk.used_bytes());
    // Killed in the middle of something, started again, cut: what the second process read may never
    // have been on the disk.
    host.disk.FailAfter(seed % 11);
    host.Submit(group.Append(1, 9000));
    host.Settle();
    host.Kill();
    host.disk.ProcessCrash();
    host.disk.FailAfter(seed % 7 + 1);
    host.Start().IgnoreError();
    host.Kill();
    host.disk.PowerLoss(*SeededRandom(seed));
    const absl::Status again = host.Start();
    ASSERT_TRUE(again.ok()) << again;
    const auto contents = host.Read();
    ASSERT_TRUE(contents.ok()) << contents.status();
    const ReplicaRecord* found = contents->replicas.Find(kGroup);
    ASSERT_NE(found, nullptr);
    EXPECT_GE(found->last_frame, host.acknowledged.back().sequence);
  }
}

TEST(JournalReserve, ANewJournalBeginsWithItOrNotAtAll) {
  JournalHost host(1, kSmall);
  host.disk.SetCapacity(host.disk.used_bytes() + (100 << 10));  // room for one file
  EXPECT_EQ(ReasonOf(host.Start()), Reason::NO_SPACE);
  host.disk.SetCapacity(1 << 30);
  ASSERT_TRUE(host.Start().ok());
  EXPECT_EQ(JournalFilesOf(host), 2u);
}

}  // namespace
}  // namespace varve::storage
