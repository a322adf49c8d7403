// Nodes with hubs on a simulated network: groups elect, replicate, fall silent, and are led again
// soon after a node dies, freezes or is cut off.
#include "raft/shell/peer_hub.h"

#include <gtest/gtest.h>

#include "tests/raft/core_harness.h"
#include "tests/raft/shell/shell_cluster.h"

namespace varve::raft {
namespace {

TEST(PeerHubTest, GroupsElectAndCommit) {
  ShellCluster cluster(1, 3, 20);
  const auto took = cluster.AwaitLeaders();
  ASSERT_TRUE(took.has_value());
  EXPECT_LT(*took, 5 * kSecond);
  for (size_t g = 0; g < cluster.groups(); ++g) EXPECT_TRUE(cluster.Commit(g)) << g;
  cluster.scheduler.RunFor(kSecond);
  for (size_t g = 0; g < cluster.groups(); ++g) {
    const Index end = cluster.node(0).log(g).end().last_index;
    for (size_t i = 1; i < 3; ++i) EXPECT_EQ(cluster.node(i).log(g).end().last_index, end);
  }
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(cluster.node(i).refused(), 0u);
}

// DESIGN section 5: idle groups cost no traffic and no timer.
TEST(PeerHubTest, IdleGroupsFallSilent) {
  ShellCluster cluster(2, 3, 200);
  ASSERT_TRUE(cluster.AwaitLeaders().has_value());
  cluster.scheduler.RunFor(5 * kSecond);
  ASSERT_TRUE(cluster.AllAsleep());
  const uint64_t delivered = cluster.node(0).messages_delivered();
  const uint64_t packets = cluster.network.stats().packets;
  const uint64_t bytes = cluster.network.stats().bytes;
  const uint64_t events = cluster.scheduler.events_run();
  cluster.scheduler.RunFor(10 * kSecond);
  EXPECT_TRUE(cluster.AllAsleep());
  EXPECT_EQ(cluster.node(0).messages_delivered(), delivered);
  // Six directions, ten heartbeats a second, whatever the number of groups.
  EXPECT_LE(cluster.network.stats().packets - packets, 6u * 101);
  EXPECT_LE((cluster.network.stats().bytes - bytes) / (6 * 100), 200u);
  EXPECT_LT(cluster.scheduler.events_run() - events, 20'000u);
  // Everybody knows who leads what.
  for (size_t g = 0; g < cluster.groups(); ++g) {
    const size_t leader = *cluster.LeaderOf(g);
    for (size_t i = 0; i < 3; ++i) {
      if (i == leader) continue;
      const auto& known = cluster.node(i).leaders();
      const auto at = known.find(GroupId{kFirstGroup.value() + g});
      ASSERT_TRUE(at != known.end()) << g;
      EXPECT_EQ(at->second, NodeId{static_cast<uint32_t>(leader + 1)});
    }
  }
}

TEST(PeerHubTest, ASilentGroupTakesProposalsAtOnce) {
  ShellCluster cluster(3, 3, 5);
  ASSERT_TRUE(cluster.AwaitLeaders().has_value());
  cluster.scheduler.RunFor(5 * kSecond);
  ASSERT_TRUE(cluster.AllAsleep());
  const MonoTime begin = cluster.scheduler.Now();
  EXPECT_TRUE(cluster.Commit(2));
  EXPECT_LT(cluster.scheduler.Now() - begin, 20 * kMillisecond);
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_TRUE(cluster.AllAsleep());
}

// DESIGN section 12: p99 of 1 s after a process died, asleep or not, for 1,000 groups too.
TEST(PeerHubTest, TheGroupsOfADeadProcessAreLedAgainWithinASecond) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ShellCluster cluster(seed, 3, 30);
    ASSERT_TRUE(cluster.AwaitLeaders().has_value());
    if (seed % 2 == 0) cluster.scheduler.RunFor(5 * kSecond);
    cluster.Crash(seed % 3);
    const auto took = cluster.AwaitLeaders();
    ASSERT_TRUE(took.has_value());
    EXPECT_LT(*took, kSecond);
    cluster.Restart(seed % 3);
    cluster.scheduler.RunFor(6 * kSecond);
    EXPECT_TRUE(cluster.AllAsleep()) << "with the node that came back";
    EXPECT_TRUE(cluster.Commit(seed % 30));
    cluster.scheduler.RunFor(kSecond);
    const size_t group = seed % 30;
    EXPECT_EQ(cluster.node(seed % 3).log(group).end().last_index,
              cluster.node((seed + 1) % 3).log(group).end().last_index);
  }
}

TEST(PeerHubTest, TheGroupsOfANodeThatIsCutOffAreLedAgainWithinThreeSeconds) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    ShellCluster cluster(seed, 3, 30);
    ASSERT_TRUE(cluster.AwaitLeaders().has_value());
    if (seed % 2 == 0) cluster.scheduler.RunFor(5 * kSecond);
    const size_t cut = seed % 3;
    cluster.Isolate(cut);
    const MonoTime begin = cluster.scheduler.Now();
    const auto led_elsewhere = [&] {
      for (size_t g = 0; g < cluster.groups(); ++g) {
        const auto leader = cluster.LeaderOf(g);
        if (!leader || *leader == cut) return false;
      }
      return true;
    };
    while (!led_elsewhere() && cluster.scheduler.Now() - begin < 10 * kSecond)
      cluster.scheduler.RunFor(5 * kMillisecond);
    EXPECT_TRUE(led_elsewhere());
    EXPECT_LT(cluster.scheduler.Now() - begin, 3 * kSecond);
    cluster.network.Heal();
    cluster.scheduler.RunFor(10 * kSecond);
    EXPECT_TRUE(cluster.AllAsleep());
    for (size_t g = 0; g < cluster.groups(); ++g)
      EXPECT_EQ(cluster.node(cut).group(g).core().role() == Role::kLeader,
                cluster.LeaderOf(g) == cut);
  }
}

