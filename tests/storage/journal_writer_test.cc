#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/journal_files.h"
#include "tests/storage/journal_script.h"

namespace varve::storage {
namespace {

constexpr JournalOptions kSmall = {.file_bytes = 256 << 10, .max_live_files = 4};

size_t JournalFilesOf(JournalHost& host) {
  const auto list = host.disk.List("journal");
  if (!list.ok()) return 0;
  size_t files = 0;
  for (const DirectoryEntry& entry : *list)
    if (JournalNumberOf(entry.name)) ++files;
  return files;
}

TEST(JournalWriter, AcknowledgedFramesAreRead) {
  JournalHost host(1);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100}), b(GroupId{65537}, FileNumber{101});
  host.Submit(a.Create());
  host.Submit(b.Create());
  host.Submit(a.Append(3, 1000));
  host.Submit(a.Truncate(Index{2}));
  host.Submit(b.Vote(Term{9}, NodeId{1}), /*urgent=*/true);
  ASSERT_TRUE(host.Settle());
  ASSERT_EQ(host.acknowledged.size(), 5u);
  const auto contents = host.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(SameReplicas(contents->replicas, TableOf(host.acknowledged)));
  EXPECT_GT(contents->checkpoint.next_file, FileNumber{101});
  EXPECT_TRUE(contents->notes.empty());
  std::vector<FrameSequence> replayed;
  ASSERT_TRUE(ReplayJournal(host.disk, "journal", *contents, [&](const JournalFrame& frame) {
                if (frame.group == a.group()) replayed.push_back(frame.sequence);
                return absl::OkStatus();
              }).ok());
  EXPECT_EQ(replayed, (std::vector{FrameSequence{1}, FrameSequence{2}, FrameSequence{3}}));
}

TEST(JournalWriter, FramesThatWaitShareOneSync) {
  JournalHost host(2);
  ASSERT_TRUE(host.Start().ok());
  std::vector<GroupScript> groups;
  for (uint64_t i = 0; i < 50; ++i) groups.emplace_back(GroupId{65536 + i}, FileNumber{100 + i});
  for (auto& group : groups) host.Submit(group.Create());
  ASSERT_TRUE(host.Settle());
  const JournalStats stats = host.journal->stats();
  EXPECT_EQ(stats.frames, 50u);
  EXPECT_EQ(stats.commits, 1u);
}

TEST(JournalWriter, CommitsStayBelowTheLimit) {
  JournalHost host(3);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  for (int i = 0; i < 30; ++i) host.Submit(a.Append(1, 100 << 10));
  ASSERT_TRUE(host.Settle());
  EXPECT_GE(host.journal->stats().commits, 3u);
  EXPECT_LE(host.journal->stats().commits, 5u);
}

// Fills the first file of a journal whose files have 4 MiB, up to `bytes`.
void FillJournal(JournalHost& host, GroupScript& group, size_t bytes) {
  for (size_t done = 0; done < bytes; done += 256 << 10) {
    host.Submit(group.Append(1, 256 << 10));
    ASSERT_TRUE(host.Settle());
  }
}

TEST(JournalWriter, ASpareFileIsMadeBeforeItIsNeeded) {
  JournalHost host(31, {.file_bytes = 4 << 20});
  host.spares_ahead = true;
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  ASSERT_EQ(JournalFilesOf(host), 2u);
  // What begins as room alone is filled with zeros once the active file is used. As nothing of that
  // is in segments it will stay, the reserve as well, and a third file is made.
  uint64_t zeros = 0;
  host.disk.SetObserver([&](const SimFileOp& op) {
    if (op.name == "write" && op.path.ends_with(JournalName(FileNumber{2}))) zeros += op.length;
  });
  FillJournal(host, a, 2 << 20);
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  FillJournal(host, a, 1 << 18);
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  EXPECT_EQ(zeros, (4u << 20) - kFileHeaderBytes);
  ASSERT_EQ(JournalFilesOf(host), 3u);
  EXPECT_EQ(host.disk.List("journal")->at(2).size, 4u << 20);
  EXPECT_EQ(host.journal->stats().checkpoints, 1u);

  // The roll takes one: the commit that rolls fills no file.
  size_t filled = 0;
  host.disk.SetObserver([&](const SimFileOp& op) {
    if (op.name == "allocate") ++filled;
  });
  FillJournal(host, a, 9 << 18);
  host.disk.SetObserver(nullptr);
  EXPECT_EQ(host.journal->stats().checkpoints, 2u);
  EXPECT_EQ(filled, 0u);
  EXPECT_EQ(host.journal->stats().recycled, 1u);
}

