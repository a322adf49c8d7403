// The Raft paper (Ongaro and Ousterhout, extended version), rule by rule: figure 2 and sections 5
// to
// 8. Where Ongaro's thesis says it better, its section is named instead.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/core_cluster.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

// Without pre-votes and stickiness, which the paper does not have.
ClusterOptions Plain(uint32_t nodes = 3) {
  ClusterOptions options;
  options.nodes = nodes;
  options.core.max_uncommitted_bytes = 1 << 20;
  options.core.election_ticks = 10;
  options.core.heartbeat_ticks = 1;
  options.core.pre_vote = false;
  options.core.check_quorum = false;
  return options;
}

auto To(uint64_t id) {
  return [id](const Message& message) { return message.to.node.value() == id; };
}
auto OfType(MessageType type) {
  return [type](const Message& message) { return TypeOf(message) == type; };
}
void Send(CoreCluster& cluster, uint64_t from, uint64_t to, uint64_t term, MessageBody body) {
  cluster.Step(to, Receive{{kGroup, ReplicaOf(from), ReplicaOf(to), Term{term}, std::move(body)}});
}
template <class Body>
Body OnlyMessage(CoreCluster& cluster) {
  EXPECT_EQ(cluster.messages().size(), 1u);
  Body body = std::get<Body>(cluster.messages().front().body);
  cluster.messages().clear();
  return body;
}

// --- Figure 2, RequestVote

TEST(Figure2RequestVote, Rule1RefusesAnOlderTerm) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  Send(cluster, 2, 3, 0, VoteRequest{false, false, Index{9}, Term{1}});
  EXPECT_FALSE(OnlyMessage<VoteReply>(cluster).granted);
  EXPECT_EQ(cluster.core(3).vote(), ReplicaOf(1));
}

TEST(Figure2RequestVote, Rule2GrantsToTheFirstWhoseLogIsUpToDate) {
  struct Case {
    uint64_t last_index;
    uint64_t last_term;
    bool granted;
  };
  // The voter's last entry is (3, term 2).
  const Case cases[] = {{3, 2, true}, {4, 2, true},   {2, 2, false},
                        {1, 3, true}, {99, 1, false}, {0, 0, false}};
  for (const Case& c : cases) {
    CoreState state = StateWithEnd({Index{3}, Term{2}, Offset{2}, WallTime{1}});
    state.configurations.committed = {Index{0}, Voters({kSelf, kPeer, kOther})};
    CoreHarness h(state);
    h.Step(Receive{{kGroup, kPeer, kSelf, Term{4},
                    VoteRequest{false, false, Index{c.last_index}, Term{c.last_term}}}});
    EXPECT_EQ(h.core.vote() == kPeer, c.granted) << c.last_index << " " << c.last_term;
    EXPECT_EQ(h.core.term(), Term{4});
    h.Step(Receive{{kGroup, kOther, kSelf, Term{4}, VoteRequest{false, false, Index{9}, Term{3}}}});
    EXPECT_EQ(h.core.vote(), c.granted ? kPeer : kOther) << "one vote in a term";
  }
}

// --- Figure 2, AppendEntries

TEST(Figure2AppendEntries, Rule1AnswersAnOlderTermWithItsOwn) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.Elect(2);
  cluster.messages().clear();
  Send(cluster, 1, 3, 1, AppendRequest{});
  ASSERT_EQ(cluster.messages().size(), 1u);
  EXPECT_EQ(cluster.messages().front().term, Term{2});
  EXPECT_TRUE(OnlyMessage<AppendReply>(cluster).rejected);
  EXPECT_EQ(cluster.core(3).leader(), ReplicaOf(2));
}

TEST(Figure2AppendEntries, Rule2RejectsWithoutThePreviousEntry) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.messages().clear();
  AppendRequest append;
  append.prev_index = Index{7};
  append.prev_term = Term{1};
  Send(cluster, 1, 3, 1, append);
  EXPECT_TRUE(OnlyMessage<AppendReply>(cluster).rejected);
  append.prev_index = Index{1};
  append.prev_term = Term{2};
  Send(cluster, 1, 3, 1, append);
  EXPECT_TRUE(OnlyMessage<AppendReply>(cluster).rejected) << "another term there";
}

TEST(Figure2AppendEntries, Rules3And4ReplaceConflictsAndKeepTheRest) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.Isolate(1);
  for (int i = 0; i < 4; ++i) cluster.Propose(1);
  cluster.Elect(2);
  cluster.Propose(2);
  cluster.Stabilize();
  EXPECT_EQ(cluster.core(1).end().last_index, Index{5});
  cluster.Heal();
  cluster.Step(2, HeartbeatNow{});
  cluster.Stabilize();
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(cluster.core(id).end(), cluster.core(2).end()) << id;
    EXPECT_EQ(cluster.core(id).log().TermAt(Index{1}), Term{1}) << "what agreed stayed";
    EXPECT_EQ(cluster.core(id).log().TermAt(Index{2}), Term{2});
  }
}

