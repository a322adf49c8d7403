// Trims: when the log start moves, what goes with it, and what a crash may leave.
#include <gtest/gtest.h>

#include "common/error.h"
#include "common/file_system.h"
#include "storage/segment_names.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

class TrimTest : public OneLogTest {
 protected:
  // A segment of its own for each; returns the offsets at which they begin.
  std::vector<Offset> WriteSegments(int count) {
    std::vector<Offset> out{Offset{0}};
    for (int i = 0; i < count; ++i) {
      script.Append(5, 700);
      script.Roll();
      out.push_back(script.image().end().next_offset);
    }
    script.Append(1, 100);
    Settle();
    return out;
  }
  void TrimTo(Offset log_start) {
    script.Trim(log_start);
    script.Commit(script.image().end().last_index);
    Settle();
  }
  size_t SegmentFiles() { return GroupFiles(".log").size(); }
  Reason ReadAt(Offset offset) {
    return ReasonOf(
        host.ReadOffset(kGroup, offset, script.image().end().last_index, 1000).status());
  }
};

TEST_F(TrimTest, ActsWhenItsEntryIsCommittedAndStaysAfterACrash) {
  const std::vector<Offset> starts = WriteSegments(4);
  const uint64_t bytes = log().size_bytes();
  script.Commit(script.image().end().last_index);
  script.Trim(starts[3] + 2);
  Settle();
  EXPECT_EQ(log().start(), LogStart{});
  EXPECT_FALSE(log().TrimDue(script.image().commit_index));
  EXPECT_TRUE(log().TrimDue(script.image().end().last_index));
  script.Commit(script.image().end().last_index);
  Settle();
  // The offset moves at once, whole segments go up to the start of the one that holds it.
  EXPECT_EQ(log().start().offset, starts[3] + 2);
  EXPECT_EQ(log().Segments().size(), 2u);
  EXPECT_EQ(log().Segments()[0].base_offset, starts[3]);
  EXPECT_EQ(log().Segments()[0].first_index, log().start().index);
  EXPECT_LT(log().size_bytes(), bytes / 2);
  EXPECT_FALSE(log().TrimDue(script.image().end().last_index));
  EXPECT_EQ(ReadAt(starts[3] + 1), Reason::OFFSET_OUT_OF_RANGE);
  EXPECT_TRUE(host.ReadOffset(kGroup, starts[3] + 2, script.image().end().last_index, 1).ok());
  EXPECT_FALSE(host.Read(kGroup, log().start().index - 1, script.image().end().last_index, 1).ok());
  host.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(SegmentFiles(), 2u);
  const LogStart before = log().start();
  for (const bool power : {false, true}) {
    host.Crash(power);
    ASSERT_NO_FATAL_FAILURE(Reopen());
    EXPECT_EQ(log().start(), before);
  }
}

TEST_F(TrimTest, NeverMovesBackNorBeyondItsOwnEntry) {
  const std::vector<Offset> starts = WriteSegments(3);
  TrimTo(starts[2]);
  EXPECT_EQ(log().start().offset, starts[2]);
  TrimTo(starts[1]);
  EXPECT_EQ(log().start().offset, starts[2]);
  const Offset end = script.image().end().next_offset;
  TrimTo(end + 1'000'000);
  EXPECT_EQ(log().start().offset, end);
  script.Append(2, 100);
  Settle();
  EXPECT_EQ(log().start().offset, end);
  host.Crash(true);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  EXPECT_EQ(log().start().offset, end);
  EXPECT_TRUE(host.ReadOffset(kGroup, end, script.image().end().last_index, 1).ok());
}

TEST_F(TrimTest, ATruncatedTrimNeverActs) {
  const std::vector<Offset> starts = WriteSegments(2);
  script.Commit(script.image().end().last_index);
  script.Trim(starts[2]);
  Settle();
  script.Truncate(script.image().end().last_index, 3);
  script.Commit(script.image().end().last_index);
  Settle();
  EXPECT_EQ(log().start(), LogStart{});
}

TEST_F(TrimTest, NothingGoesBeforeASegmentStartThatMayStillBeTruncated) {
  script.Append(5, 700);
  const Index committed = script.image().end().last_index + 1;
  const Offset end = script.image().end().next_offset;
  script.Trim(end);
  script.Roll();
  script.Commit(committed);
  Settle();
  EXPECT_EQ(log().start().offset, end);
  EXPECT_EQ(log().Segments().size(), 2u);
  EXPECT_TRUE(log().TrimDue(committed + 1));
  script.Truncate(committed + 1);
  Settle();
  EXPECT_EQ(log().Segments().size(), 1u);
  host.Crash(false);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  EXPECT_EQ(log().start().offset, end);
}

