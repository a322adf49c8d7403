// Replicas that move: brokers come and go, partitions are added, leaders are handed over; under
// load, and while leaders die.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "common/error.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

using Nodes = std::vector<uint32_t>;

class ReplicaMoveTest : public testing::Test {
 protected:
  static NodeId Id(uint32_t node) { return NodeId(node); }

  // Asks the controller, whoever that is, until it answers.
  template <class Answer, class Request>
  absl::StatusOr<Answer> Decide(SimCluster& cluster,
                                void (BrokerService::*method)(RequestContext, Request,
                                                              Reply<Answer>),
                                const Request& request) {
    absl::StatusOr<Answer> answer = absl::UnavailableError("no controller");
    for (int attempt = 0; attempt < 200; ++attempt) {
      if (const auto controller = cluster.Controller()) {
        answer = cluster.Ask(*controller, method, request);
        if (answer.ok() || !InfoOf(ReasonOf(answer.status())).retryable) return answer;
      }
      cluster.scheduler.RunFor(50 * kMillisecond);
    }
    return answer;
  }

  absl::Status Leave(SimCluster& cluster, uint32_t node, uint32_t replacement = 0,
                     bool leave = true) {
    return Decide<SetBrokerDutyReply>(cluster, &BrokerService::SetBrokerDuty,
                                      SetBrokerDutyRequest{Id(node), leave, Id(replacement), {}})
        .status();
  }

  // Nodes of the partition's voters as its leader knows them; empty while that is not settled.
  Nodes Voters(SimCluster& cluster, const std::string& topic, uint32_t partition) {
    Nodes out;
    const auto leader = cluster.LeaderOf(topic, partition);
    if (!leader) return out;
    const GroupId group =
        *cluster.node(*leader).broker().catalogue().FindGroup(topic, PartitionId(partition));
    cluster.OnReplica(*leader, group, [&](Partition* replica) {
      if (replica == nullptr || !replica->serving()) return;
      const Configurations& known = replica->core().configurations();
      const Configuration& now = replica->core().log().configuration();
      if (known.uncommitted || !now.outgoing.empty() || !now.learners.empty()) return;
      for (const ReplicaId& voter : now.voters) out.push_back(voter.node.value());
    });
    std::sort(out.begin(), out.end());
    return out;
  }

  bool AwaitVoters(SimCluster& cluster, const std::string& topic, uint32_t partition,
                   const Nodes& wanted, Nanos limit = 60 * kSecond) {
    const MonoTime end = cluster.scheduler.Now() + limit;
    Nodes last;
    while (cluster.scheduler.Now() < end) {
      last = Voters(cluster, topic, partition);
      if (last == wanted) return true;
      cluster.scheduler.RunFor(50 * kMillisecond);
    }
    ADD_FAILURE() << topic << "/" << partition << " has voters " << testing::PrintToString(last);
    return false;
  }

  // Replicas of the topic that lie on the node's disk.
  static size_t ReplicasOn(SimCluster& cluster, size_t node) {
    size_t count = 0;
    for (const GroupId group : cluster.node(node).broker().directory().groups())
      count += group >= kFirstTopicGroup ? 1 : 0;
    return count;
  }

  static void Fill(SimCluster& cluster, const std::string& topic, uint32_t partition,
                   const std::string& prefix, int count, std::vector<std::string>* sent) {
    for (int i = 0; i < count; ++i) {
      sent->push_back(StrCat(prefix, i));
      const auto result = cluster.Append(topic, partition, sent->back());
      ASSERT_TRUE(result.ok()) << result.status();
    }
  }
};

// What a broker that begins alone holds outlives it: more brokers come, the topic gets replicas
// there, and the first one dies.
TEST_F(ReplicaMoveTest, OneBrokerGrowsToThree) {
  SimCluster cluster(101, 1);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 2, 1).ok());
  std::vector<std::string> sent;
  Fill(cluster, "t", 0, "before ", 5, &sent);
  cluster.AddNode();
  cluster.AddNode();
  ASSERT_TRUE(cluster.AwaitReady());
  AlterTopicRequest alter;
  alter.name = "t";
  alter.replication_factor = 3;
  const auto altered = Decide<TopicInfo>(cluster, &BrokerService::AlterTopic, alter);
  ASSERT_TRUE(altered.ok()) << altered.status();
  EXPECT_EQ(altered->replication_factor, 3u);
  Fill(cluster, "t", 0, "while ", 5, &sent);
  ASSERT_TRUE(AwaitVoters(cluster, "t", 0, {1, 2, 3}));
  ASSERT_TRUE(AwaitVoters(cluster, "t", 1, {1, 2, 3}));
  cluster.scheduler.RunFor(5 * kSecond);  // so many metadata voters, too
  cluster.node(0).Crash();
  Fill(cluster, "t", 0, "after ", 5, &sent);
  EXPECT_EQ(*cluster.ReadAll("t", 0), sent);
}

