#include "storage/partition_log.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

using SegmentLogTest = OneLogTest;

TEST_F(SegmentLogTest, BeginsWithTheBootstrapEntry) {
  const LogImage& image = script.image();
  ASSERT_EQ(image.entries.size(), 2u);
  EXPECT_EQ(image.entries[0].header.kind, EntryKind::kMeta);
  EXPECT_EQ(image.entries[0].header.term, Term{0});
  EXPECT_EQ(image.entries[0].header.append_time, WallTime{1000});
  EXPECT_EQ(image.commit_index, Index{1});
  EXPECT_EQ(image.configurations.committed.configuration, OneVoter());
  EXPECT_EQ(host.log(kGroup).durable_index(), Index{2});
  EXPECT_EQ(host.log(kGroup).TermAt(Index{0}), Term{0});
  EXPECT_EQ(host.log(kGroup).TermAt(Index{3}), std::nullopt);
}

TEST_F(SegmentLogTest, KeepsItsStateOverCloseCrashAndPowerLoss) {
  for (const int how : {0, 1, 2, 0, 2, 1}) {
    script.Append(5, 700);
    script.Roll();
    script.Append(3, 100);
    script.Commit(script.image().end().last_index - 2);
    Settle();
    if (how == 0) {
      ASSERT_TRUE(host.Close().ok());
    } else {
      host.Crash(how == 2);
    }
    ASSERT_NO_FATAL_FAILURE(Reopen());
  }
}

TEST_F(SegmentLogTest, ReadsFromFilesWhatLeftTheMemory) {
  for (int i = 0; i < 60; ++i) {
    script.Append(2, 900);
    if (i % 17 == 0) script.Roll();
    Settle();
  }
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
  EXPECT_TRUE(host.log(kGroup).ReadCached(Index{5}, 100).empty());
  EXPECT_FALSE(host.log(kGroup).ReadCached(script.image().end().last_index, 100).empty());
  for (const size_t bytes : {size_t{1}, size_t{5000}, size_t{1} << 20}) {
    const auto image = host.Image(kGroup, bytes);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->Difference(script.image()), "");
  }
}

TEST_F(SegmentLogTest, ReadsByOffsetFromTheEntryThatHoldsIt) {
  for (int i = 0; i < 40; ++i) {
    script.Append(2, 900);
    if (i % 11 == 0) script.Roll();
    Settle();
  }
  const LogImage& image = script.image();
  for (Offset offset{0}; offset < image.end().next_offset; offset = offset + 1) {
    const auto read = host.ReadOffset(kGroup, offset, image.end().last_index, 3000);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_FALSE(read->entries.empty());
    EXPECT_LE(read->entries[0].header.base_offset, offset);
    EXPECT_GE(read->entries[0].header.last_offset, offset);
    EXPECT_LT(read->entries.back().header.last_index - read->entries[0].header.first_index,
              read->entries.size());
  }
  const auto end = host.ReadOffset(kGroup, image.end().next_offset, image.end().last_index, 3000);
  ASSERT_TRUE(end.ok()) << end.status();
  EXPECT_TRUE(end->entries.empty());
  for (const Offset offset : {Offset{-1}, image.end().next_offset + 1}) {
    const auto outside = host.ReadOffset(kGroup, offset, image.end().last_index, 3000);
    EXPECT_EQ(ReasonOf(outside.status()), Reason::OFFSET_OUT_OF_RANGE);
  }
  EXPECT_EQ(ReasonOf(host.Read(kGroup, Index{0}, Index{5}, 10).status()),
            Reason::OFFSET_OUT_OF_RANGE);
  EXPECT_EQ(ReasonOf(host.Read(kGroup, image.end().last_index + 1, Index{500}, 10).status()),
            Reason::OFFSET_OUT_OF_RANGE);
}

TEST_F(SegmentLogTest, ReadsOnlyUpToWhereItWasAsked) {
  for (int i = 0; i < 30; ++i) script.Append(1, 2000), Settle();
  for (const Index through : {Index{3}, Index{20}, script.image().end().last_index}) {
    const auto read = host.Read(kGroup, Index{2}, through, 1 << 20);
    ASSERT_TRUE(read.ok());
    ASSERT_FALSE(read->entries.empty());
    EXPECT_LE(read->entries.back().header.last_index, through);
  }
}

TEST_F(SegmentLogTest, FindsTheFirstEntryOfATime) {
  for (int i = 0; i < 40; ++i) {
    script.Append(2, 900);
    if (i % 11 == 0) script.Roll();
    Settle();
  }
  const LogImage& image = script.image();
  for (WallTime time{990}; time <= image.end().append_time + 2; time = time + 1) {
    const Entry* want = nullptr;
    for (const Entry& entry : image.entries)
      if (want == nullptr && entry.header.kind == EntryKind::kData &&
          entry.header.append_time >= time)
        want = &entry;
    const auto found = host.FindTime(kGroup, time, image.end().last_index);
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->has_value(), want != nullptr) << time;
    if (want == nullptr) continue;
    EXPECT_EQ((*found)->index, want->header.first_index);
    EXPECT_EQ((*found)->offset, want->header.base_offset);
    EXPECT_EQ((*found)->append_time, want->header.append_time);
  }
}

