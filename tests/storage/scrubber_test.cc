// Scrubbing: damage below segments, of the active one in what is synced, is found while the broker
// runs, at the pace that was asked.
#include "storage/scrubber.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

constexpr Nanos kPeriod = 100 * kSecond;

class ScrubberTest : public OneLogTest {
 protected:
  void SetUp() override {
    host.options.scrub_period = kPeriod;
    host.options.cache_bytes = 0;  // reads see the files
    OneLogTest::SetUp();
    for (int i = 0; i < 3; ++i) {
      script.Append(5, 700);
      script.Roll();
    }
    script.Append(2, 100);
    script.Commit(script.image().end().last_index);
    Settle();
    host.scheduler.RunFor(10 * kSecond);  // all of it in files
    Listen();
  }
  void Listen() {
    host.directory->AddScrubListener([this](const ScrubFinding& f) { findings.push_back(f); });
  }
  ScrubStats stats() { return host.directory->scrub_stats(); }
  Reason ReadAt(Index index) { return ReasonOf(host.Read(kGroup, index, index, 1 << 20).status()); }

  std::vector<ScrubFinding> findings;
};

TEST_F(ScrubberTest, APassVerifiesEverySegmentWithinThePeriod) {
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_GE(stats().passes, 1u);
  EXPECT_LE(stats().passes, 3u);
  uint64_t written = 0;
  for (const SegmentSpan& span : log().Segments()) written += span.bytes - kFileHeaderBytes;
  EXPECT_GE(stats().bytes, stats().passes * written);
  EXPECT_LE(stats().bytes, (stats().passes + 1) * written);
  EXPECT_LE(stats().last_pass, kPeriod);
  EXPECT_EQ(stats().damaged, 0u);
  EXPECT_TRUE(findings.empty());
}

TEST_F(ScrubberTest, DamageIsNamedOnceAndRefusedFromThenOn) {
  const std::string path = GroupFiles(".log").at(1);
  const auto spans = log().Segments();
  ASSERT_TRUE(host.disk.Corrupt(path, kFileHeaderBytes + 1'000, "damage").ok());
  host.scheduler.RunFor(3 * kPeriod);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].group, kGroup);
  EXPECT_TRUE(findings[0].path.ends_with(path)) << findings[0].path << " " << path;
  const DamagedRange range = findings[0].range;
  EXPECT_GT(range.first, spans[1].first_index);
  EXPECT_EQ(range.last, spans[2].first_index - 1);
  EXPECT_EQ(stats().damaged, 1u);
  ASSERT_EQ(log().damaged_ranges().size(), 1u);
  EXPECT_EQ(ReadAt(range.first), Reason::DATA_LOSS);
  EXPECT_EQ(ReadAt(range.first - 1), Reason::OK) << "what is before it in the file is whole";
  EXPECT_EQ(ReadAt(range.last + 1), Reason::OK);
  script.Append(2, 100);
  Settle();
}

// The active segment goes on, so that nothing of it is given up; what is bad does not verify.
TEST_F(ScrubberTest, DamageBelowTheSyncPointOfTheActiveSegmentIsNamedOnce) {
  const std::string path = GroupFiles(".log").back();
  const SegmentSpan active = log().Segments().back();
  ASSERT_TRUE(host.disk.FlipBit(path, active.bytes - 50, 3).ok());
  host.scheduler.RunFor(3 * kPeriod);
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].group, kGroup);
  EXPECT_TRUE(findings[0].path.ends_with(path)) << findings[0].path << " " << path;
  const DamagedRange range = findings[0].range;
  EXPECT_EQ(range.first, script.image().end().last_index);
  EXPECT_EQ(range.last, range.first);
  EXPECT_EQ(stats().damaged, 1u);
  EXPECT_GE(stats().passes, 2u);
  EXPECT_TRUE(log().damaged_ranges().empty());
  script.Append(3, 900);
  Settle();
  host.scheduler.RunFor(10 * kSecond);
  EXPECT_EQ(ReadAt(script.image().end().last_index), Reason::OK);
}

