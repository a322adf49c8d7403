// What brokers say is wrong: each condition in a simulated cluster, with cause and age; and the
// description of replicas that goes with it.
#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/segment_names.h"
#include "tests/server/sim_broker.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

struct ConditionsTest : ::testing::Test {
  DescribeBrokerReply Describe(size_t i, uint32_t most = 0) {
    const auto reply =
        cluster.Ask(i, &BrokerService::DescribeBroker, DescribeBrokerRequest{most, {}});
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.value_or(DescribeBrokerReply{});
  }
  // Of the topic "t", as node i says it.
  std::vector<Condition> Find(size_t i, ConditionCode code) {
    std::vector<Condition> out;
    for (Condition& condition : Describe(i).conditions)
      if (condition.code == code && condition.group != kMetadataGroup)
        out.push_back(std::move(condition));
    return out;
  }
  std::vector<PartitionStatus> Partitions(size_t i, DescribePartitionsRequest request = {}) {
    const auto reply = cluster.Ask(i, &BrokerService::DescribePartitions, std::move(request));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? reply->partitions : std::vector<PartitionStatus>{};
  }
  void SetUp() override {
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(5 * kSecond);
  }

  SimCluster cluster{21, 3};
};

std::string Causes(const DescribeBrokerReply& reply) {
  std::string out;
  for (const Condition& condition : reply.conditions)
    out += StrCat(InfoOf(condition.code).name, ": ", condition.cause, "\n");
  return out;
}