TEST_F(SegmentLogTest, TruncatesWithinASegment) {
  script.Append(9, 500);
  Settle();
  host.scheduler.RunFor(kSecond);
  script.Truncate(Index{7}, 3);
  Settle();
  script.Append(4, 500);
  Settle();
  EXPECT_EQ(host.Image(kGroup)->Difference(script.image()), "");
  host.Crash(true);
  Reopen();
}

TEST_F(SegmentLogTest, TruncatesAcrossSegments) {
  for (int i = 0; i < 3; ++i) script.Append(6, 500), script.Roll();
  Settle();
  host.scheduler.RunFor(kSecond);
  script.Truncate(Index{6});
  Settle();
  EXPECT_EQ(host.Image(kGroup)->Difference(script.image()), "");
  script.Append(4, 500);
  Settle();
  host.Crash(false);
  Reopen();
  host.Crash(true);
  Reopen();
}

TEST_F(SegmentLogTest, TruncatesWhatIsOnlyInMemory) {
  script.Append(6, 500);
  script.Roll();
  script.Append(6, 500);
  script.Truncate(Index{12}, 2);
  script.Truncate(Index{5}, 2);
  script.Append(2, 10);
  Settle();
  EXPECT_EQ(host.Image(kGroup)->Difference(script.image()), "");
  host.Crash(true);
  Reopen();
}

// The index knows entries that are not in the file yet; a cut among them must still find its place.
TEST_F(SegmentLogTest, TruncatesBehindIndexRowsOfEntriesThatAreNotInTheFile) {
  script.Append(2, 1000);
  Settle();
  host.scheduler.RunFor(kSecond);
  script.Append(6, 30'000);
  script.Truncate(script.image().end().last_index - 1, 1);
  Settle();
  host.scheduler.RunFor(kSecond);
  script.Append(1, 10);
  Settle();
  EXPECT_EQ(host.Image(kGroup)->Difference(script.image()), "");
  host.Crash(true);
  Reopen();
}

// Entries that a truncation leaves are found in the file once the cache has let them go.
TEST_F(SegmentLogTest, ReadsWhatWasWrittenJustBeforeATruncation) {
  script.Append(6, 2000);
  script.Truncate(Index{7});
  Settle();
  host.scheduler.RunFor(10 * kMillisecond);
  ASSERT_TRUE(host.Create(GroupId{200}).ok());
  LogScript other(&host, GroupId{200});
  other.Begin();
  other.NewTerm();
  for (int i = 0; i < 20; ++i) other.Append(1, 2000);  // pushes the first group out of memory
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return other.Settled(); }, kSecond));
  EXPECT_TRUE(host.log(kGroup).ReadCached(Index{4}, 10).empty());
  const auto image = host.Image(kGroup);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->Difference(script.image()), "");
}

// The answer to a write that a truncation overtook says nothing about what replaced its entries.
TEST_F(SegmentLogTest, DurableIndexNeverCountsEntriesThatAreStillOnTheirWay) {
  for (uint64_t round = 0; round < 50; ++round) {
    const Index from = script.image().end().last_index + 1;
    bool first_done = false;
    bool second_done = false;
    LogImage image = script.image();
    LogWrite first;
    LogEnd end = image.end();
    for (int i = 0; i < 4; ++i) {
      first.entries.push_back(DataEntry(kGroup, end, image.hard_state.term, 1, 100));
      end = EndAfter(first.entries.back());
    }
    LogWrite second;
    second.truncate_from = from;
    end = image.end();
    for (int i = 0; i < 4; ++i) {
      second.entries.push_back(DataEntry(kGroup, end, image.hard_state.term + 1, 1, 100));
      end = EndAfter(second.entries.back());
    }
    second.hard_state = HardState{image.hard_state.term + 1, {}};
    host.Submit(kGroup, std::move(first), [&](const absl::Status&) { first_done = true; });
    host.Submit(kGroup, std::move(second), [&](const absl::Status&) { second_done = true; });
    host.scheduler.RunUntil(
        [&] {
          if (!second_done) {
            EXPECT_LT(host.log(kGroup).durable_index(), from) << round;
          }
          return second_done;
        },
        kSecond);
    EXPECT_TRUE(first_done && second_done);
    EXPECT_EQ(host.log(kGroup).durable_index(), end.last_index);
    script.Begin();
    if (HasFailure()) return;
  }
}

TEST_F(SegmentLogTest, ReplicaWithoutBootstrapBeginsEmpty) {
  constexpr GroupId kJoiner{300};
  ASSERT_TRUE(host.Create(kJoiner, ReplicaEpoch{4}, std::nullopt).ok());
  EXPECT_EQ(host.log(kJoiner).end(), LogEnd{});
  host.Crash(true);
  Reopen();
  ASSERT_TRUE(host.logs.contains(kJoiner));
  EXPECT_EQ(host.log(kJoiner).end(), LogEnd{});
  EXPECT_EQ(host.log(kJoiner).replica_epoch(), ReplicaEpoch{4});
  LogWrite write;
  write.entries = {RollEntry(kJoiner, {}, Term{0}, {})};
  write.commit_index = Index{1};
  ASSERT_TRUE(host.Write(kJoiner, std::move(write)).ok());
  host.Crash(true);
  Reopen();
  EXPECT_EQ(host.log(kJoiner).end().last_index, Index{1});
}

}  // namespace
}  // namespace varve::storage