TEST_F(ReplicaMoveTest, ABrokerIsReplacedUnderLoadWhileLeadersDie) {
  const uint64_t seeds = std::getenv("VARVE_SLOW") != nullptr ? 300 : 4;
  for (uint64_t seed = 110; seed < 110 + seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimCluster cluster(seed, 3);
    ASSERT_TRUE(cluster.AwaitReady());
    ASSERT_TRUE(cluster.CreateTopic("t", 3, 3).ok());
    std::map<uint32_t, std::vector<std::string>> sent;
    for (uint32_t p = 0; p < 3; ++p) Fill(cluster, "t", p, "a", 4, &sent[p]);
    cluster.AddNode();
    ASSERT_TRUE(cluster.AwaitReady());
    ASSERT_TRUE(Leave(cluster, 2, 4).ok());
    for (uint32_t p = 0; p < 3; ++p) Fill(cluster, "t", p, "b", 4, &sent[p]);
    if (const auto victim = cluster.LeaderOf("t", 0)) {
      cluster.node(*victim).Crash(seed % 2 == 0);
      for (uint32_t p = 0; p < 3; ++p) Fill(cluster, "t", p, "c", 4, &sent[p]);
      cluster.node(*victim).Start();
      ASSERT_TRUE(cluster.AwaitReady());
    }
    for (uint32_t p = 0; p < 3; ++p) {
      ASSERT_TRUE(AwaitVoters(cluster, "t", p, {1, 3, 4}));
      Fill(cluster, "t", p, "d", 2, &sent[p]);
      EXPECT_EQ(*cluster.ReadAll("t", p), sent[p]);
    }
    // Its data is gone, and it is no broker of the cluster any more.
    ASSERT_TRUE(
        cluster.scheduler.RunUntil([&] { return ReplicasOn(cluster, 1) == 0; }, 30 * kSecond));
    ASSERT_TRUE(cluster.scheduler.RunUntil(
        [&] { return !cluster.node(0).broker().cluster_view().FindBroker(Id(2)); }, 30 * kSecond));
    cluster.node(1).Crash();
    for (uint32_t p = 0; p < 3; ++p) Fill(cluster, "t", p, "e", 2, &sent[p]);
    EXPECT_TRUE(cluster.CreateTopic("later", 3, 3).ok());
  }
}

TEST_F(ReplicaMoveTest, ADeadBrokerIsReplaced) {
  SimCluster cluster(120, 4);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 4, 3).ok());
  std::vector<std::string> sent;
  Fill(cluster, "t", 0, "a", 4, &sent);
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.node(2).Crash();
  cluster.scheduler.RunFor(2 * kSecond);
  ASSERT_TRUE(Leave(cluster, 3).ok());
  for (uint32_t p = 0; p < 4; ++p) ASSERT_TRUE(AwaitVoters(cluster, "t", p, {1, 2, 4}));
  Fill(cluster, "t", 0, "b", 4, &sent);
  EXPECT_EQ(*cluster.ReadAll("t", 0), sent);
  // It comes back, and is told that it left.
  cluster.node(2).Start();
  cluster.scheduler.RunFor(10 * kSecond);
  EXPECT_FALSE(cluster.node(0).broker().cluster_view().FindBroker(Id(3)).has_value());
  for (uint32_t p = 0; p < 4; ++p) EXPECT_EQ(Voters(cluster, "t", p), (Nodes{1, 2, 4}));
  // What it knows is old: it sends clients away instead of answering for ever as it did last.
  EXPECT_FALSE(cluster.node(2).broker().ready());
  EXPECT_EQ(ReasonOf(cluster.Ask(2, &BrokerService::GetTopic, GetTopicRequest{"t", {}}).status()),
            Reason::BROKER_LEFT);
}

TEST_F(ReplicaMoveTest, LeavingIsCalledOff) {
  SimCluster cluster(125, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 2).ok());
  ASSERT_TRUE(cluster.CreateTopic("three", 1, 1).ok());
  std::vector<std::string> sent;
  Fill(cluster, "t", 0, "a", 4, &sent);
  ASSERT_TRUE(Leave(cluster, 2).ok());
  ASSERT_TRUE(Leave(cluster, 2, 0, false).ok());
  cluster.scheduler.RunFor(10 * kSecond);
  EXPECT_TRUE(cluster.node(0).broker().cluster_view().FindBroker(Id(2)).has_value());
  Fill(cluster, "t", 0, "b", 4, &sent);
  EXPECT_EQ(*cluster.ReadAll("t", 0), sent);
}

