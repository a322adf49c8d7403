// Scrubbing: damage below closed segments is found while the broker runs, at the pace that was
// asked.
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

TEST_F(ScrubberTest, APassVerifiesEveryClosedSegmentWithinThePeriod) {
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_GE(stats().passes, 1u);
  EXPECT_LE(stats().passes, 3u);
  uint64_t closed = 0;
  const auto spans = log().Segments();
  for (size_t i = 0; i + 1 < spans.size(); ++i) closed += spans[i].bytes - kFileHeaderBytes;
  EXPECT_GE(stats().bytes, stats().passes * closed);
  EXPECT_LE(stats().bytes, (stats().passes + 1) * closed);
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

TEST_F(ScrubberTest, AReadThatTheDiskRefusesIsCountedAndIsNoDamage) {
  host.disk.AddFault({.kind = SimFault::Kind::kReadError, .path_prefix = GroupFiles(".log").at(1)});
  host.scheduler.RunFor(2 * kPeriod);
  EXPECT_GE(stats().errors, 1u);
  EXPECT_EQ(stats().damaged, 0u);
}

}  // namespace
}  // namespace varve::storage
