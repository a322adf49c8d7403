// A clock that is wrong: judged by the median, stamps nothing, deletes nothing, leads nothing.
#include "server/partition/clock_watch.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

constexpr int64_t kDayMs = 24 * 3600 * int64_t{1000};

// One broker's watch, and the heartbeats of two others whose clocks are right.
class MedianTest : public ::testing::Test {
 protected:
  void Beat(Nanos span = 100 * kMillisecond) {
    for (Nanos passed = 0; passed < span; passed += 100 * kMillisecond) {
      scheduler.RunFor(100 * kMillisecond);
      for (uint32_t node = 2; node <= others + 1; ++node)
        watch.Hear(NodeId(node), scheduler.clock().Wall() - delay_ms);
    }
  }
  [[nodiscard]] WallTime Stamp() { return watch.stamp_clock().Wall(); }

  SimScheduler scheduler{1};
  SkewedClock clock{scheduler.clock()};
  ClockWatch watch{clock, WallTime{}};
  uint32_t others = 2;
  int64_t delay_ms = 0;
};

TEST_F(MedianTest, AClockThatAgreesIsNotOff) {
  delay_ms = 400;  // heartbeats that took long
  Beat(5 * kSecond);
  EXPECT_EQ(watch.Check(), "");
  EXPECT_EQ(watch.Off(), "");
  EXPECT_EQ(Stamp(), clock.Wall());
  clock.Step(-600);  // with the delay it is less off than it seems, either way
  Beat(5 * kSecond);
  EXPECT_EQ(watch.Off(), "");
}