TEST_F(ReplicaMoveTest, ABrokerThatIsNeededDoesNotLeave) {
  SimCluster cluster(126, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  EXPECT_EQ(ReasonOf(Leave(cluster, 2)), Reason::INVALID_REPLICATION);
  EXPECT_EQ(ReasonOf(Leave(cluster, 9)), Reason::UNKNOWN_BROKER);
  EXPECT_EQ(ReasonOf(Leave(cluster, 2, 9)), Reason::UNKNOWN_BROKER);
}

TEST_F(ReplicaMoveTest, PartitionsAreAddedAndMoved) {
  SimCluster cluster(130, 4);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  AddPartitionsRequest add;
  add.name = "t";
  add.partitions = 4;
  const auto more = Decide<TopicInfo>(cluster, &BrokerService::AddPartitions, add);
  ASSERT_TRUE(more.ok()) << more.status();
  EXPECT_EQ(more->partitions.size(), 4u);
  std::vector<std::string> sent;
  Fill(cluster, "t", 3, "a", 3, &sent);
  EXPECT_EQ(ReasonOf(Decide<TopicInfo>(cluster, &BrokerService::AddPartitions, add).status()),
            Reason::INVALID_PARTITIONS);

  MovePartitionRequest move{"t", PartitionId(3), {Id(4), Id(3), Id(2)}, {}};
  ASSERT_TRUE(Decide<MovePartitionReply>(cluster, &BrokerService::MovePartition, move).ok());
  ASSERT_TRUE(AwaitVoters(cluster, "t", 3, {2, 3, 4}));
  move.nodes = {Id(1), Id(2), Id(3)};
  ASSERT_TRUE(Decide<MovePartitionReply>(cluster, &BrokerService::MovePartition, move).ok());
  ASSERT_TRUE(AwaitVoters(cluster, "t", 3, {1, 2, 3}));
  EXPECT_EQ(*cluster.ReadAll("t", 3), sent);
  move.nodes = {Id(1), Id(1), Id(2)};
  EXPECT_EQ(
      ReasonOf(Decide<MovePartitionReply>(cluster, &BrokerService::MovePartition, move).status()),
      Reason::INVALID_REPLICATION);
}

TEST_F(ReplicaMoveTest, ATopicIsDeletedWhileItMoves) {
  SimCluster cluster(131, 4);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 2, 2).ok());
  for (uint32_t p = 0; p < 2; ++p) {
    const MovePartitionRequest move{"t", PartitionId(p), {Id(3), Id(4)}, {}};
    ASSERT_TRUE(Decide<MovePartitionReply>(cluster, &BrokerService::MovePartition, move).ok());
  }
  DeleteTopicRequest gone;
  gone.name = "t";
  ASSERT_TRUE(Decide<DeleteTopicReply>(cluster, &BrokerService::DeleteTopic, gone).ok());
  cluster.scheduler.RunFor(10 * kSecond);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(ReplicasOn(cluster, i), 0u) << "node " << i + 1;
  EXPECT_TRUE(cluster.CreateTopic("t", 2, 3).ok());
}

TEST_F(ReplicaMoveTest, ABrokerThatComesBackGetsItsLeadersBack) {
  SimCluster cluster(140, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 6, 3).ok());
  cluster.node(0).Crash();
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.node(0).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(15 * kSecond);
  std::map<size_t, int> led;
  for (uint32_t p = 0; p < 6; ++p) ++led[*cluster.LeaderOf("t", p)];
  for (const auto& [node, count] : led) EXPECT_EQ(count, 2) << "node " << node + 1;
  EXPECT_EQ(led.size(), 3u);
}

TEST_F(ReplicaMoveTest, ABrokerThatStopsHandsOverWhatItLeads) {
  SimCluster cluster(141, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 6, 3).ok());
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.node(1).Stop();
  // Nobody waits for an election: the others lead at once.
  for (uint32_t p = 0; p < 6; ++p) {
    const MonoTime begin = cluster.scheduler.Now();
    ASSERT_TRUE(cluster.Append("t", p, "x").ok());
    EXPECT_LT(cluster.scheduler.Now() - begin, 50 * kMillisecond);
  }
}

TEST_F(ReplicaMoveTest, AnOperatorChoosesTheLeader) {
  SimCluster cluster(142, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  cluster.scheduler.RunFor(kSecond);
  const size_t leader = *cluster.LeaderOf("t", 0);
  const size_t next = (leader + 1) % 3;
  TransferLeaderRequest transfer{"t", PartitionId(0), cluster.node(next).id(), {}};
  const auto asked =
      cluster.Ask<TransferLeaderReply>(leader, &BrokerService::TransferLeader, transfer);
  ASSERT_TRUE(asked.ok()) << asked.status();
  cluster.scheduler.RunFor(100 * kMillisecond);
  EXPECT_EQ(cluster.LeaderOf("t", 0), next);
  transfer.to = NodeId(9);
  EXPECT_EQ(
      ReasonOf(cluster.Ask<TransferLeaderReply>(leader, &BrokerService::TransferLeader, transfer)
                   .status()),
      Reason::UNKNOWN_BROKER);
}

}  // namespace
}  // namespace varve::server
