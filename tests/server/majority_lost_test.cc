// Two of three brokers are lost: an operator lets the third go on alone (docs/recovery.md,
// "varved recover"), and the lost ones are let in again only with empty directories.
#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/accept_loss.h"
#include "tests/server/sim_cluster.h"

namespace varve::server {
namespace {

constexpr uint64_t kJournalBytes = 1 << 20;

class MajorityLostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster.AwaitReady());
    cluster.scheduler.RunFor(3 * kSecond);
    ASSERT_TRUE(cluster.CreateTopic("t", 1, 3).ok());
    ASSERT_TRUE(cluster.Append("t", 0, "before").ok());
    cluster.scheduler.RunFor(kSecond);
    for (size_t i = 0; i < 3; ++i) cluster.node(i).Crash();
  }
  // What the command does, on the disk of the first node.
  void GoOnAlone() {
    SimFileSystem& disk = cluster.node(0).disk();
    const auto report = storage::ExamineLoss(disk, "data", storage::LossScope::kOnlySurvivor);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->losses.size(), 2u) << "the metadata and the topic";
    const absl::Status accepted = storage::AcceptLoss(disk, "data", *report, kJournalBytes);
    ASSERT_TRUE(accepted.ok()) << accepted;
    cluster.node(0).Start();
    ASSERT_TRUE(cluster.AwaitReady());
  }

  SimCluster cluster{31, 3};
};

TEST_F(MajorityLostTest, WithoutTheCommandTheSurvivorWritesNothing) {
  cluster.node(0).Start();
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_FALSE(cluster.Append("t", 0, "x", 5 * kSecond).ok());
}

TEST_F(MajorityLostTest, TheSurvivorGoesOnAloneAndTheLostAreStopped) {
  ASSERT_NO_FATAL_FAILURE(GoOnAlone());
  const auto after = cluster.Append("t", 0, "after");
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*cluster.ReadAll("t", 0), (std::vector<std::string>{"before", "after"}));
  // Both come back as they were: together they would be a majority of what they know.
  cluster.node(1).Start();
  cluster.node(2).Start();
  cluster.scheduler.RunFor(5 * kSecond);
  for (size_t i = 1; i < 3; ++i) {
    ASSERT_TRUE(cluster.node(i).has_broker());
    absl::Status suspicion;
    cluster.OnReplica(i, kMetadataGroup, [&](Partition* partition) {
      ASSERT_NE(partition, nullptr);
      suspicion = partition->suspicion();
    });
    EXPECT_EQ(ReasonOf(suspicion), Reason::REPLICA_SUSPECT) << "node " << i << ": " << suspicion;
  }
  const auto later = cluster.Append("t", 0, "later");
  ASSERT_TRUE(later.ok()) << later.status();
  EXPECT_EQ(*cluster.ReadAll("t", 0), (std::vector<std::string>{"before", "after", "later"}));
}

TEST_F(MajorityLostTest, AnEmptyDirectoryIsLetInAndKnowsOfTheLoss) {
  ASSERT_NO_FATAL_FAILURE(GoOnAlone());
  cluster.node(1).Wipe();
  cluster.node(1).Start();
  ASSERT_TRUE(cluster.AwaitReady());
  cluster.scheduler.RunFor(5 * kSecond);
  EXPECT_EQ(cluster.node(1).broker().directory().recovery_number(), 1u);
  EXPECT_TRUE(cluster.node(0).broker().cluster_view().IsLive(cluster.node(1).id()));
  cluster.OnReplica(1, kMetadataGroup, [](Partition* partition) {
    ASSERT_NE(partition, nullptr);
    EXPECT_TRUE(partition->suspicion().ok()) << partition->suspicion();
    EXPECT_EQ(partition->self().epoch, ReplicaEpoch{2});
  });
  EXPECT_TRUE(cluster.Append("t", 0, "after").ok());
}

}  // namespace
}  // namespace varve::server