TEST(Figure2AppendEntries, Rule5CommitsUpToTheLastNewEntry) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.messages().clear();
  AppendRequest append;
  append.prev_index = Index{1};
  append.prev_term = Term{1};
  append.commit = Index{50};
  Send(cluster, 1, 3, 1, append);
  EXPECT_EQ(cluster.core(3).commit_index(), Index{1});
}

// --- Figure 2, Rules for Servers

TEST(Figure2AllServers, AHigherTermMakesAFollower) {
  for (const MessageType how : {MessageType::kAppend, MessageType::kVoteReply}) {
    CoreCluster cluster(Plain());
    cluster.Elect(1);
    if (how == MessageType::kAppend) {
      Send(cluster, 2, 1, 5, AppendRequest{});
    } else {
      Send(cluster, 2, 1, 5, VoteReply{});
    }
    EXPECT_EQ(cluster.core(1).role(), Role::kFollower);
    EXPECT_EQ(cluster.core(1).term(), Term{5});
    EXPECT_TRUE(cluster.core(1).vote().empty());
  }
}

TEST(Figure2Followers, CampaignAfterAnElectionTimeoutOfSilence) {
  CoreCluster cluster(Plain());
  cluster.FixElectionTimeout(1, 15);
  cluster.Step(1, Tick{14});
  EXPECT_EQ(cluster.core(1).role(), Role::kFollower);
  cluster.Step(1, Tick{1});
  EXPECT_EQ(cluster.core(1).role(), Role::kCandidate);
  EXPECT_EQ(cluster.core(1).term(), Term{1});
  EXPECT_EQ(cluster.core(1).vote(), ReplicaOf(1));
  EXPECT_EQ(cluster.messages().size(), 2u) << "asks all others";
}

TEST(Figure2Candidates, StepDownForALeaderOfTheirTermAndTryAgainInTheNext) {
  CoreCluster cluster(Plain());
  cluster.FixElectionTimeout(1, 15);
  cluster.Step(1, Campaign{});
  cluster.Step(1, Tick{15});
  EXPECT_EQ(cluster.core(1).term(), Term{2});
  Send(cluster, 2, 1, 2, AppendRequest{});
  EXPECT_EQ(cluster.core(1).role(), Role::kFollower);
  EXPECT_EQ(cluster.core(1).leader(), ReplicaOf(2));
}

TEST(Figure2Leaders, SendHeartbeatsAndCommitWhatAMajorityHolds) {
  CoreCluster cluster(Plain(5));
  cluster.Elect(1);
  cluster.Step(1, Tick{1});
  EXPECT_EQ(cluster.messages().size(), 4u);
  cluster.Stabilize();
  cluster.Isolate(4);
  cluster.Isolate(5);
  cluster.Propose(1);
  cluster.Deliver(To(2));
  cluster.Deliver(To(1));
  EXPECT_EQ(cluster.core(1).commit_index(), Index{1}) << "two of five";
  cluster.Stabilize();
  EXPECT_EQ(cluster.core(1).commit_index(), Index{2}) << "three";
}

// --- Sections

TEST(Section5_2, TimeoutsAreDrawnAnewFromTheirRange) {
  std::set<uint64_t> drawn;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CoreOptions options = Plain().core;
    options.group = kGroup;
    options.self = kSelf;
    options.seed = seed;
    CoreState state = FreshState({kSelf, kPeer, kOther});
    Core core(options, state);
    uint64_t ticks = 0;
    while (core.role() == Role::kFollower) {
      core.Step(Tick{1});
      ++ticks;
    }
    ASSERT_GE(ticks, 20u) << "twice the shortest, after a start";
    ASSERT_LT(ticks, 40u);
    drawn.insert(ticks);
    for (ticks = 0; core.term() == Term{1}; ++ticks) {
      (void)core.TakeEffects();
      core.Step(DiskDone{DiskSequence{1}, Term{1}});
      core.Step(Tick{1});
    }
    ASSERT_GE(ticks, 10u);
    ASSERT_LT(ticks, 20u);
  }
  EXPECT_GE(drawn.size(), 8u);
}

TEST(Section5_3, AConflictCostsAProbeForEachTermAndNotForEachEntry) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.Isolate(1);
  for (int i = 0; i < 100; ++i) cluster.Propose(1);
  cluster.Elect(2);
  for (int i = 0; i < 200; ++i) cluster.Propose(2);
  cluster.Stabilize();
  cluster.Heal();
  cluster.Elect(3);
  size_t rejections = 0;
  for (int round = 0; round < 50; ++round) {
    for (const Message& message : cluster.messages()) {
      const auto* reply = std::get_if<AppendReply>(&message.body);
      rejections += reply != nullptr && reply->rejected ? 1 : 0;
    }
    if (cluster.Deliver([](const Message&) { return true; }) == 0) cluster.Step(3, HeartbeatNow{});
  }
  EXPECT_EQ(cluster.core(1).end(), cluster.core(3).end());
  EXPECT_LE(rejections, 3u);
}

