// Three brokers in one thread: formation, replication, failover, brokers that come back.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "common/error.h"
#include "common/error_detail.h"
#include "storage/segment_names.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

TEST(ClusterTest, ThreeBrokersFormAClusterWithThreeVoters) {
  SimCluster cluster(1, 3);
  const MonoTime begin = cluster.scheduler.Now();
  ASSERT_TRUE(cluster.AwaitReady());
  EXPECT_LT(cluster.scheduler.Now() - begin, 5 * kSecond);
  const ClusterId id = cluster.node(0).broker().directory().identity().cluster;
  for (size_t i = 1; i < 3; ++i)
    EXPECT_EQ(cluster.node(i).broker().directory().identity().cluster, id);
  size_t voters = 0;
  for (int wait = 0; wait < 100 && voters < 3; ++wait) {
    cluster.scheduler.RunFor(100 * kMillisecond);
    cluster.node(0).broker().partitions().With(kMetadataGroup, [&](Partition* metadata) {
      const Configuration& now = metadata->core().log().configuration();
      voters = now.outgoing.empty() ? now.voters.size() : 0;
    });
  }
  EXPECT_EQ(voters, 3u);
  const auto reply = cluster.Ask(2, &BrokerService::GetCluster, GetClusterRequest{});
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->brokers.size(), 3u);
  EXPECT_EQ(reply->controller, NodeId{1});
}