TEST(JournalWriter, ThreeFilesServeWhereSegmentsFollow) {
  JournalHost host(33, {.file_bytes = 4 << 20});
  host.spares_ahead = true;
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  for (int i = 0; i < 64; ++i) {
    FillJournal(host, a, 256 << 10);
    ASSERT_TRUE(host.scheduler.RunUntilIdle());
    if (i % 2 == 1) host.NoteAllDurable();
  }
  EXPECT_GE(host.journal->stats().checkpoints, 4u);
  EXPECT_EQ(JournalFilesOf(host), 3u);
}

TEST(JournalWriter, ASpareThatGetsNoRoomLeavesNothing) {
  JournalHost host(32, {.file_bytes = 4 << 20});
  host.spares_ahead = true;
  ASSERT_TRUE(host.Start().ok());
  host.disk.SetCapacity(10 << 20);
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  FillJournal(host, a, 7 << 19);
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  EXPECT_EQ(JournalFilesOf(host), 2u);
  EXPECT_TRUE(host.journal->health().ok());
  EXPECT_TRUE(host.refused.empty());
}

TEST(JournalWriter, IdleJournalSealsOnceAndThenSleeps) {
  JournalHost host(4);
  ASSERT_TRUE(host.Start().ok());
  ASSERT_TRUE(host.scheduler.RunUntilIdle());
  EXPECT_EQ(host.journal->stats().seals, 1u);
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  const MonoTime before = host.scheduler.Now();
  ASSERT_TRUE(host.scheduler.RunUntilIdle());  // no timer is left
  EXPECT_EQ(host.journal->stats().seals, 2u);
  EXPECT_GE(host.scheduler.Now() - before, host.options.seal_after);
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(host.journal->stats().seals, 2u);
  const auto contents = host.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->last_commit, CommitSequence{3});  // seal, frame, seal
  EXPECT_EQ(contents->durable_through, CommitSequence{2});
}

TEST(JournalWriter, SequencesContinueAfterCloseAndReopen) {
  JournalHost host(5);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  host.Submit(a.Append(2, 10));
  ASSERT_TRUE(host.Settle());
  const PeerMark mark{NodeId{9}, TestIdentity().directory, 4, 1, CommitSequence{17}};
  host.journal->NotePeer(mark);
  host.journal->NotePeer({NodeId{9}, mark.directory, 3, 1, CommitSequence{99}});
  ASSERT_TRUE(host.Close().ok());
  const auto closed = host.Read();
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->checkpoint.last_commit, closed->last_commit);
  EXPECT_EQ(closed->checkpoint.peers.marks(), std::vector<PeerMark>{mark});
  EXPECT_TRUE(SameReplicas(closed->replicas, TableOf(host.acknowledged)));
  const Generation generation = closed->checkpoint.live_files.back().generation;
  ASSERT_TRUE(host.Start().ok());
  EXPECT_EQ(host.journal->process_epoch(), 2u);
  EXPECT_EQ(host.journal->durable_through(), closed->last_commit);
  EXPECT_GT(host.journal->NextFileNumber(), FileNumber{100});
  host.Submit(a.Append(1, 10));
  ASSERT_TRUE(host.Settle());
  const auto again = host.Read();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->last_commit, closed->last_commit + 1);
  EXPECT_GT(again->checkpoint.live_files.back().generation, generation);
  EXPECT_TRUE(SameReplicas(again->replicas, TableOf(host.acknowledged)));
}

TEST(JournalWriter, RecyclesFilesAcrossManyRolls) {
  JournalHost host(6, kSmall);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100}), b(GroupId{65537}, FileNumber{101});
  host.Submit(a.Create());
  host.Submit(b.Create());
  for (int i = 0; i < 200; ++i) {
    host.Submit(a.Append(1, 9000 + i));
    host.Submit(b.Append(2, 3000));
    ASSERT_TRUE(host.Settle());
    if (i % 5 == 4) host.NoteAllDurable();
    if (i % 10 != 0) continue;
    const auto contents = host.Read();
    ASSERT_TRUE(contents.ok()) << contents.status() << " at " << i;
    EXPECT_TRUE(SameReplicas(contents->replicas, TableOf(host.acknowledged))) << i;
  }
  EXPECT_GT(host.journal->stats().checkpoints, 12u);
  EXPECT_GT(host.journal->stats().recycled, 8u);
  EXPECT_LE(JournalFilesOf(host), 5u);
}

