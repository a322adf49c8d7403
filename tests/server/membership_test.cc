// Members of the metadata log: each step is one that Raft allows, and the steps end where they
// should.
#include "server/metadata/membership.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "raft/core/quorum.h"

namespace varve::server {
namespace {

using Brokers = std::map<NodeId, ReplicaEpoch>;

ReplicaId R(uint32_t node, uint32_t epoch = 1) { return {NodeId{node}, ReplicaEpoch{epoch}}; }

Brokers OfNodes(uint32_t count) {
  Brokers out;
  for (uint32_t node = 1; node <= count; ++node) out[NodeId{node}] = ReplicaEpoch{1};
  return out;
}

std::set<ReplicaId> AllOf(const Brokers& brokers) {
  std::set<ReplicaId> out;
  for (const auto& [node, epoch] : brokers) out.insert({node, epoch});
  return out;
}

// As Raft leaves a joint configuration.
void Leave(Configuration* now) {
  now->outgoing.clear();
  now->auto_leave = false;
  now->learners.insert(now->learners.end(), now->learners_next.begin(), now->learners_next.end());
  std::sort(now->learners.begin(), now->learners.end());
  now->learners_next.clear();
}

std::optional<Configuration> NextMembers(const Configuration& now, const Brokers& brokers,
                                         const std::set<ReplicaId>& ready,
                                         const std::set<NodeId>& leaving = {}) {
  return NextMetadataMembers(now, {brokers, leaving, ready, R(1)});
}

// Steps until nothing is to be done; joint configurations are left as Raft does.
std::vector<Configuration> Settle(Configuration now, const Brokers& brokers,
                                  const std::set<ReplicaId>& ready,
                                  const std::set<NodeId>& leaving = {}) {
  std::vector<Configuration> steps;
  for (int i = 0; i < 20; ++i) {
    const auto next = NextMembers(now, brokers, ready, leaving);
    if (!next) return steps;
    EXPECT_TRUE(raft::FollowsInOneStep(now, *next)) << "step " << steps.size();
    EXPECT_TRUE(DecodeConfiguration(EncodeConfiguration(*next)).ok()) << "step " << steps.size();
    steps.push_back(*next);
    now = *next;
    Leave(&now);
  }
  ADD_FAILURE() << "it does not end";
  return steps;
}

Configuration Alone() {
  Configuration out;
  out.voters = {R(1)};
  return out;
}

TEST(MembershipTest, GrowsFromOneToThreeAtOnceAndThenToFive) {
  const struct {
    uint32_t brokers;
    size_t voters;
  } kCases[] = {{1, 1}, {2, 1}, {3, 3}, {4, 3}, {5, 5}, {7, 5}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.brokers);
    const Brokers brokers = OfNodes(c.brokers);
    const auto steps = Settle(Alone(), brokers, AllOf(brokers));
    const Configuration end = steps.empty() ? Alone() : steps.back();
    EXPECT_EQ(end.voters.size(), c.voters);
    EXPECT_EQ(end.voters.size() + end.learners.size(), c.brokers);
    for (const Configuration& step : steps) EXPECT_NE(step.voters.size(), 2u);
  }
}

TEST(MembershipTest, NobodyIsPromotedBeforeEnoughHaveCaughtUp) {
  const auto steps = Settle(Alone(), OfNodes(3), {R(1), R(2)});
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].voters, std::vector<ReplicaId>{R(1)});
  EXPECT_EQ(steps[0].learners, (std::vector<ReplicaId>{R(2), R(3)}));
}

TEST(MembershipTest, AJointConfigurationIsWaitedFor) {
  Configuration joint;
  joint.voters = {R(1), R(2), R(3)};
  joint.outgoing = {R(1)};
  joint.auto_leave = true;
  const Brokers brokers = OfNodes(4);
  EXPECT_FALSE(NextMembers(joint, brokers, AllOf(brokers)).has_value());
}

// The replica of a broker that lost its data votes under its new epoch only.
TEST(MembershipTest, AWipedBrokerLeavesAndComesBackUnderItsNewEpoch) {
  Configuration now;
  now.voters = {R(1), R(2), R(3)};
  Brokers brokers = OfNodes(3);
  brokers[NodeId{2}] = ReplicaEpoch{2};
  const auto steps = Settle(now, brokers, {R(1), R(3), R(2, 2)});
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].voters, (std::vector<ReplicaId>{R(1), R(3)}));
  EXPECT_EQ(steps[1].learners, std::vector<ReplicaId>{R(2, 2)});
  EXPECT_EQ(steps[2].voters, (std::vector<ReplicaId>{R(1), R(2, 2), R(3)}));
}

TEST(MembershipTest, AVoterIsNotRemovedWhenThoseWhoStayHaveNoMajority) {
  Configuration now;
  now.voters = {R(1), R(2), R(3)};
  Brokers brokers = OfNodes(3);
  brokers[NodeId{2}] = ReplicaEpoch{2};
  EXPECT_FALSE(NextMembers(now, brokers, {R(1), R(2, 2)}).has_value());
  EXPECT_FALSE(NextMembers(Alone(), {{NodeId{1}, ReplicaEpoch{2}}}, {}).has_value());
}