TEST(ClusterTest, ATopicHasLeadersEverywhereAndIsWrittenThroughThem) {
  SimCluster cluster(2, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  const auto topic = cluster.CreateTopic("t", 6, 3);
  ASSERT_TRUE(topic.ok()) << topic.status();
  EXPECT_EQ(topic->replication_factor, 3u);
  std::map<size_t, int> led;
  for (uint32_t p = 0; p < 6; ++p) {
    for (int n = 0; n < 3; ++n) ASSERT_TRUE(cluster.Append("t", p, StrCat("v", n)).ok());
    const auto leader = cluster.LeaderOf("t", p);
    ASSERT_TRUE(leader.has_value());
    ++led[*leader];
    const auto all = cluster.ReadAll("t", p);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(*all, (std::vector<std::string>{"v0", "v1", "v2"}));
  }
  for (const auto& [node, count] : led) EXPECT_EQ(count, 2) << "node " << node;
  // Whoever does not lead says who does.
  const size_t leader = *cluster.LeaderOf("t", 0);
  ProduceRequest request;
  request.topic = "t";
  PlainRecord record;
  record.value = "x";
  request.items.push_back({PartitionId(0), std::vector<PlainRecord>{record}});
  const auto refused = cluster.Ask((leader + 1) % 3, &BrokerService::Produce, std::move(request));
  ASSERT_TRUE(refused.ok());
  const absl::Status& status = refused->results[0].status;
  EXPECT_EQ(ReasonOf(status), Reason::NOT_LEADER) << status;
  EXPECT_EQ(ErrorDetail("leader_address", status),
            SimNode::ClientAddress(cluster.node(leader).id()));
  const auto described =
      cluster.Ask((leader + 1) % 3, &BrokerService::GetTopic, GetTopicRequest{"t", {}});
  ASSERT_TRUE(described.ok());
  EXPECT_EQ(described->partitions[0].leader, cluster.node(leader).id());
}

TEST(ClusterTest, NothingAcknowledgedIsLostWhenALeaderDies) {
  for (uint64_t seed = 10; seed < 16; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimCluster cluster(seed, 3);
    ASSERT_TRUE(cluster.AwaitReady());
    const auto topic = cluster.CreateTopic("t", 2, 3);
    ASSERT_TRUE(topic.ok()) << topic.status();
    std::vector<std::string> sent;
    for (int round = 0; round < 4; ++round) {
      for (int n = 0; n < 5; ++n) {
        sent.push_back(StrCat(round, ".", n));
        const auto result = cluster.Append("t", 0, sent.back());
        ASSERT_TRUE(result.ok()) << result.status();
        EXPECT_EQ(result->base_offset, Offset(static_cast<int64_t>(sent.size()) - 1));
      }
      const size_t victim = *cluster.LeaderOf("t", 0);
      cluster.node(victim).Crash(seed % 2 == 0);
      sent.push_back(StrCat("after ", round));
      const MonoTime begin = cluster.scheduler.Now();
      const auto result = cluster.Append("t", 0, sent.back());
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_LT(cluster.scheduler.Now() - begin, kSecond);
      cluster.node(victim).Start();
      ASSERT_TRUE(cluster.AwaitReady());
      // A voter that started votes against nobody's leader for a while; the next death comes later.
      cluster.scheduler.RunFor(kSecond);
    }
    const auto all = cluster.ReadAll("t", 0);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_EQ(*all, sent);
  }
}

TEST(ClusterTest, TheControllersDeathStopsNoTopic) {
  SimCluster cluster(3, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.CreateTopic("before", 1, 3).ok());
  const size_t controller = *cluster.Controller();
  cluster.node(controller).Crash();
  const auto after = cluster.CreateTopic("after", 3, 2);
  ASSERT_TRUE(after.ok()) << after.status();
  for (uint32_t p = 0; p < 3; ++p) EXPECT_TRUE(cluster.Append("after", p, "x").ok());
  cluster.node(controller).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(2 * kSecond);
  const auto known =
      cluster.Ask(controller, &BrokerService::GetTopic, GetTopicRequest{"after", {}});
  EXPECT_TRUE(known.ok()) << known.status();
}

// A replica that was away while the log was trimmed gets it as files.
// One partition, and a broker that was away while 40 records were written and the first deleted.
class InstallTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(3 * kSecond);
    CreateTopicRequest request;
    request.name = "t";
    request.partitions = 1;
    request.replication_factor = 3;
    request.config.segment_bytes = 64 << 10;
    ASSERT_TRUE(cluster.Ask(*cluster.Controller(), &BrokerService::CreateTopic, request).ok());
    ASSERT_TRUE(cluster.Append("t", 0, "first").ok());
    leader = *cluster.LeaderOf("t", 0);
    away = (leader + 1) % 3;
    cluster.node(away).Crash();
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(cluster.Append("t", 0, std::string(10'000, 'x')).ok());
    Trim(Offset{35});
    cluster.scheduler.RunFor(2 * kSecond);
  }
  void Trim(Offset before) {
    DeleteRecordsRequest trim;
    trim.items.push_back({"t", PartitionId(0), before});
    const auto trimmed =
        cluster.Ask(*cluster.LeaderOf("t", 0), &BrokerService::DeleteRecords, std::move(trim));
    ASSERT_TRUE(trimmed.ok());
    ASSERT_TRUE(trimmed->results[0].status.ok()) << trimmed->results[0].status;
  }
  void ExpectInstalled(Offset wanted_start) {
    const GroupId group = *cluster.node(away).broker().catalogue().FindGroup("t", PartitionId(0));
    Offset start, end;
    for (int wait = 0; wait < 400 && end < Offset{41}; ++wait) {
      cluster.scheduler.RunFor(50 * kMillisecond);
      cluster.node(away).broker().partitions().With(group, [&](Partition* partition) {
        start = partition->log().start().offset;
        end = partition->log().end().next_offset;
      });
    }
    EXPECT_EQ(end, Offset{41});
    EXPECT_EQ(start, wanted_start);
    // It counts: with another one gone it makes the majority.
    cluster.node((leader + 2) % 3).Crash();
    EXPECT_TRUE(cluster.Append("t", 0, "last").ok());
  }

  SimCluster cluster{4, 3};
  size_t leader = 0, away = 0;
};

TEST_F(InstallTest, AReplicaBehindTheLogStartIsInstalled) {
  cluster.node(away).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  ExpectInstalled(Offset{35});
}

// What the leader offered first is not there any more when it is asked for.
TEST_F(InstallTest, ATrimMeanwhileIsFollowedByAnotherOffer) {
  const NodeId from = cluster.node(leader).id(), to = cluster.node(away).id();
  cluster.network.CutLane(from, to, raft::Lane::kBulk);
  cluster.node(away).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(2 * kSecond);
  ASSERT_EQ(cluster.LeaderOf("t", 0), leader);
  Trim(Offset{39});
  cluster.network.Mend(from, to);
  ExpectInstalled(Offset{39});
}

// DESIGN section 6: a wiped disk is a new replica; it does not vote for what it has forgotten.
TEST(ClusterTest, AWipedBrokerComesBackUnderANewEpoch) {
  SimCluster cluster(5, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  ASSERT_TRUE(cluster.Append("t", 0, "kept").ok());
  const size_t wiped = (*cluster.Controller() + 1) % 3;
  cluster.node(wiped).Crash();
  cluster.node(wiped).Wipe();
  cluster.scheduler.RunFor(2 * kSecond);
  cluster.node(wiped).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(5 * kSecond);
  const NodeId node = cluster.node(wiped).id();
  std::vector<ReplicaId> voters;
  cluster.node(*cluster.Controller()).broker().partitions().With(kMetadataGroup, [&](Partition* m) {
    voters = m->core().log().configuration().voters;
  });
  cluster.scheduler.RunFor(kSecond);
  ASSERT_EQ(voters.size(), 3u);
  for (const ReplicaId voter : voters)
    EXPECT_EQ(voter.epoch, ReplicaEpoch(voter.node == node ? 2 : 1)) << voter.node;
  const GroupId group = *cluster.node(wiped).broker().catalogue().FindGroup("t", PartitionId(0));
  cluster.OnReplica(wiped, group, [&](Partition* replica) {
    ASSERT_NE(replica, nullptr);
    EXPECT_EQ(replica->self(), (ReplicaId{node, ReplicaEpoch(2)}));
    EXPECT_EQ(replica->core().log().configuration().voters.size(), 3u);
    EXPECT_EQ(replica->bounds().high_watermark, Offset(1));
  });
  EXPECT_EQ(*cluster.ReadAll("t", 0), std::vector<std::string>{"kept"});
}

// A new directory counts its processes from 1 again: it is heard all the same.
TEST(ClusterTest, AWipedBrokerIsHeardAlthoughItsProcessesAreCountedAnew) {
  for (const Nanos away : {20 * kMillisecond, 2 * kSecond}) {
    SCOPED_TRACE(testing::Message() << away / kMillisecond << " ms away");
    SimCluster cluster(15, 3);
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(3 * kSecond);
    ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
    const size_t wiped = *cluster.LeaderOf("t", 0);
    for (int i = 0; i < 3; ++i) {
      cluster.node(wiped).Crash();
      cluster.scheduler.RunFor(kSecond);
      cluster.node(wiped).Start();
      ASSERT_TRUE(cluster.AwaitReady());
      cluster.scheduler.RunFor(kSecond);
    }
    cluster.node(wiped).Crash();
    cluster.node(wiped).Wipe();
    cluster.scheduler.RunFor(away);
    cluster.node(wiped).Start();
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(kSecond);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(cluster.node(i).broker().cluster_view().IsLive(cluster.node(wiped).id())) << i;
    EXPECT_TRUE(cluster.Append("t", 0, "x").ok());
  }
}

// Paths of a group's segments on a node's disk, oldest first.
std::vector<std::string> SegmentsOn(SimNode& node, GroupId group) {
  std::vector<std::string> out;
  const std::string directory = JoinPath("data/groups", storage::GroupDirectoryName(group));
  const auto listed = node.disk().List(directory);
  EXPECT_TRUE(listed.ok()) << listed.status();
  for (const DirectoryEntry& entry : *listed)
    if (entry.name.ends_with(".log")) out.push_back(JoinPath(directory, entry.name));
  std::sort(out.begin(), out.end());
  return out;
}

bool AwaitRepair(SimCluster& cluster, size_t node, GroupId group) {
  size_t damaged = 1;
  for (int wait = 0; wait < 300 && damaged > 0; ++wait) {
    cluster.scheduler.RunFor(100 * kMillisecond);
    cluster.OnReplica(node, group, [&](Partition* partition) {
      damaged = partition == nullptr ? 1 : partition->log().damaged_ranges().size();
    });
  }
  return damaged == 0;
}

TEST(ClusterTest, SegmentsThatAreLostComeBackFromAnotherReplica) {
  SimCluster cluster(7, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  cluster.MakeSegments("t", 40);
  const GroupId group = *cluster.node(0).broker().catalogue().FindGroup("t", PartitionId(0));
  const size_t broken = (*cluster.LeaderOf("t", 0) + 1) % 3;
  cluster.node(broken).Stop();
  const auto segments = SegmentsOn(cluster.node(broken), group);
  ASSERT_GT(segments.size(), 3u);
  ASSERT_TRUE(cluster.node(broken).disk().RemoveFile(segments[1]).ok());
  ASSERT_TRUE(cluster.node(broken).disk().RemoveFile(segments[3]).ok());
  cluster.node(broken).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  EXPECT_EQ(cluster.node(broken).broker().directory().recovery().damaged, 2u);
  // Also the first request, which finds no connection yet, and the next segment behind the first.
  const MonoTime begin = cluster.scheduler.Now();
  EXPECT_TRUE(AwaitRepair(cluster, broken, group));
  EXPECT_LT(cluster.scheduler.Now() - begin, 2 * kSecond);
  // With the very same segments as the others have.
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(SegmentsOn(cluster.node(i), group).size(), segments.size());
  const auto all = cluster.ReadAll("t", 0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->size(), 40u);
}

// Whoever asks the broker of a suspect replica is sent to those that can answer.
TEST(ClusterTest, ASuspectReplicaSendsClientsToTheOthers) {
  SimCluster cluster(14, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  cluster.MakeSegments("t", 4);
  const GroupId group = *cluster.node(0).broker().catalogue().FindGroup("t", PartitionId(0));
  const size_t hurt = *cluster.LeaderOf("t", 0);
  cluster.node(hurt).Stop();
  SimFileSystem& disk = cluster.node(hurt).disk();
  const std::string segment = SegmentsOn(cluster.node(hurt), group).back();
  ASSERT_TRUE(disk.TruncateDurable(segment, disk.Stat(segment)->size - 500).ok());
  cluster.node(hurt).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_EQ(cluster.node(hurt).broker().directory().recovery().suspect, 1u);
  const auto leader = cluster.LeaderOf("t", 0);
  ASSERT_TRUE(leader.has_value());
  ProduceRequest produce;
  produce.topic = "t";
  produce.items.push_back({PartitionId(0), std::vector<PlainRecord>{PlainRecord{}}});
  const auto refused = cluster.Ask(hurt, &BrokerService::Produce, std::move(produce));
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(ErrorDetail("leader_address", refused->results[0].status),
            SimNode::ClientAddress(cluster.node(*leader).id()))
      << refused->results[0].status;
  FetchRequest fetch;
  fetch.partitions.push_back({"t", PartitionId(0), Offset{0}, 0});
  const auto fetched = cluster.Ask(hurt, &BrokerService::Fetch, std::move(fetch));
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(ReasonOf(fetched->results[0].status), Reason::NOT_LEADER) << fetched->results[0].status;
  ListOffsetsRequest offsets;
  offsets.items.push_back({"t", PartitionId(0), StartPosition{}});
  const auto start = cluster.Ask(hurt, &BrokerService::ListOffsets, std::move(offsets));
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(ReasonOf(start->results[0].status), Reason::NOT_LEADER) << start->results[0].status;
  const auto topic = cluster.Ask(hurt, &BrokerService::GetTopic, GetTopicRequest{"t", {}});
  ASSERT_TRUE(topic.ok()) << topic.status();
  EXPECT_EQ(topic->partitions[0].leader, cluster.node(*leader).id());
}

TEST(ClusterTest, ABitThatFlippedIsFoundByScrubbingAndRepaired) {
  SimCluster cluster(8, 3, {.scrub_period = 20 * kSecond});
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  cluster.MakeSegments("t", 40);
  const GroupId group = *cluster.node(0).broker().catalogue().FindGroup("t", PartitionId(0));
  const size_t broken = *cluster.LeaderOf("t", 0);
  const std::string path = SegmentsOn(cluster.node(broken), group)[1];
  ASSERT_TRUE(cluster.node(broken).disk().Corrupt(path, 20'000, "?").ok());
  bool found = false;
  for (int wait = 0; wait < 600 && !found; ++wait) {
    cluster.scheduler.RunFor(100 * kMillisecond);
    found = cluster.node(broken).broker().directory().scrub_stats().damaged > 0;
  }
  ASSERT_TRUE(found);
  EXPECT_TRUE(AwaitRepair(cluster, broken, group));
  const auto all = cluster.ReadAll("t", 0);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->size(), 40u);
}

TEST(ClusterTest, ADiskThatStallsLosesItsLeaderships) {
  SimCluster cluster(9, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.CreateTopic("t", 3, 3).ok());
  const size_t slow = *cluster.LeaderOf("t", 0);
  cluster.node(slow).broker().partitions().ForEach(
      [](Partition& partition) { partition.SetDiskSlow(true); });
  cluster.scheduler.RunFor(2 * kSecond);
  for (uint32_t p = 0; p < 3; ++p) {
    const auto leader = cluster.LeaderOf("t", p);
    ASSERT_TRUE(leader.has_value()) << p;
    EXPECT_NE(*leader, slow) << p;
    EXPECT_TRUE(cluster.Append("t", p, "x").ok());
  }
}

TEST(ClusterTest, ADeletedTopicGoesOnEveryBroker) {
  SimCluster cluster(10, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  ASSERT_TRUE(cluster.Append("t", 0, "x").ok());
  const GroupId group = *cluster.node(0).broker().catalogue().FindGroup("t", PartitionId(0));
  DeleteTopicRequest request;
  request.name = "t";
  ASSERT_TRUE(cluster.Ask(*cluster.Controller(), &BrokerService::DeleteTopic, request).ok());
  cluster.scheduler.RunFor(2 * kSecond);
  for (size_t i = 0; i < 3; ++i) {
    const auto groups = cluster.node(i).broker().directory().groups();
    EXPECT_EQ(std::count(groups.begin(), groups.end(), group), 0) << "node " << i;
    const auto gone = cluster.Ask(i, &BrokerService::GetTopic, GetTopicRequest{"t", {}});
    EXPECT_EQ(ReasonOf(gone.status()), Reason::UNKNOWN_TOPIC) << "node " << i;
  }
}

// A directory that is put back from an older image is whole; the others know better.
TEST(ClusterTest, ARestoredImageIsSuspectAsSoonAsAPeerAnswers) {
  SimCluster cluster(6, 3);
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
  ASSERT_TRUE(cluster.Append("t", 0, "one").ok());
  cluster.scheduler.RunFor(kSecond);
  const size_t restored = (*cluster.Controller() + 1) % 3;
  cluster.node(restored).Crash();
  const auto image = cluster.node(restored).TakeImage();
  cluster.node(restored).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(cluster.Append("t", 0, StrCat("later ", i)).ok());
  cluster.scheduler.RunFor(2 * kSecond);
  cluster.node(restored).Crash();
  cluster.node(restored).RestoreImage(image);
  cluster.node(restored).Start();
  cluster.scheduler.RunFor(3 * kSecond);
  ASSERT_TRUE(cluster.node(restored).has_broker());
  const GroupId group =
      *cluster.node((restored + 1) % 3).broker().catalogue().FindGroup("t", PartitionId(0));
  // The data group is opened only when the metadata that the image knows committed names it.
  for (const GroupId each : {kMetadataGroup, group}) {
    absl::Status suspicion = MakeError(Reason::REPLICA_SUSPECT, "not open");
    cluster.node(restored).broker().partitions().With(each, [&](Partition* partition) {
      if (partition != nullptr) suspicion = partition->suspicion();
      EXPECT_TRUE(partition != nullptr || each == group);
    });
    cluster.scheduler.RunFor(kSecond);
    EXPECT_EQ(ReasonOf(suspicion), Reason::REPLICA_SUSPECT) << suspicion;
  }
  EXPECT_TRUE(cluster.Append("t", 0, "the others go on").ok());
}

}  // namespace
}  // namespace varve::server
