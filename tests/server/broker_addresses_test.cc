// Brokers that were away and do not know the addresses of those who lead now.
#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

// It knows of nobody but its seeds: without them it would never answer its leader.
TEST(BrokerAddressesTest, ABrokerThatDiedBeforeItHeardOfTheMetadataComesBack) {
  SimCluster cluster(1, 3);
  cluster.network.Isolate(NodeId{3}, cluster.Ids());
  const auto entered = [&] {
    return cluster.node(2).has_broker() && cluster.node(2).broker().in_cluster();
  };
  for (int wait = 0; wait < 2'000 && !entered(); ++wait) cluster.scheduler.RunFor(kMillisecond);
  ASSERT_TRUE(entered());
  cluster.node(2).Crash();
  cluster.network.Heal();
  cluster.node(2).Start();
  EXPECT_TRUE(cluster.AwaitReady());
}

// Whoever let it in is gone when it can be reached: it finds those who lead now through the seeds.
TEST(BrokerAddressesTest, ABrokerThatWasLetInByOneThatIsGoneFindsTheOthers) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {  // they enter in different orders
    SimCluster cluster(seed, 4);
    cluster.network.Isolate(NodeId{2}, cluster.Ids());
    cluster.scheduler.RunFor(5 * kSecond);
    for (const size_t i : {0, 2, 3}) ASSERT_TRUE(cluster.node(i).ready());
    ASSERT_TRUE(cluster.node(1).has_broker() && !cluster.node(1).ready());
    cluster.node(0).Crash();
    cluster.network.Heal();
    EXPECT_TRUE(cluster.AwaitReady()) << "seed " << seed;
  }
}

// Both who lead now entered after it, and are no seeds; who let it in knows them and comes back.
TEST(BrokerAddressesTest, ABrokerAsksThoseItKnowsWhoLeads) {
  SimCluster cluster(3, 1);
  ASSERT_TRUE(cluster.AwaitReady());
  const size_t away = cluster.AddNode();
  cluster.Isolate(away);
  ASSERT_TRUE(
      cluster.scheduler.RunUntil([&] { return cluster.node(away).has_broker(); }, 10 * kSecond));
  cluster.scheduler.RunFor(kSecond);
  cluster.AddNode();
  cluster.AddNode();
  cluster.Isolate(away);
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.node(0).Crash();
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.node(0).Start();
  cluster.network.Heal();
  EXPECT_TRUE(cluster.AwaitReady());
  EXPECT_NE(cluster.Controller(), 0u);
}

// Its own metadata is whole and old: it is registered, and hears a controller that is not in it.
TEST(BrokerAddressesTest, ABrokerThatWasAwayLearnsWhereANewControllerIs) {
  SimCluster cluster(4, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(5 * kSecond);  // all three vote: then five do
  cluster.node(2).Crash();
  const size_t newcomer = cluster.AddNode();
  cluster.AddNode();
  cluster.scheduler.RunFor(20 * kSecond);
  std::optional<absl::Status> moved;
  cluster.node(newcomer).broker().peers()->Transfer(
      {kMetadataGroup, cluster.node(newcomer).id()},
      [&](const absl::StatusOr<TransferReply>& reply) { moved = reply.status(); });
  ASSERT_TRUE(cluster.scheduler.RunUntil([&] { return moved.has_value(); }, 10 * kSecond));
  ASSERT_TRUE(moved->ok()) << *moved;
  cluster.scheduler.RunFor(kSecond);
  ASSERT_EQ(cluster.Controller(), newcomer);
  cluster.node(2).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  EXPECT_TRUE(cluster.scheduler.RunUntil(
      [&] { return cluster.node(2).broker().catalogue().List("", 10).size() == 1; }, 20 * kSecond));
  EXPECT_EQ(cluster.Controller(), newcomer);
}

}  // namespace
}  // namespace varve::server