TEST_F(ConditionsTest, AHealthyClusterSaysNothing) {
  ASSERT_TRUE(cluster.CreateTopic("t", 3, 3).ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(cluster.Append("t", 0, "x").ok());
  cluster.scheduler.RunFor(3 * kSecond);
  uint64_t leaders = 0;
  for (size_t i = 0; i < 3; ++i) {
    const DescribeBrokerReply reply = Describe(i);
    EXPECT_TRUE(reply.conditions.empty()) << i << ": " << Causes(reply);
    EXPECT_EQ(reply.state, BrokerState::kServing);
    EXPECT_EQ(reply.node, cluster.node(i).id());
    EXPECT_EQ(reply.replicas, 3u);
    EXPECT_GT(reply.data_bytes, 0u);
    EXPECT_EQ(reply.controller, cluster.node(*cluster.Controller()).id());
    EXPECT_EQ(reply.address, SimNode::ClientAddress(cluster.node(i).id()));
    ASSERT_EQ(reply.peers.size(), 2u);
    for (const PeerBroker& peer : reply.peers) {
      EXPECT_TRUE(peer.live);
      EXPECT_LT(peer.silent.value_or(kSecond), kSecond);
      EXPECT_EQ(peer.address, SimNode::ClientAddress(peer.node));
    }
    leaders += reply.leaders;
  }
  EXPECT_EQ(leaders, 3u);
}

TEST_F(ConditionsTest, TheLeaderDescribesItsReplicas) {
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(cluster.Append("t", 0, "x").ok());
  cluster.scheduler.RunFor(3 * kSecond);
  const size_t leader = *cluster.LeaderOf("t", 0);
  const auto partitions = Partitions(leader);
  ASSERT_EQ(partitions.size(), 1u);
  const PartitionStatus& at = partitions[0];
  EXPECT_EQ(at.topic, "t");
  EXPECT_EQ(at.role, PartitionRole::kLeader);
  EXPECT_TRUE(at.serving);
  EXPECT_EQ(at.high_watermark, Offset{7});
  EXPECT_EQ(at.log_end, Offset{7});
  EXPECT_FALSE(at.under_replicated);
  EXPECT_EQ(at.change, ConfigurationChange::kNone);
  ASSERT_EQ(at.replicas.size(), 3u);
  for (const ReplicaStatus& replica : at.replicas) {
    EXPECT_EQ(replica.membership, Membership::kVoter);
    EXPECT_TRUE(replica.in_sync && replica.live);
    EXPECT_EQ(replica.match, at.last);
    EXPECT_EQ(replica.lag_entries, 0u);
  }
  const auto follower = Partitions((leader + 1) % 3);
  ASSERT_EQ(follower.size(), 1u);
  EXPECT_EQ(follower[0].role, PartitionRole::kFollower);
  EXPECT_TRUE(follower[0].replicas.empty());
  EXPECT_EQ(follower[0].leader, cluster.node(leader).id());
  const auto metadata = Partitions(*cluster.Controller(), {.metadata = true});
  ASSERT_EQ(metadata.size(), 1u);
  EXPECT_EQ(metadata[0].group, kMetadataGroup);
  EXPECT_EQ(metadata[0].replicas.size(), 3u);
}

TEST_F(ConditionsTest, PartitionsComePageByPage) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(cluster.CreateTopic(name, 3, 3).ok());
  std::vector<std::string> seen;
  DescribePartitionsRequest request{.page_size = 2};
  int pages = 0;
  do {
    const auto reply = cluster.Ask(0, &BrokerService::DescribePartitions, request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_LE(reply->partitions.size(), 2u);
    for (const PartitionStatus& at : reply->partitions)
      seen.push_back(StrCat(at.topic, at.partition));
    request.page_token = reply->next_page_token;
    ++pages;
  } while (!request.page_token.empty() && pages < 20);
  EXPECT_EQ(pages, 5);
  EXPECT_EQ(seen, (std::vector<std::string>{"a0", "a1", "a2", "b0", "b1", "b2", "c0", "c1", "c2"}));
  EXPECT_EQ(Partitions(0, {.topic = "b"}).size(), 3u);
  EXPECT_TRUE(Partitions(0, {.topic = "b", .page_token = "c/0"}).empty());
  for (const char* bad : {"x", "/", "a/", "a/x", "a/1x", "a/99999999999"}) {
    const auto reply = cluster.Ask(0, &BrokerService::DescribePartitions,
                                   DescribePartitionsRequest{.page_token = bad});
    EXPECT_EQ(ReasonOf(reply.status()), Reason::INVALID_REQUEST) << bad;
  }
  const auto unknown = cluster.Ask(0, &BrokerService::DescribePartitions,
                                   DescribePartitionsRequest{.topic = "nobody"});
  EXPECT_EQ(ReasonOf(unknown.status()), Reason::UNKNOWN_TOPIC);
}

TEST_F(ConditionsTest, ADeadBrokerIsUnreachableAndItsPartitionsUnderReplicated) {
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  const size_t leader = *cluster.LeaderOf("t", 0);
  const size_t dead = (leader + 1) % 3;
  cluster.scheduler.RunFor(2 * kSecond);
  cluster.node(dead).Crash();
  cluster.scheduler.RunFor(10 * kSecond);
  const auto under = Find(leader, ConditionCode::kUnderReplicated);
  ASSERT_EQ(under.size(), 1u) << Causes(Describe(leader));
  EXPECT_EQ(under[0].topic, "t");
  EXPECT_NE(under[0].cause.find(StrCat("2 of 3 replicas in sync; not: node ",
                                       cluster.node(dead).id(), " (its broker is not heard)")),
            std::string::npos)
      << under[0].cause;
  const auto unreachable = Find(leader, ConditionCode::kBrokerUnreachable);
  ASSERT_EQ(unreachable.size(), 1u);
  EXPECT_EQ(unreachable[0].node, cluster.node(dead).id());
  for (const Condition& condition : {under[0], unreachable[0]}) {
    EXPECT_GT(condition.age, 7 * kSecond);
    EXPECT_LT(condition.age, 11 * kSecond);
  }
  EXPECT_TRUE(Partitions(leader)[0].under_replicated);
  // Only the leader says how its followers are.
  EXPECT_TRUE(Find(3 - leader - dead, ConditionCode::kUnderReplicated).empty());
  cluster.node(dead).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(5 * kSecond);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(Describe(i).conditions.empty()) << Causes(Describe(i));
}

TEST_F(ConditionsTest, WithoutAMajorityAPartitionIsLeaderless) {
  ASSERT_TRUE(cluster.CreateTopic("t", 2, 3).ok());
  cluster.scheduler.RunFor(2 * kSecond);
  cluster.node(1).Crash();
  cluster.node(2).Crash();
  cluster.scheduler.RunFor(20 * kSecond);
  const DescribeBrokerReply reply = Describe(0);
  const auto leaderless = Find(0, ConditionCode::kLeaderless);
  ASSERT_EQ(leaderless.size(), 2u) << Causes(reply);
  for (const Condition& condition : leaderless) {
    EXPECT_EQ(condition.topic, "t");
    EXPECT_GT(condition.age, 10 * kSecond);
    EXPECT_LT(condition.age, 21 * kSecond);
    EXPECT_NE(condition.cause.find("no majority"), std::string::npos) << condition.cause;
  }
  // The worst first, of those the oldest, and no more than were asked for.
  EXPECT_TRUE(std::is_sorted(reply.conditions.begin(), reply.conditions.end(),
                             [](const Condition& a, const Condition& b) {
                               return std::pair(InfoOf(a.code).severity, -a.age) <
                                      std::pair(InfoOf(b.code).severity, -b.age);
                             }));
  const DescribeBrokerReply bounded = Describe(0, 1);
  EXPECT_EQ(bounded.conditions.size(), 1u);
  EXPECT_EQ(bounded.conditions_total, reply.conditions_total);
  EXPECT_GT(bounded.conditions_total, 3u);
}

// Learners hold no elections: they would follow a dead leader for ever.
TEST(ConditionsOfLearnersTest, ALeaderThatIsNotHeardIsNone) {
  SimCluster cluster(22, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  const size_t founder = *cluster.Controller();
  const size_t learner = (founder + 1) % 3;
  cluster.node(founder).Crash();
  bool votes = true;
  cluster.OnReplica(learner, kMetadataGroup, [&](Partition* metadata) {
    const auto& voters = metadata->core().log().configuration().voters;
    votes = voters.size() > 1;
  });
  ASSERT_FALSE(votes) << "it is a voter by now; another seed shows what is meant";
  cluster.scheduler.RunFor(8 * kSecond);
  const auto reply = cluster.Ask(learner, &BrokerService::DescribeBroker, DescribeBrokerRequest{});
  ASSERT_TRUE(reply.ok());
  const auto leaderless =
      std::find_if(reply->conditions.begin(), reply->conditions.end(),
                   [](const auto& c) { return c.code == ConditionCode::kLeaderless; });
  ASSERT_NE(leaderless, reply->conditions.end()) << Causes(*reply);
  EXPECT_EQ(leaderless->group, kMetadataGroup);
  EXPECT_GT(leaderless->age, 6 * kSecond);
  EXPECT_LT(leaderless->age, 9 * kSecond);
}

TEST_F(ConditionsTest, APartitionWhoseOnlyBrokerDiedIsLeaderlessForEverybody) {
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 1).ok());
  cluster.scheduler.RunFor(2 * kSecond);
  ASSERT_TRUE(cluster.LeaderOf("t", 0).has_value());
  const size_t only = *cluster.LeaderOf("t", 0);
  cluster.node(only).Crash();
  cluster.scheduler.RunFor(10 * kSecond);
  const auto leaderless = Find((only + 1) % 3, ConditionCode::kLeaderless);
  ASSERT_EQ(leaderless.size(), 1u) << Causes(Describe((only + 1) % 3));
  EXPECT_EQ(leaderless[0].topic, "t");
  EXPECT_GT(leaderless[0].age, 7 * kSecond);
  EXPECT_NE(leaderless[0].cause.find("no broker that holds a replica is heard"), std::string::npos);
}