// A leader whose entries vanish while its heartbeats arrive must not keep its groups for ever.
TEST(PeerHubTest, ABlackHoledBulkConnectionEndsTheLeadership) {
  ShellCluster cluster(4, 3, 3);
  ASSERT_TRUE(cluster.AwaitLeaders().has_value());
  const size_t leader = *cluster.LeaderOf(0);
  for (const NodeId id : cluster.ids())
    cluster.network.CutLane(cluster.ids()[leader], id, Lane::kBulk);
  ASSERT_TRUE(cluster.node(leader).running());
  cluster.node(leader).shard().Post([&] {
    for (int i = 0; i < 3; ++i)
      cluster.node(leader).group(0).Propose(Batch(1), EntryKind::kData, 1, std::nullopt);
  });
  const MonoTime begin = cluster.scheduler.Now();
  while (cluster.LeaderOf(0) == leader && cluster.scheduler.Now() - begin < 20 * kSecond)
    cluster.scheduler.RunFor(20 * kMillisecond);
  EXPECT_NE(cluster.LeaderOf(0), leader);
}

// A shard that hangs is found out, though its node's heartbeats go on.
TEST(PeerHubTest, AShardThatStandsStillIsNotVouchedFor) {
  ShellCluster cluster(5, 3, 6);
  ASSERT_TRUE(cluster.AwaitLeaders().has_value());
  cluster.scheduler.RunFor(5 * kSecond);
  ASSERT_TRUE(cluster.AllAsleep());
  const size_t leader = *cluster.LeaderOf(0);
  bool led_elsewhere = false;
  cluster.node(leader).shard().Post([&] {
    cluster.scheduler.Stall(4 * kSecond);
    led_elsewhere = cluster.LeaderOf(0) != leader;
  });
  cluster.scheduler.RunFor(8 * kSecond);
  EXPECT_TRUE(led_elsewhere);
}

TEST(PeerHubTest, EqualSeedsRunEqually) {
  const auto run = [](uint64_t seed) {
    ShellCluster cluster(seed, 3, 10);
    cluster.scheduler.RunFor(3 * kSecond);
    cluster.Crash(1);
    cluster.scheduler.RunFor(2 * kSecond);
    cluster.Restart(1);
    cluster.scheduler.RunFor(2 * kSecond);
    return cluster.scheduler.trace_hash();
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

}  // namespace
}  // namespace varve::raft