TEST_F(TrimTest, SegmentsWaitForTheFloor) {
  const std::vector<Offset> starts = WriteSegments(3);
  const Index second = log().Segments()[1].first_index;
  log().SetTrimFloor(second);
  LogWrite write;  // not by the script, which knows no floor
  write.entries.push_back(TrimEntry(kGroup, log().end(), log().end().last_term, starts[3]));
  write.commit_index = write.entries[0].header.last_index;
  const Index trim = write.commit_index;
  ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
  EXPECT_EQ(log().start().offset, starts[3]);
  EXPECT_EQ(log().start().index, second);
  EXPECT_FALSE(log().TrimDue(trim));
  log().SetTrimFloor(log().Segments().back().first_index);
  EXPECT_TRUE(log().TrimDue(trim));
  LogWrite empty;
  empty.commit_index = trim;
  ASSERT_TRUE(host.Write(kGroup, std::move(empty)).ok());
  EXPECT_EQ(log().Segments().size(), 1u);
  EXPECT_EQ(log().start().offset, starts[3]);
}

TEST_F(TrimTest, EpochsThatEndedBeforeTheLogStartGo) {
  script.Append(3, 500);
  script.NewTerm();
  script.Append(3, 500);
  script.NewTerm();
  script.Append(2, 500);
  script.Roll();
  const Offset start = script.image().end().next_offset;
  script.Append(2, 500);
  script.NewTerm();
  script.Append(2, 500);
  Settle();
  ASSERT_EQ(log().epochs().size(), 5u);
  TrimTo(start);
  ASSERT_EQ(log().epochs().size(), 2u);
  EXPECT_EQ(log().TermAt(log().start().index - 1), log().start().previous_term);
  EXPECT_EQ(log().TermAt(log().start().index - 2), std::nullopt);
  host.Crash(true);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  EXPECT_EQ(log().epochs().size(), 2u);
}

TEST_F(TrimTest, TimesBelowTheLogStartAreNotFound) {
  const std::vector<Offset> starts = WriteSegments(3);
  TrimTo(starts[2] + 1);
  const Index last = script.image().end().last_index;
  const auto found = host.FindTime(kGroup, WallTime{0}, last);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_TRUE(found->has_value());
  EXPECT_EQ((*found)->offset, starts[2] + 1);
}

// A segment whose removal the crash left undone is no part of the log.
TEST_F(TrimTest, FilesThatACrashLeftGoAtTheNextStart) {
  const std::vector<Offset> starts = WriteSegments(3);
  script.Trim(starts[3]);
  script.Commit(script.image().end().last_index);
  Settle();
  EXPECT_EQ(SegmentFiles(), 4u);  // the pass that removes them is not due yet
  host.Crash(false);
  ASSERT_NO_FATAL_FAILURE(Reopen());
  EXPECT_EQ(SegmentFiles(), 1u);
  EXPECT_EQ(host.directory->recovery().files_trashed, 3u);
}

TEST_F(TrimTest, ShowsInTheDirectorysFigures) {
  script.Append(5, 500);
  script.Roll();
  script.Append(2, 500);
  Settle();
  const auto before = host.directory->log_stats();
  ASSERT_EQ(before.size(), 1u);
  EXPECT_EQ(before[0].group, kGroup);
  EXPECT_EQ(before[0].start, Offset{0});
  EXPECT_EQ(before[0].next_offset, script.image().end().next_offset);
  EXPECT_EQ(before[0].bytes, log().size_bytes());
  EXPECT_EQ(before[0].segments, 2u);
  script.Trim(script.image().end().next_offset);
  script.Commit(script.image().end().last_index);
  Settle();
  host.scheduler.RunFor(10 * kSecond);
  const auto after = host.directory->log_stats();
  EXPECT_EQ(after[0].start, log().start().offset);
  EXPECT_GT(after[0].start, Offset{0});
  EXPECT_LT(after[0].bytes, before[0].bytes);
  EXPECT_EQ(after[0].segments, 1u);
  EXPECT_EQ(host.directory->trimmed_segments(), 1u);
}

// What was written says nothing about segments that began later, whatever left the set meanwhile.
TEST(LateWrites, ATrimThatOvertakesThemHidesNothingFromReaders) {
  constexpr GroupId kGroup{100};
  DataDirectoryOptions options = SmallOptions();
  options.reserve_bytes = 0;  // so that a full disk holds up the segments
  DirectoryHost host(7, options);
  LogScript script(&host, kGroup);
  ASSERT_TRUE(host.Open().ok());
  ASSERT_TRUE(host.Create(kGroup).ok());
  script.Begin();
  script.Append(3, 500);
  host.scheduler.RunFor(kSecond);
  host.disk.SetCapacity(host.disk.used_bytes());
  script.Append(1, 500);
  script.Roll();
  script.Trim(script.image().end().next_offset);
  script.Append(1, 500);
  script.Commit(script.image().end().last_index);
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return script.Settled(); }, kSecond));
  ASSERT_EQ(host.log(kGroup).Segments().size(), 1u);
  // One write after the other finds its room.
  for (int i = 0; i < 40; ++i) {
    host.disk.SetCapacity(host.disk.used_bytes() + 2000);
    host.scheduler.RunFor(200 * kMillisecond);
    const auto found = host.FindTime(kGroup, WallTime{0}, script.image().end().last_index);
    ASSERT_TRUE(found.ok()) << i << ": " << found.status();
    ASSERT_TRUE(found->has_value());
  }
  host.disk.SetCapacity(1ull << 40);
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
  const auto image = host.Image(kGroup);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->Difference(script.image()), "");
}

}  // namespace
}  // namespace varve::storage
