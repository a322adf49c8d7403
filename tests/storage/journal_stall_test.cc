// A data directory whose disk stands still for a while.
#include <gtest/gtest.h>

#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

struct Heard {
  DiskEvent::Kind kind;
  Nanos duration;
  MonoTime when;
};

class JournalStallTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    host.scheduler.RunFor(10 * kSecond);
    host.directory->AddDiskListener([this](const DiskEvent& event) {
      EXPECT_EQ(event.directory, host.options.path);
      heard.push_back({event.kind, event.duration, host.scheduler.Now()});
    });
  }
  void StallOnce(const char* path, uint64_t skip, Nanos stall) {
    host.disk.AddFault({.kind = SimFault::Kind::kStall,
                        .path_prefix = path,
                        .skip = skip,
                        .count = 1,
                        .stall = stall});
  }
  std::vector<Heard> heard;
};

// The write, or the sync behind it.
TEST_F(JournalStallTest, IsToldWhileItLastsAndNothingIsLost) {
  for (const uint64_t skip : {0u, 1u}) {
    heard.clear();
    const MonoTime begin = host.scheduler.Now();
    StallOnce("data/journal", skip, 10 * kSecond);
    script.Append(1, 100);
    host.scheduler.RunUntil([&] { return !heard.empty(); }, 60 * kSecond);
    ASSERT_NO_FATAL_FAILURE(Settle());
    host.scheduler.RunFor(kMillisecond);
    ASSERT_EQ(heard.size(), 2u);
    EXPECT_EQ(heard[0].kind, DiskEvent::Kind::kSlow);
    EXPECT_GE(heard[0].duration, host.options.stall_after);
    EXPECT_LT(heard[0].when - begin, host.options.stall_after + 100 * kMillisecond);
    EXPECT_EQ(heard[1].kind, DiskEvent::Kind::kOk);
    EXPECT_GE(heard[1].duration, 10 * kSecond);
    EXPECT_TRUE(host.directory->health().ok());
    host.scheduler.RunFor(kSecond);
  }
  EXPECT_EQ(host.directory->disk_watch_stats().stalls, 2u);
  EXPECT_FALSE(host.directory->disk_watch_stats().slow);
  host.Crash(true);
  Reopen();
}

// Segments are written behind the acknowledgement.
TEST_F(JournalStallTest, StalledSegmentsHoldUpNoAcknowledgement) {
  StallOnce("data/groups", 0, 10 * kSecond);
  script.Append(1, 100);
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return script.Settled(); }, kSecond));
  script.Append(1, 100);
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return script.Settled(); }, kSecond));
  host.scheduler.RunFor(20 * kSecond);
  EXPECT_TRUE(heard.empty());
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
}

TEST_F(JournalStallTest, ShortStallsAreNotTold) {
  for (int i = 0; i < 20; ++i) {
    StallOnce("data/journal", static_cast<uint64_t>(i % 2), host.options.stall_after / 2);
    script.Append(1, 100);
    ASSERT_NO_FATAL_FAILURE(Settle());
  }
  host.scheduler.RunFor(kSecond);
  EXPECT_TRUE(heard.empty());
}

}  // namespace
}  // namespace varve::storage
