// BrokerWatch: each condition of a broker as a whole, with cause and age.
#include "server/broker_watch.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/sim/sim_scheduler.h"

namespace varve::server {
namespace {

class BrokerWatchTest : public ::testing::Test {
 protected:
  // One condition, after it has lasted for 5 s and has been looked at each second.
  Condition After5s(const BrokerSight& sight) {
    for (int i = 0; i < 5; ++i) {
      watch.Look(sight);
      scheduler.RunFor(kSecond);
    }
    const auto conditions = watch.Look(sight);
    EXPECT_EQ(conditions.size(), 1u);
    return conditions.empty() ? Condition{} : conditions[0];
  }
  void Expect(const BrokerSight& sight, ConditionCode code, const std::string& cause) {
    const Condition condition = After5s(sight);
    EXPECT_EQ(condition.code, code) << InfoOf(condition.code).name;
    EXPECT_EQ(condition.age, 5 * kSecond);
    EXPECT_NE(condition.cause.find(cause), std::string::npos) << condition.cause;
    EXPECT_EQ(condition.node, NodeId(1));
    EXPECT_TRUE(watch.Look({}).empty()) << "it has ended";
    // A second time it is new.
    EXPECT_EQ(watch.Look(sight).at(0).age, 0);
  }

  SimScheduler scheduler{1};
  BrokerWatch watch{NodeId(1), scheduler.clock()};
};

TEST_F(BrokerWatchTest, NothingIsWrong) { EXPECT_TRUE(watch.Look({}).empty()); }

TEST_F(BrokerWatchTest, DiskFailed) {
  watch.Look({});
  BrokerSight sight;
  sight.health = MakeError(Reason::DISK_FAILED, "data: fdatasync: EIO");
  sight.room = sight.health;  // a disk that failed is not called full as well
  Expect(sight, ConditionCode::kDiskFailed, "EIO");
}

TEST_F(BrokerWatchTest, DiskFull) {
  BrokerSight sight;
  sight.room = MakeError(Reason::NO_SPACE, "data: no room for records");
  Expect(sight, ConditionCode::kDiskFull, "no room");
}

TEST_F(BrokerWatchTest, DiskSlow) {
  BrokerSight sight;
  sight.disk_slow = true;
  Expect(sight, ConditionCode::kDiskSlow, "does not come back");
}

TEST_F(BrokerWatchTest, DeletionPaused) {
  BrokerSight sight;
  sight.deletion_pause = "the wall clock jumped by 90 s";
  Expect(sight, ConditionCode::kDeletionPaused, "90 s");
}

TEST_F(BrokerWatchTest, NotJoinedCountsFromTheStart) {
  BrokerSight sight;
  sight.not_joined = "the metadata does not know node 1";
  scheduler.RunFor(3 * kSecond);
  EXPECT_EQ(watch.Look(sight).at(0).age, 3 * kSecond);
  EXPECT_EQ(watch.Look(sight).at(0).code, ConditionCode::kNotJoined);
  EXPECT_TRUE(watch.Look({}).empty());
  EXPECT_EQ(watch.Look(sight).at(0).age, 0);
}

TEST(ClockOffMsTest, IsOffTheMedianOfThreeOrMore) {
  const auto peer = [](uint32_t node, int64_t ahead_ms, bool live = true) {
    return raft::PeerState{NodeId(node), live, MonoTime{}, 1, ahead_ms};
  };
  EXPECT_EQ(ClockOffMs({peer(2, 5000)}), std::nullopt) << "of two nobody knows which is right";
  EXPECT_EQ(ClockOffMs({peer(2, 5000), peer(3, 5010, false)}), std::nullopt);
  EXPECT_EQ(ClockOffMs({peer(2, 5000), peer(3, -10)}), 0) << "the other one is off";
  EXPECT_EQ(ClockOffMs({peer(2, 5000), peer(3, 5010)}), -5000);
  EXPECT_EQ(ClockOffMs({peer(2, 4000), peer(3, 5000), peer(4, 6000)}), -4500);
}

TEST_F(BrokerWatchTest, ClockOff) {
  BrokerSight sight;
  sight.clock_off = "the wall clock is 5000 ms behind the median of 3 brokers";
  Expect(sight, ConditionCode::kClockOff, "5000 ms behind");
}

TEST_F(BrokerWatchTest, UnreachableSinceItWasHeardOf) {
  BrokerSight sight;
  scheduler.RunFor(10 * kSecond);
  sight.peers = {{NodeId(2), false, scheduler.Now(), 1, 0}};
  EXPECT_TRUE(watch.Look(sight).empty()) << "it may be back in a moment";
  scheduler.RunFor(3 * kSecond);
  const auto silent = watch.Look(sight);
  ASSERT_EQ(silent.size(), 1u);
  EXPECT_EQ(silent[0].code, ConditionCode::kBrokerUnreachable);
  EXPECT_EQ(silent[0].node, NodeId(2));
  EXPECT_EQ(silent[0].age, 3 * kSecond);
  sight.peers[0].last_heard.reset();
  const auto never = watch.Look(sight);
  ASSERT_EQ(never.size(), 1u);
  EXPECT_EQ(never[0].age, 13 * kSecond) << "since this broker listens";
  EXPECT_NE(never[0].cause.find("never heard node 2"), std::string::npos) << never[0].cause;
}

}  // namespace
}  // namespace varve::server