TEST_F(ConditionsTest, AFollowerThatGetsNoEntriesIsCatchingUp) {
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  ASSERT_TRUE(cluster.Append("t", 0, "x").ok());
  const size_t leader = *cluster.LeaderOf("t", 0);
  const size_t slow = (leader + 1) % 3;
  cluster.network.CutLane(cluster.node(leader).id(), cluster.node(slow).id(), raft::Lane::kBulk);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(cluster.Append("t", 0, std::string(1000, 'x')).ok());
  cluster.scheduler.RunFor(8 * kSecond);
  ASSERT_EQ(cluster.LeaderOf("t", 0), leader);
  const auto catching = Find(leader, ConditionCode::kCatchingUp);
  ASSERT_EQ(catching.size(), 1u) << Causes(Describe(leader));
  EXPECT_EQ(catching[0].node, cluster.node(slow).id());
  EXPECT_GT(catching[0].age, 5 * kSecond);
  EXPECT_NE(catching[0].cause.find("10 entries behind"), std::string::npos) << catching[0].cause;
  const auto partitions = Partitions(leader);
  for (const ReplicaStatus& replica : partitions[0].replicas) {
    const bool cut = replica.replica.node == cluster.node(slow).id();
    EXPECT_EQ(replica.in_sync, !cut) << replica.replica.node;
    EXPECT_EQ(replica.lag_entries, cut ? 10u : 0u) << replica.replica.node;
    if (cut) {
      EXPECT_GT(replica.lag_bytes, 5'000u);
      EXPECT_LT(replica.lag_bytes, 20'000u);
    }
  }
  cluster.network.Heal();
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_TRUE(Find(leader, ConditionCode::kCatchingUp).empty());
}

TEST_F(ConditionsTest, AClockThatIsOffSaysSo) {
  cluster.node(1).StepWall(5'000);
  cluster.scheduler.RunFor(4 * kSecond);
  ASSERT_EQ(Find(1, ConditionCode::kClockOff).size(), 1u) << Causes(Describe(1));
  cluster.scheduler.RunFor(3 * kSecond);
  const auto off = Find(1, ConditionCode::kClockOff);
  ASSERT_EQ(off.size(), 1u) << Causes(Describe(1));
  EXPECT_GE(off[0].age, 3 * kSecond);
  EXPECT_LT(off[0].age, 4 * kSecond);
  EXPECT_FALSE(off[0].cause.empty());
  EXPECT_TRUE(Find(0, ConditionCode::kClockOff).empty()) << "its own is right";
  cluster.node(1).StepWall(-5'000);
  cluster.scheduler.RunFor(4 * kSecond);
  EXPECT_TRUE(Describe(1).conditions.empty()) << Causes(Describe(1));
}

TEST_F(ConditionsTest, ARestoredImageIsSuspect) {
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  const size_t restored = (*cluster.Controller() + 1) % 3;
  cluster.node(restored).Crash();
  const auto image = cluster.node(restored).TakeImage();
  cluster.node(restored).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(cluster.Append("t", 0, "later").ok());
  cluster.scheduler.RunFor(2 * kSecond);
  cluster.node(restored).Crash();
  cluster.node(restored).RestoreImage(image);
  cluster.node(restored).Start();
  cluster.scheduler.RunFor(4 * kSecond);
  const DescribeBrokerReply reply = Describe(restored);
  const auto suspect =
      std::find_if(reply.conditions.begin(), reply.conditions.end(),
                   [](const auto& c) { return c.code == ConditionCode::kSuspect; });
  ASSERT_NE(suspect, reply.conditions.end()) << Causes(reply);
  EXPECT_EQ(suspect->node, cluster.node(restored).id());
  EXPECT_GT(suspect->age, kSecond);
  EXPECT_LT(suspect->age, 5 * kSecond);
  EXPECT_FALSE(suspect->cause.empty());
}

// A broker whose data is gone is known again, and cut off from the others before it is a member.
TEST_F(ConditionsTest, ABrokerThatIsNoMemberYetHasNotJoined) {
  const size_t fresh = (*cluster.Controller() + 1) % 3;
  cluster.node(fresh).Crash();
  cluster.node(fresh).Wipe();
  cluster.scheduler.RunFor(5 * kSecond);
  cluster.Isolate(fresh);
  cluster.node(fresh).Start();
  for (int i = 0; i < 100 && !cluster.node(fresh).has_broker(); ++i)
    cluster.scheduler.RunFor(100 * kMillisecond);
  ASSERT_TRUE(cluster.node(fresh).has_broker());
  cluster.scheduler.RunFor(4 * kSecond);
  const DescribeBrokerReply reply = Describe(fresh);
  EXPECT_EQ(reply.state, BrokerState::kStarting);
  const auto out = Find(fresh, ConditionCode::kNotJoined);
  ASSERT_EQ(out.size(), 1u) << Causes(reply);
  EXPECT_EQ(out[0].node, cluster.node(fresh).id());
  EXPECT_GE(out[0].age, 4 * kSecond);
  EXPECT_LT(out[0].age, 6 * kSecond);
  EXPECT_NE(out[0].cause.find("does not know node"), std::string::npos) << out[0].cause;
  cluster.network.Heal();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_TRUE(Find(fresh, ConditionCode::kNotJoined).empty());
}

// Of one broker there is nobody to fetch from: the damage stays.
TEST(ConditionsOfOneBrokerTest, Damaged) {
  SimBroker broker(31);
  CreateTopicRequest request;
  request.name = "t";
  request.partitions = 1;
  request.config.segment_bytes = 64 << 10;
  ASSERT_TRUE(broker.Ask(&BrokerService::CreateTopic, request).ok());
  for (int i = 0; i < 40; ++i) broker.Append("t", 0, std::string(10'000, 'x'));
  broker.scheduler.RunFor(12 * kSecond);
  const GroupId group = *broker.broker().catalogue().FindGroup("t", PartitionId(0));
  std::optional<absl::Status> stopped;
  broker.broker().Stop([&](absl::Status status) { stopped = std::move(status); });
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return stopped.has_value(); }, 60 * kSecond));
  ASSERT_TRUE(broker
                  .Restart([&](SimFileSystem& disk) {
                    const std::string directory =
                        "data/groups/" + storage::GroupDirectoryName(group);
                    std::vector<std::string> segments;
                    const auto listed = disk.List(directory);
                    for (const DirectoryEntry& entry : *listed)
                      if (entry.name.ends_with(".log")) segments.push_back(entry.name);
                    std::sort(segments.begin(), segments.end());
                    ASSERT_GT(segments.size(), 2u);
                    ASSERT_TRUE(disk.RemoveFile(JoinPath(directory, segments[1])).ok());
                  })
                  .ok());
  broker.scheduler.RunFor(10 * kSecond);
  const auto reply = broker.Ask(&BrokerService::DescribeBroker, DescribeBrokerRequest{});
  ASSERT_TRUE(reply.ok());
  ASSERT_EQ(reply->conditions.size(), 1u) << Causes(*reply);
  EXPECT_EQ(reply->conditions[0].code, ConditionCode::kDamaged);
  EXPECT_EQ(reply->conditions[0].topic, "t");
  EXPECT_GE(reply->conditions[0].age, 10 * kSecond);
  EXPECT_LT(reply->conditions[0].age, 12 * kSecond);
}

TEST(ConditionsOfOneBrokerTest, DiskFailed) {
  SimBroker broker(33);
  broker.CreateTopic("t", 1);
  broker.disk().AddFault({.kind = SimFault::Kind::kSyncError, .path_prefix = "data/journal"});
  ProduceRequest request;
  request.topic = "t";
  request.items.push_back({PartitionId(0), std::vector<PlainRecord>{PlainRecord{}}});
  (void)broker.Ask(&BrokerService::Produce, std::move(request));
  (void)broker.Ask(&BrokerService::DescribeBroker, DescribeBrokerRequest{});
  broker.scheduler.RunFor(3 * kSecond);
  const auto reply = broker.Ask(&BrokerService::DescribeBroker, DescribeBrokerRequest{});
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->directory_state, DirectoryState::kFailed);
  const auto failed =
      std::find_if(reply->conditions.begin(), reply->conditions.end(),
                   [](const auto& c) { return c.code == ConditionCode::kDiskFailed; });
  ASSERT_NE(failed, reply->conditions.end()) << Causes(*reply);
  EXPECT_GE(failed->age, 3 * kSecond);
  EXPECT_LT(failed->age, 4 * kSecond);
  EXPECT_FALSE(failed->cause.empty());
}

TEST(ConditionsOfOneBrokerTest, DiskFull) {
  SimBroker broker(32);
  broker.CreateTopic("t", 1);
  const auto look = [&] {
    const auto reply = broker.Ask(&BrokerService::DescribeBroker, DescribeBrokerRequest{});
    EXPECT_TRUE(reply.ok());
    return *reply;
  };
  EXPECT_TRUE(look().conditions.empty());
  EXPECT_EQ(look().directory_state, DirectoryState::kOk);
  broker.disk().SetCapacity(0);
  for (int i = 0; i < 200 && broker.broker().directory().AdmitData().ok(); ++i) {
    ProduceRequest request;
    request.topic = "t";
    PlainRecord record;
    record.value = std::string(900'000, 'x');
    request.items.push_back({PartitionId(0), std::vector<PlainRecord>{record}});
    (void)broker.Ask(&BrokerService::Produce, std::move(request));
  }
  ASSERT_FALSE(broker.broker().directory().AdmitData().ok());
  const DescribeBrokerReply full = look();
  ASSERT_EQ(full.conditions.size(), 1u) << Causes(full);
  EXPECT_EQ(full.conditions[0].code, ConditionCode::kDiskFull);
  EXPECT_EQ(full.directory_state, DirectoryState::kFull);
  broker.scheduler.RunFor(3 * kSecond);
  EXPECT_GE(look().conditions[0].age, 3 * kSecond);
}

}  // namespace
}  // namespace varve::server
