// What would wait for ever, or end every leader that tries: single cores with hand-made messages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/core_cluster.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

using testing::ElementsAre;

const std::vector<ReplicaId> kThree = {kSelf, kPeer, kOther};
constexpr uint64_t kElectionTicks = 10;

Message From(ReplicaId from, uint64_t term, MessageBody body) {
  return {kGroup, from, kSelf, Term{term}, std::move(body)};
}

// A log of three voters to index 8 of which the last three entries are not known to be committed.
CoreState LaggingState() {
  CoreState state = StateWithEnd({Index{8}, Term{1}, Offset{7}, WallTime{1}}, 3);
  state.configurations.committed = {Index{0}, Voters(kThree)};
  return state;
}

ClusterOptions WithoutStickiness() {
  ClusterOptions options;
  options.core.max_uncommitted_bytes = 1 << 20;
  options.core.election_ticks = kElectionTicks;
  options.core.check_quorum = false;
  return options;
}

// Leaving it would give a configuration that nobody can read, on every leader in turn.
TEST(CoreLivenessTest, AJointConfigurationThatCannotBeLeftIsRefused) {
  const Configuration cases[] = {
      {{kSelf, kPeer}, {kSelf}, {}, {kSelf}, true},
      {{kPeer}, {kSelf}, {kSelf}, {kSelf}, true},
  };
  for (const Configuration& joint : cases) {
    CoreHarness h;
    h.Lead();
    h.Step(h.Config(joint));
    EXPECT_THAT(h.log, ElementsAre("1: refused INVALID_REQUEST"));
  }
}

// It may have to vote for a successor whose configuration it has not heard of (trap 7), and a voter
// that hears a leader refuses.
TEST(CoreLivenessTest, ALearnerOfASoleVoterNoticesSilence) {
  CoreState state = FreshState({kPeer});
  state.configurations.committed.configuration.learners = {kSelf};
  CoreHarness h(state);
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  h.CompleteAll();
  EXPECT_TRUE(h.core.needs_tick());
  while (h.core.needs_tick()) {
    h.Step(Tick{});
    ASSERT_LT(h.core.ticks_without_leader(), 1'000u);
  }
  const VoteRequest request{true, false, Index{9}, Term{2}};
  const Effects asked = h.Step(Receive{From(kOther, 3, request)});
  ASSERT_EQ(asked.messages.size(), 1u);
  EXPECT_TRUE(std::get<VoteReply>(asked.messages[0].body).granted);
}

// Nobody tells a leader that removed itself what became of the entries behind its removal.
TEST(CoreLivenessTest, ALeaderThatRemovedItselfAnswersWhatIsBehind) {
  CoreCluster cluster([] {
    ClusterOptions options = WithoutStickiness();
    options.nodes = 2;
    return options;
  }());
  cluster.Elect(1);
  cluster.ForgetResults();
  cluster.ProposeConfig(1, Voters({ReplicaOf(2)}));
  cluster.Deliver([](const Message& message) { return message.to == ReplicaOf(2); });
  cluster.Propose(1);
  cluster.Drop([](const Message& message) { return message.to == ReplicaOf(2); });
  cluster.Stabilize({1});
  ASSERT_EQ(cluster.core(1).role(), Role::kFollower);
  ASSERT_EQ(cluster.core(1).pending_proposals(), 1u);
  EXPECT_FALSE(cluster.core(1).quiet());
  for (int i = 0; i < 1'000 && cluster.core(1).needs_tick(); ++i) cluster.Step(1, Tick{});
  EXPECT_EQ(Describe(cluster.node(1).results.back()), "unknown");
  EXPECT_EQ(cluster.core(1).pending_proposals(), 0u);
}

// Entries of its former leadership were truncated, and its new log has not come as far again.
TEST(CoreLivenessTest, ALeaderAnswersWhatIsPendingOfAnEarlierLeadership) {
  CoreCluster cluster(WithoutStickiness());
  cluster.Elect(1);
  const auto sent_by_1 = [](const Message& message) { return message.from == ReplicaOf(1); };
  for (int i = 0; i < 3; ++i) cluster.Propose(1);
  cluster.Drop(sent_by_1);
  cluster.Elect(2);
  cluster.Step(2, HeartbeatNow{});
  cluster.Stabilize();
  cluster.Step(2, Transfer{ReplicaOf(1)});
  cluster.Stabilize();
  ASSERT_EQ(cluster.core(1).role(), Role::kLeader);
  ASSERT_EQ(cluster.core(1).pending_proposals(), 1u) << "two were lost to other entries";
  EXPECT_FALSE(cluster.core(1).quiet());
  cluster.ForgetResults();
  for (uint64_t i = 0; i < 8 * kElectionTicks; ++i) {
    cluster.Step(1, Tick{});
    cluster.Stabilize();
  }
  ASSERT_EQ(cluster.node(1).results.size(), 1u);
  EXPECT_EQ(Describe(cluster.node(1).results[0]), "unknown");
  cluster.Propose(1);
  cluster.Stabilize();
  EXPECT_EQ(cluster.core(1).pending_proposals(), 0u);
  EXPECT_EQ(cluster.core(1).uncommitted_bytes(), 0u);
}

// The floor of a former leader may be above what this one knows to be committed. An install would
// end below it again and again, while the barrier waits for the follower that is installed.
TEST(CoreLivenessTest, EntriesBeyondTheCommitIndexAreSentWhateverTheFloor) {
  CoreHarness h(LaggingState());
  Heartbeat heartbeat;
  heartbeat.floor = Index{8};
  h.Step(Receive{From(kPeer, 2, heartbeat)});
  h.CompleteAll();
  ASSERT_EQ(h.core.compaction_floor(), Index{8});
  ASSERT_EQ(h.core.commit_index(), Index{5});
  h.Step(Campaign{});
  h.Step(Receive{From(kOther, 2, VoteReply{true, true, Term{3}})});
  h.CompleteAll();
  h.Step(Receive{From(kOther, 3, VoteReply{false, true, Term{3}})});
  ASSERT_EQ(h.core.role(), Role::kLeader);
  AppendReply rejection;
  rejection.rejected = true;
  rejection.rejected_prev = Index{8};
  rejection.hint_index = Index{6};
  rejection.hint_term = Term{1};
  const Effects effects = h.Step(Receive{From(kOther, 3, rejection)});
  EXPECT_TRUE(effects.prepare_installs.empty());
  ASSERT_EQ(effects.loads.size(), 1u);
  EXPECT_EQ(effects.loads[0].from, Index{7});
}

// A leader whose entries vanish does not keep its followers by being asked for reads.
TEST(CoreLivenessTest, AReadProbeDoesNotVouch) {
  CoreHarness h(LaggingState());
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  h.CompleteAll();
  Heartbeat barren;
  barren.vouches = false;
  h.Step(Tick{7});
  h.Step(Receive{From(kPeer, 2, barren)});
  const Effects probed = h.Step(Receive{From(kPeer, 2, ReadProbe{1})});
  EXPECT_EQ(probed.messages.size(), 1u) << "it follows, and says so";
  EXPECT_EQ(h.core.ticks_without_leader(), 7u);
  EXPECT_EQ(h.core.ticks_waited(), 7u);
}

}  // namespace
}  // namespace varve::raft