TEST(MembershipTest, ALearnerOfAFormerEpochMakesRoomForTheNewOne) {
  Configuration now = Alone();
  now.learners = {R(2)};
  const Brokers brokers = {{NodeId{1}, ReplicaEpoch{1}}, {NodeId{2}, ReplicaEpoch{5}}};
  const auto next = NextMembers(now, brokers, {R(1)});
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->learners, std::vector<ReplicaId>{R(2, 5)});
}

using Replicas = std::vector<ReplicaId>;

TEST(MembershipTest, ABrokerThatLeavesHandsItsVoteToALearner) {
  Configuration now;
  now.voters = {R(1), R(2), R(3)};
  now.learners = {R(4)};
  const Brokers brokers = OfNodes(4);
  const auto steps = Settle(now, brokers, AllOf(brokers), {NodeId{2}});
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].voters, (Replicas{R(1), R(3), R(4)}));
  EXPECT_EQ(steps[0].outgoing, (Replicas{R(1), R(2), R(3)}));
  EXPECT_EQ(steps[0].learners_next, Replicas{R(2)});
}

TEST(MembershipTest, TwoBrokersThatStayHaveOneVoter) {
  Configuration now;
  now.voters = {R(1), R(2), R(3)};
  const Brokers brokers = OfNodes(3);
  const auto steps = Settle(now, brokers, AllOf(brokers), {NodeId{3}});
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().voters, Replicas{R(1)});
  EXPECT_EQ(steps.back().learners, (Replicas{R(2), R(3)}));
}

TEST(MembershipTest, TheLeaderThatLeavesIsDemotedToo) {
  Configuration now;
  now.voters = {R(1), R(2), R(3)};
  now.learners = {R(4)};
  const Brokers brokers = OfNodes(4);
  const auto steps = Settle(now, brokers, AllOf(brokers), {NodeId{1}});
  ASSERT_FALSE(steps.empty());
  EXPECT_EQ(steps.back().voters, (Replicas{R(2), R(3), R(4)}));
}

std::vector<Configuration> SettleReplicas(Configuration now, const Replicas& goal,
                                          const std::set<ReplicaId>& ready) {
  std::vector<Configuration> steps;
  for (int i = 0; i < 20; ++i) {
    const auto next = NextReplicas(now, goal, ready);
    if (!next) return steps;
    EXPECT_TRUE(raft::FollowsInOneStep(now, *next)) << "step " << steps.size();
    EXPECT_TRUE(DecodeConfiguration(EncodeConfiguration(*next)).ok()) << "step " << steps.size();
    steps.push_back(*next);
    now = *next;
    Leave(&now);
  }
  ADD_FAILURE() << "it does not end";
  return steps;
}

TEST(MembershipTest, ReplicasMoveThroughLearnersToTheirGoal) {
  const struct {
    const char* what;
    Replicas from, goal, ready;
    size_t steps;
    bool reached;
  } kCases[] = {
      {"nothing to do", {R(1), R(2), R(3)}, {R(3), R(1), R(2)}, {R(1)}, 0, true},
      {"one grows to three", {R(1)}, {R(1), R(2), R(3)}, {R(1), R(2), R(3)}, 2, true},
      {"one moves", {R(1)}, {R(2)}, {R(1), R(2)}, 2, true},
      {"a dead one is replaced",
       {R(1), R(2), R(3)},
       {R(1), R(2), R(4)},
       {R(1), R(2), R(4)},
       2,
       true},
      {"all move", {R(1), R(2), R(3)}, {R(4), R(5), R(6)}, {R(1), R(4), R(5), R(6)}, 2, true},
      {"a new one lags", {R(1), R(2), R(3)}, {R(1), R(2), R(4)}, {R(1), R(2), R(3)}, 1, false},
      {"three shrink to one", {R(1), R(2), R(3)}, {R(2)}, {R(1), R(2), R(3)}, 1, true},
      {"a wiped one begins anew",
       {R(1), R(2), R(3)},
       {R(1), R(2, 2), R(3)},
       {R(1), R(2, 2), R(3)},
       3,
       true},
      {"the last other one is dead",
       {R(1), R(2), R(3)},
       {R(1), R(2, 2), R(3)},
       {R(1), R(2, 2)},
       0,
       false},
      {"a sole voter is never dropped", {R(1)}, {R(1, 2)}, {R(1), R(1, 2)}, 0, false},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Configuration now;
    now.voters = c.from;
    const auto steps = SettleReplicas(now, c.goal, {c.ready.begin(), c.ready.end()});
    EXPECT_EQ(steps.size(), c.steps);
    Configuration end = steps.empty() ? now : steps.back();
    Leave(&end);
    EXPECT_EQ(AreReplicas(end, c.goal), c.reached);
  }
}

}  // namespace
}  // namespace varve::server