TEST(JournalWriter, WaitsForSegmentSyncsWhenFilesAreFullAndGoesOn) {
  JournalHost host(7, kSmall);
  ASSERT_TRUE(host.Start().ok());
  int asked = 0;
  host.journal->SetNeedSegmentSync([&asked] { ++asked; });
  GroupScript a(GroupId{65536}, FileNumber{100}), b(GroupId{65537}, FileNumber{101});
  host.Submit(a.Create());
  host.Submit(b.Create());
  bool settled = true;
  for (int i = 0; i < 150; ++i) {
    host.Submit(a.Append(1, 10'000));
    settled = settled && host.Settle();
  }
  EXPECT_FALSE(settled);
  EXPECT_GE(asked, 2);
  const size_t before = host.acknowledged.size();
  EXPECT_GT(before, 60u);
  EXPECT_LT(before, 140u);
  EXPECT_LE(JournalFilesOf(host), 5u);
  // What is not yet durable in segments of the other group keeps the oldest file, and so all.
  host.journal->NoteDurableInSegments(a.group(), a.last_frame(), {});
  host.scheduler.RunFor(kMillisecond);
  EXPECT_EQ(host.acknowledged.size(), before);
  while (host.acknowledged.size() < host.submitted) {
    const size_t had = host.acknowledged.size();
    host.NoteAllDurable();
    host.scheduler.RunFor(10 * kMillisecond);
    ASSERT_GT(host.acknowledged.size(), had);
  }
  EXPECT_TRUE(host.refused.empty());
  const auto contents = host.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(SameReplicas(contents->replicas, TableOf(host.acknowledged)));
}

TEST(JournalWriter, FrameLargerThanAFileGetsALargerFile) {
  JournalHost host(8, kSmall);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  host.Submit(a.Append(3, 1 << 20));
  host.Submit(a.Append(1, 10));
  ASSERT_TRUE(host.Settle());
  EXPECT_EQ(host.acknowledged.size(), 3u);
  EXPECT_TRUE(host.Read().ok());
}

TEST(JournalWriter, FailedSyncLatches) {
  JournalHost host(9);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  host.disk.AddFault({.kind = SimFault::Kind::kSyncError, .path_prefix = "journal", .count = 1});
  host.Submit(a.Append(1, 10));
  host.Submit(a.Append(1, 10));
  ASSERT_TRUE(host.Settle());
  host.Submit(a.Append(1, 10));  // the disk would take it again
  ASSERT_TRUE(host.Settle());
  EXPECT_EQ(host.acknowledged.size(), 1u);
  ASSERT_EQ(host.refused.size(), 3u);
  for (const absl::Status& status : host.refused) {
    EXPECT_EQ(ReasonOf(status), Reason::DISK_FAILED) << status;
  }
  EXPECT_EQ(ReasonOf(host.journal->health()), Reason::DISK_FAILED);
  EXPECT_EQ(ReasonOf(host.Close()), Reason::DISK_FAILED);
}

TEST(JournalWriter, FramesWaitOnAFullDiskAndGoOn) {
  JournalHost host(10, kSmall);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  host.NoteAllDurable();
  host.disk.SetCapacity(host.disk.used_bytes());
  host.Submit(a.Append(1, 1 << 20));
  host.Submit(a.Append(1, 10));
  host.scheduler.RunFor(kSecond);
  EXPECT_TRUE(host.refused.empty());
  EXPECT_EQ(host.acknowledged.size(), 1u);
  EXPECT_TRUE(host.journal->health().ok());
  EXPECT_TRUE(host.journal->waits_for_space());
  host.disk.SetCapacity(1 << 30);
  ASSERT_TRUE(host.Settle());
  EXPECT_FALSE(host.journal->waits_for_space());
  host.Submit(a.Append(1, 10));
  ASSERT_TRUE(host.Settle());
  EXPECT_EQ(host.acknowledged.size(), 4u);
  EXPECT_TRUE(host.refused.empty());
}

TEST(JournalWriter, CloseGivesUpWhatWaitsForSpace) {
  JournalHost host(10, kSmall);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  host.NoteAllDurable();
  host.disk.SetCapacity(host.disk.used_bytes());
  host.Submit(a.Append(1, 1 << 20));
  host.scheduler.RunFor(kSecond);
  const absl::Status closed = host.Close();
  EXPECT_TRUE(closed.ok()) << closed;
  ASSERT_EQ(host.refused.size(), 1u);
  EXPECT_EQ(ReasonOf(host.refused[0]), Reason::NO_SPACE) << host.refused[0];
  host.disk.SetCapacity(1 << 30);
  ASSERT_TRUE(host.Start().ok());
}

TEST(JournalWriter, FailAnswersFramesThatWaitForSegmentSyncs) {
  JournalHost host(12, kSmall);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  bool settled = true;
  for (int i = 0; i < 150; ++i) {
    host.Submit(a.Append(1, 10'000));
    settled = settled && host.Settle();
  }
  EXPECT_FALSE(settled);
  host.journal->Fail(MakeError(Reason::DISK_FAILED, "the segments' disk"));
  ASSERT_TRUE(host.Settle());
  ASSERT_FALSE(host.refused.empty());
  for (const absl::Status& status : host.refused) {
    EXPECT_EQ(ReasonOf(status), Reason::DISK_FAILED) << status;
  }
  EXPECT_EQ(ReasonOf(host.journal->health()), Reason::DISK_FAILED);
}

TEST(JournalWriter, StaleSegmentSyncDoesNotRaiseTheSyncPointPastATruncation) {
  JournalHost host(11);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  host.Submit(a.Append(5, 10));
  const FrameSequence through = a.last_frame();
  const SyncPoint point = a.End();
  host.Submit(a.Truncate(Index{2}));
  host.Submit(a.Append(6, 10));
  ASSERT_TRUE(host.Settle());
  host.journal->NoteDurableInSegments(a.group(), through, point);
  ASSERT_TRUE(host.Close().ok());
  EXPECT_EQ(host.Read()->replicas.Find(a.group())->sync_point, SyncPoint{});
}

TEST(JournalWriterDeathTest, FrameThatDoesNotFitStopsTheProcessBeforeItIsWritten) {
  JournalHost host(13);
  ASSERT_TRUE(host.Start().ok());
  GroupScript a(GroupId{65536}, FileNumber{100});
  host.Submit(a.Create());
  ASSERT_TRUE(host.Settle());
  const uint64_t content = host.disk.ContentHash();
  a.Append(1, 10);
  const auto submit_with_gap = [&] {
    host.disk.SetObserver([&](const SimFileOp& op) {
      if (op.name == "write") std::fputs("#", stderr);
    });
    host.Submit(a.Append(1, 10));
    host.Settle();
  };
  EXPECT_DEATH(submit_with_gap(), "^[^#]*the last one was 1");
  EXPECT_EQ(host.disk.ContentHash(), content);
}

TEST(JournalWriter, SubmitAndFileNumbersFromManyThreads) {
  JournalHost host(12);
  const auto thread = ThreadExecutor("journal");
  std::atomic<int> done = 0;
  {
    auto journal =
        Journal::Begin(host.disk, "journal", TestIdentity(), {}, {}, *thread, RealClock());
    ASSERT_TRUE(journal.ok()) << journal.status();
    std::vector<std::thread> threads;
    std::array<std::vector<FileNumber>, 4> numbers;
    for (uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        GroupScript group(GroupId{65536 + t}, FileNumber{100 + t});
        for (int i = 0; i < 100; ++i) {
          numbers[t].push_back((*journal)->NextFileNumber());
          (*journal)->Submit(i == 0 ? group.Create() : group.Append(1, 50), i % 7 == 0,
                             [&done](const absl::Status& status) { done += status.ok(); });
        }
      });
    }
    for (std::thread& each : threads) each.join();
    std::atomic<bool> closed = false;
    (*journal)->Close([&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      closed = true;
      closed.notify_one();
    });
    closed.wait(false);
    std::set<FileNumber> distinct;
    for (const auto& each : numbers) distinct.insert(each.begin(), each.end());
    EXPECT_EQ(distinct.size(), 400u);
  }
  EXPECT_EQ(done, 400);
  const auto contents = host.Read();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->replicas.Find(GroupId{65539})->last_frame, FrameSequence{100});
}

TEST(JournalName, IsTwentyDigits) {
  EXPECT_EQ(JournalName(FileNumber{7}), "00000000000000000007.jnl");
  EXPECT_EQ(JournalNumberOf("00000000000000000007.jnl"), FileNumber{7});
  for (const char* name : {"7.jnl", "00000000000000000007.log", "0000000000000000000x.jnl",
                           "00000000000000000000.jnl", "99999999999999999999.jnl", ""}) {
    EXPECT_EQ(JournalNumberOf(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace varve::storage