// Closed, its damage is that of any closed one; it is the same damage.
TEST_F(ScrubberTest, DamageOfTheActiveSegmentIsRefusedOnceThatIsClosed) {
  const SegmentSpan active = log().Segments().back();
  ASSERT_TRUE(host.disk.FlipBit(GroupFiles(".log").back(), active.bytes - 50, 3).ok());
  host.scheduler.RunFor(2 * kPeriod);
  ASSERT_EQ(findings.size(), 1u);
  const Index bad = findings[0].range.first;
  script.Roll();
  script.Append(2, 100);
  Settle();
  host.scheduler.RunFor(2 * kPeriod);
  ASSERT_EQ(log().damaged_ranges().size(), 1u);
  EXPECT_EQ(log().damaged_ranges()[0].first, bad);
  EXPECT_EQ(ReadAt(bad), Reason::DATA_LOSS);
  EXPECT_EQ(ReadAt(bad + 1), Reason::OK);
  EXPECT_EQ(findings.size(), 2u) << "it is refused from now on";
  EXPECT_EQ(stats().damaged, 1u) << "and yet one damage";
}

// Bytes that are replaced while they are read are none that the disk has lost.
TEST_F(ScrubberTest, ATruncationBelowTheSyncPointIsNoDamage) {
  for (int i = 0; i < 60; ++i) {
    script.Append(2 + i % 3, 300 + 97 * static_cast<size_t>(i));
    Settle();
    host.scheduler.RunFor(7 * kSecond);
    script.Truncate(script.image().end().last_index - 1, i % 3);
    if (i % 10 == 9) script.Roll();
    Settle();
    host.scheduler.RunFor(static_cast<Nanos>(i % 4) * kSecond);
  }
  EXPECT_GE(stats().passes, 3u);
  EXPECT_TRUE(findings.empty()) << findings[0].path << ": " << findings[0].range.why;
}

TEST_F(ScrubberTest, AfterARestartTheActiveSegmentIsVerifiedAlsoWhenNothingIsWritten) {
  Reopen();
  Listen();
  const SegmentSpan active = log().Segments().back();
  ASSERT_TRUE(host.disk.FlipBit(GroupFiles(".log").back(), active.bytes - 50, 3).ok());
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_EQ(findings.size(), 1u);
}

TEST_F(ScrubberTest, WhatLeavesTheLogIsNobodysDamage) {
  ASSERT_TRUE(host.disk.Corrupt(GroupFiles(".log").at(0), kFileHeaderBytes + 900, "damage").ok());
  script.Trim(log().Segments()[1].base_offset);
  script.Commit(script.image().end().last_index);
  Settle();
  host.scheduler.RunFor(3 * kPeriod);
  EXPECT_TRUE(findings.empty());
  EXPECT_GE(stats().passes, 1u);
  ASSERT_TRUE(host.Remove(kGroup).ok());
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_TRUE(findings.empty());
}

class LateSyncScrubberTest : public ScrubberTest {
 protected:
  void SetUp() override {
    host.options.sync_interval = 5 * kPeriod;
    ScrubberTest::SetUp();
  }
};

// The journal has what is not synced, and a recovery writes it again.
TEST_F(LateSyncScrubberTest, WhatIsNotSyncedIsNotJudged) {
  script.Append(3, 900);
  Settle();
  host.scheduler.RunFor(kSecond);
  const SegmentSpan active = log().Segments().back();
  ASSERT_TRUE(host.disk.FlipBit(GroupFiles(".log").back(), active.bytes - 50, 3).ok());
  host.scheduler.RunFor(3 * kPeriod);
  EXPECT_GE(stats().passes, 2u);
  EXPECT_TRUE(findings.empty());
  host.scheduler.RunFor(4 * kPeriod);
  EXPECT_EQ(findings.size(), 1u);
}

TEST_F(ScrubberTest, AReadThatTheDiskRefusesIsCountedAndIsNoDamage) {
  host.disk.AddFault({.kind = SimFault::Kind::kReadError, .path_prefix = GroupFiles(".log").at(1)});
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_GE(stats().errors, 1u);
  EXPECT_EQ(stats().damaged, 0u);
}

}  // namespace
}  // namespace varve::storage