TEST(Section5_4_2, ALeaderCommitsOlderTermsThroughAnEntryOfItsOwn) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.Propose(1);
  cluster.Deliver(To(2));
  cluster.messages().clear();
  cluster.Restart(1);
  cluster.Step(1, Campaign{});
  cluster.Deliver(OfType(MessageType::kVote));
  cluster.HoldDisk(2, true);
  cluster.HoldDisk(3, true);
  cluster.Deliver(OfType(MessageType::kVoteReply));
  cluster.Stabilize();
  cluster.Step(1, HeartbeatNow{});
  cluster.Stabilize();
  ASSERT_EQ(cluster.core(1).role(), Role::kLeader);
  EXPECT_EQ(cluster.core(1).followers().at(ReplicaOf(2)).match, Index{2}) << "on a majority";
  EXPECT_EQ(cluster.core(1).commit_index(), Index{1}) << "and of an older term";
  cluster.HoldDisk(2, false);
  cluster.Stabilize();
  EXPECT_EQ(cluster.core(1).commit_index(), Index{3});
}

TEST(Section5_5, RequestsAreIdempotent) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  cluster.Propose(1);
  const std::deque<Message> sent = cluster.messages();
  cluster.Stabilize();
  const LogEnd end = cluster.core(2).end();
  for (int i = 0; i < 3; ++i) {
    for (const Message& message : sent) cluster.messages().push_back(message);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.core(2).end(), end);
  EXPECT_EQ(cluster.core(1).commit_index(), Index{2});
}

TEST(Section6, AJointConfigurationNeedsBothMajoritiesForElectionsAndCommits) {
  ClusterOptions options = Plain(5);
  options.configuration = Voters({ReplicaOf(1), ReplicaOf(2), ReplicaOf(3)});
  CoreCluster cluster(options);
  cluster.Elect(1);
  Configuration joint = Voters({ReplicaOf(1), ReplicaOf(4), ReplicaOf(5)});
  joint.outgoing = options.configuration.voters;
  cluster.Isolate(4);
  cluster.Isolate(5);
  cluster.ProposeConfig(1, joint);
  cluster.Stabilize();
  EXPECT_EQ(cluster.core(1).commit_index(), Index{1});
  cluster.Step(1, DiskFailed{});
  cluster.Stabilize();
  cluster.Elect(2);
  EXPECT_EQ(cluster.core(2).role(), Role::kCandidate);
  cluster.Heal();
  cluster.Elect(2);
  EXPECT_EQ(cluster.core(2).role(), Role::kLeader);
  EXPECT_GT(cluster.core(2).commit_index(), Index{2});
}

TEST(Section7, WhatTheFollowerHasBehindTheInstallStays) {
  CoreCluster cluster(Plain());
  cluster.Elect(1);
  for (int i = 0; i < 5; ++i) cluster.Propose(1);
  cluster.Stabilize();
  InstallPoint point;
  point.start = {Index{4}, Offset{2}, Term{1}};
  point.end = {Index{3}, Term{1}, Offset{2}, WallTime{1}};
  point.configuration = cluster.core(1).configurations().committed;
  Send(cluster, 1, 2, 1, InstallRequest{point});
  EXPECT_EQ(cluster.core(2).end().last_index, Index{6});
}

// Section 8 asks for a committed entry of the term before reads, the thesis (6.4) for a round of
// heartbeats, too.
TEST(Section8, ReadsWaitForAnEntryOfTheTermAndAMajority) {
  CoreCluster cluster(Plain());
  cluster.Step(1, Campaign{});
  cluster.Deliver(OfType(MessageType::kVote));
  cluster.Deliver(OfType(MessageType::kVoteReply));
  ASSERT_EQ(cluster.core(1).role(), Role::kLeader);
  cluster.ReadBarrier(1);
  EXPECT_TRUE(cluster.node(1).reads.empty());
  cluster.Deliver(OfType(MessageType::kAppend));
  cluster.Deliver(OfType(MessageType::kAppendReply));
  EXPECT_EQ(cluster.core(1).commit_index(), Index{1});
  EXPECT_TRUE(cluster.node(1).reads.empty());
  cluster.Stabilize();
  ASSERT_EQ(cluster.node(1).reads.size(), 1u);
  EXPECT_EQ(cluster.node(1).reads[0].index, Index{1});
}

}  // namespace
}  // namespace varve::raft