TEST_F(MedianTest, AStepStampsNothingAtOnceAndIsOffAfterASecond) {
  for (const int64_t step : {int64_t{1'500}, int64_t{-1'500}, 30 * kDayMs, -30 * kDayMs}) {
    SCOPED_TRACE(testing::Message() << "step " << step);
    Beat(5 * kSecond);
    EXPECT_EQ(Stamp(), clock.Wall());
    clock.Step(step);
    EXPECT_EQ(Stamp(), WallTime{}) << "before any heartbeat after the step";
    EXPECT_NE(watch.Check(), "");
    EXPECT_EQ(ReasonOf(watch.AdmitData()), Reason::CLOCK_OFF);
    EXPECT_EQ(watch.Off(), "") << "others lead only when it lasts";
    Beat(1'200 * kMillisecond);
    EXPECT_EQ(ReasonOf(watch.AdmitData()), Reason::CLOCK_OFF);
    EXPECT_NE(watch.Off().find(step > 0 ? "ahead of" : "behind"), std::string::npos) << watch.Off();
    scheduler.RunFor(25 * 3600 * kSecond);  // longer than a pause lasts without a median
    Beat(5 * kSecond);
    EXPECT_NE(watch.Off(), "");
    EXPECT_NE(watch.Check(), "");
    clock.Step(-step);
    // The clocks part by over a minute when it is corrected, too: the median ends that pause.
    Beat();
    EXPECT_EQ(watch.Off(), "");
    EXPECT_EQ(watch.Check(), "");
    EXPECT_EQ(Stamp(), clock.Wall());
  }
}

TEST_F(MedianTest, AClockThatIsOffStaysSoUntilAMedianClearsIt) {
  Beat(kSecond);
  clock.Step(5'000);
  Beat(2 * kSecond);
  ASSERT_NE(watch.Off(), "");
  watch.Forget(NodeId(3));
  clock.Step(-5'000);
  scheduler.RunFor(60 * kSecond);
  EXPECT_NE(watch.Off(), "") << "two brokers have no median";
  Beat();
  EXPECT_EQ(watch.Off(), "");
}

TEST_F(MedianTest, FewerThanThreeBrokersJudgeNobody) {
  others = 1;
  Beat(kSecond);
  clock.Step(5'000);
  Beat(5 * kSecond);
  EXPECT_EQ(watch.Off(), "");
  EXPECT_EQ(Stamp(), clock.Wall());
  others = 3;  // of four, two against two say nothing
  clock.Step(-5'000);
  Beat(5 * kSecond);
  for (int i = 0; i < 30; ++i) {
    scheduler.RunFor(100 * kMillisecond);
    watch.Hear(NodeId(2), clock.Wall());
    for (const uint32_t node : {3u, 4u}) watch.Hear(NodeId(node), clock.Wall() + 10'000);
  }
  EXPECT_EQ(watch.Off(), "");
}

// A process that was frozen finds old heartbeats first.
TEST_F(MedianTest, OldHeartbeatsAfterAFreezeDoNotMakeTheClockOff) {
  Beat(kSecond);
  scheduler.RunFor(10 * kSecond);
  const WallTime now = scheduler.clock().Wall();
  for (int64_t ago = 10'000; ago >= 0; ago -= 100)
    for (const uint32_t node : {2u, 3u}) watch.Hear(NodeId(node), now - ago);
  EXPECT_EQ(watch.Off(), "");
  EXPECT_EQ(watch.Check(), "");
}

TEST_F(MedianTest, ThePauseOfALongRestEndsWithTheMedian) {
  ClockWatch rested(clock, clock.Wall() - 2 * kDayMs);
  EXPECT_NE(rested.Check(), "");
  rested.Hear(NodeId(2), clock.Wall());
  EXPECT_NE(rested.Check(), "");
  rested.Hear(NodeId(3), clock.Wall());
  EXPECT_EQ(rested.Check(), "");
}

TEST_F(MedianTest, AHeartbeatOfNoTimeSaysNothing) {
  Beat(kSecond);
  for (const int64_t bad : {INT64_MIN, int64_t{-1}, INT64_MAX}) {
    watch.Hear(NodeId(2), WallTime(bad));
    EXPECT_EQ(Stamp(), clock.Wall());
    EXPECT_EQ(watch.Check(), "");
  }
}

// --- Brokers
// --------------------------------------------------------------------------------------

class ClockClusterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(3 * kSecond);
    CreateTopicRequest request;
    request.name = "t";
    request.partitions = 1;
    request.replication_factor = 3;
    request.config.segment_bytes = 64 << 10;
    request.config.retention_ms = 7 * kDayMs;
    ASSERT_TRUE(cluster.Ask(*cluster.Controller(), &BrokerService::CreateTopic, request).ok());
    for (int i = 0; i < 30; ++i)
      ASSERT_TRUE(cluster.Append("t", 0, StrCat(i, ":", std::string(10'000, 'x'))).ok());
    leader = *cluster.LeaderOf("t", 0);
  }
  absl::Status ProduceAt(size_t node) {
    ProduceRequest request;
    request.topic = "t";
    request.items.push_back({PartitionId(0), std::vector<PlainRecord>{PlainRecord{}}});
    const auto reply = cluster.Ask(node, &BrokerService::Produce, std::move(request));
    return reply.ok() ? reply->results[0].status : reply.status();
  }
  void ExpectEverythingIsThere(size_t records) {
    const auto all = cluster.ReadAll("t", 0);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(all->size(), records);
  }
  // How far beyond the true time any entry of the log claims to have been appended.
  int64_t NewestAhead() {
    WallTime newest;
    for (size_t i = 0; i < 3; ++i)
      newest = std::max(newest, cluster.node(i).broker().directory().newest_append_time());
    return newest - cluster.scheduler.clock().Wall();
  }

  SimCluster cluster{21, 3};
  size_t leader = 0;
};

TEST_F(ClockClusterTest, AStepOfThirtyDaysDeletesNothingAndLeadsNothing) {
  cluster.node(leader).StepWall(30 * kDayMs);
  EXPECT_EQ(ReasonOf(ProduceAt(leader)), Reason::CLOCK_OFF);
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_EQ(ReasonOf(ProduceAt(leader)), Reason::NOT_LEADER);
  const auto next = cluster.LeaderOf("t", 0);
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(*next, leader);
  EXPECT_NE(*cluster.Controller(), leader);
  ASSERT_TRUE(cluster.Append("t", 0, "the others take records").ok());
  cluster.scheduler.RunFor(90 * kSecond);  // whoever leads reviews meanwhile
  ExpectEverythingIsThere(31);
  EXPECT_LT(NewestAhead(), 1'000);
  EXPECT_NE(cluster.node(leader).broker().partitions().clock_watch().Check(), "");
  cluster.node(leader).StepWall(-30 * kDayMs);
  cluster.scheduler.RunFor(kSecond);
  EXPECT_EQ(cluster.node(leader).broker().partitions().clock_watch().Check(), "");
  EXPECT_NE(ReasonOf(ProduceAt(leader)), Reason::CLOCK_OFF);
}

TEST_F(ClockClusterTest, AClockThatIsTwoSecondsOffStartsAndLeadsNothing) {
  cluster.node(leader).Crash();
  cluster.node(leader).StepWall(2'000);
  cluster.node(leader).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  EXPECT_FALSE(ProduceAt(leader).ok());
  EXPECT_NE(cluster.node(leader).broker().partitions().clock_watch().Off(), "");
  for (int i = 0; i < 3; ++i) {
    cluster.OnReplica(leader, *cluster.node(leader).broker().catalogue().FindGroup("t", {}),
                      [](Partition* partition) { EXPECT_FALSE(partition->serving()); });
    cluster.scheduler.RunFor(2 * kSecond);
  }
  ASSERT_TRUE(cluster.Append("t", 0, "x").ok());
  EXPECT_LT(NewestAhead(), 1'000);
  ExpectEverythingIsThere(31);
}

// All at once: no clock differs from the others, and what is too old by all of them goes.
TEST_F(ClockClusterTest, WhenAllClocksAgreeTheRetentionRuns) {
  cluster.scheduler.StepWall(8 * kDayMs);
  ASSERT_TRUE(cluster.Append("t", 0, "young").ok());
  // Timers were set by the clock before the step.
  for (size_t i = 0; i < 3; ++i) cluster.node(i).broker().partitions().ReviewRetention();
  cluster.scheduler.RunFor(90 * kSecond);
  const GroupId group = *cluster.node(0).broker().catalogue().FindGroup("t", {});
  cluster.OnReplica(*cluster.LeaderOf("t", 0), group, [](Partition* partition) {
    EXPECT_GE(partition->bounds().log_start, Offset{24});
    EXPECT_LE(partition->bounds().log_start, Offset{30});
  });
}

}  // namespace
}  // namespace varve::server
