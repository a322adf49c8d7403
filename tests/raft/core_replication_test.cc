// Single cores with hand-made messages: what no scenario can show from outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/core_cluster.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

Message From(ReplicaId from, uint64_t term, MessageBody body) {
  return {kGroup, from, kSelf, Term{term}, std::move(body)};
}

Entry DataEntry(uint64_t index, uint64_t term, int64_t base) {
  EntryHeader header;
  header.group = kGroup;
  header.first_index = header.last_index = Index{index};
  header.term = Term{term};
  header.base_offset = header.last_offset = Offset{base};
  header.append_time = WallTime{1'000};
  return Batch().Seal(header);
}

AppendRequest Append(uint64_t prev, uint64_t prev_term, std::vector<Entry> entries,
                     uint64_t commit = 0) {
  AppendRequest append;
  append.prev_index = Index{prev};
  append.prev_term = Term{prev_term};
  append.commit = Index{commit};
  append.entries = std::move(entries);
  return append;
}

const std::vector<ReplicaId> kThree = {kSelf, kPeer, kOther};

// A log to index 8 of which the last three entries are not known to be committed.
CoreState LaggingState() {
  CoreState state = StateWithEnd({Index{8}, Term{1}, Offset{7}, WallTime{1}}, 3);
  state.configurations.committed = {Index{0}, Voters(kThree)};
  return state;
}

std::vector<Refusal> WhyRefused(const Effects& effects) {
  std::vector<Refusal> refusals;
  refusals.reserve(effects.refused.size());
  for (const RefusedMessage& refused : effects.refused) refusals.push_back(refused.why);
  return refusals;
}

TEST(CoreFollowTest, CommitsOnlyWhatTheMessageProved) {
  CoreHarness h(LaggingState());
  h.Step(Receive{From(kPeer, 2, Append(6, 1, {}, 8))});
  EXPECT_EQ(h.core.commit_index(), Index{6}) << "7 and 8 may not be the leader's";
  h.Step(Receive{From(kPeer, 2, Append(6, 1, {DataEntry(7, 2, 5)}, 8))});
  EXPECT_EQ(h.core.commit_index(), Index{7});
  EXPECT_EQ(h.core.end().last_index, Index{7});
}

// What is trimmed was committed, so it is equal; no term is remembered that could differ (trap 20).
TEST(CoreFollowTest, AnAppendBehindTheStartIsAcknowledged) {
  CoreState state = LaggingState();
  state.start = {Index{5}, Offset{4}, Term{1}};
  CoreHarness h(state);
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  h.CompleteAll();
  const Effects effects =
      h.Step(Receive{From(kPeer, 2, Append(2, 1, {DataEntry(3, 1, 2), DataEntry(4, 1, 3)}))});
  ASSERT_EQ(effects.messages.size(), 1u);
  const auto& reply = std::get<AppendReply>(effects.messages[0].body);
  EXPECT_FALSE(reply.rejected);
  EXPECT_EQ(reply.report.match, Index{4});
  EXPECT_EQ(h.core.end().last_index, Index{8});
}

TEST(CoreFollowTest, TruncatesAndAppendsInOneOperation) {
  CoreHarness h(LaggingState());
  const Effects effects =
      h.Step(Receive{From(kPeer, 2, Append(6, 1, {DataEntry(7, 2, 5), DataEntry(8, 2, 6)}))});
  ASSERT_EQ(effects.disk.size(), 1u) << "with the term";
  EXPECT_EQ(effects.disk[0].write.hard_state->term, Term{2});
  EXPECT_EQ(effects.disk[0].write.truncate_from, Index{7});
  EXPECT_EQ(effects.disk[0].write.entries.size(), 2u);
  EXPECT_TRUE(effects.messages.empty());
  EXPECT_EQ(h.core.durable_index(), Index{6});
  const Effects done = h.CompleteOne();
  ASSERT_EQ(done.messages.size(), 1u);
  EXPECT_EQ(std::get<AppendReply>(done.messages[0].body).report.match, Index{8});
}

TEST(CoreFollowTest, ContradictionsAreNamedAndChangeNothing) {
  struct Case {
    const char* name;
    AppendRequest append;
    Refusal why;
  };
  Entry foreign = DataEntry(9, 2, 8);
  foreign.header.group = GroupId{5};
  Entry spread = DataEntry(9, 2, 8);
  spread.header.last_index = Index{10};
  EntryHeader config;
  config.kind = EntryKind::kConfig;
  config.group = kGroup;
  config.first_index = config.last_index = Index{9};
  config.term = Term{2};
  config.base_offset = Offset{7};
  config.last_offset = Offset{6};
  std::string damaged = EncodeConfiguration(Voters(kThree));
  damaged[0] = static_cast<char>(damaged[0] ^ 0x7f);
  const Entry nonsense = FrameBuffer::Copy(damaged).Seal(config);
  const Case cases[] = {
      {"replaces what is committed", Append(3, 1, {DataEntry(4, 2, 2)}),
       Refusal::kContradictsCommitted},
      {"leaves an index out", Append(8, 1, {DataEntry(10, 2, 8)}), Refusal::kNotContiguous},
      {"leaves an offset out", Append(8, 1, {DataEntry(9, 2, 9)}), Refusal::kNotContiguous},
      {"offsets within", Append(8, 1, {DataEntry(9, 2, 7), DataEntry(10, 2, 9)}),
       Refusal::kNotContiguous},
      {"falling terms", Append(8, 1, {DataEntry(9, 2, 7), DataEntry(10, 1, 8)}),
       Refusal::kNotContiguous},
      {"a term above the leader's", Append(8, 1, {DataEntry(9, 3, 7)}), Refusal::kNotContiguous},
      {"another group's entry", Append(8, 1, {foreign}), Refusal::kBadEntry},
      {"a compacted entry", Append(8, 1, {spread}), Refusal::kBadEntry},
      {"a configuration that is none", Append(8, 1, {nonsense}), Refusal::kBadEntry},
  };
  for (const Case& c : cases) {
    CoreHarness h(LaggingState());
    const Effects effects = h.Step(Receive{From(kPeer, 2, c.append)});
    EXPECT_EQ(WhyRefused(effects), std::vector{c.why}) << c.name;
    EXPECT_EQ(h.core.end().last_index, Index{8}) << c.name;
    EXPECT_EQ(h.core.commit_index(), Index{5}) << c.name;
    EXPECT_TRUE(effects.messages.empty()) << c.name;
  }
}

TEST(CoreReceiveTest, WhatIsNotForThisReplicaIsRefusedOrLate) {
  CoreHarness h(LaggingState());
  Message other_group = From(kPeer, 2, Heartbeat{});
  other_group.group = GroupId{5};
  EXPECT_EQ(WhyRefused(h.Step(Receive{other_group})), std::vector{Refusal::kForeign});
  EXPECT_EQ(WhyRefused(h.Step(Receive{From(kSelf, 2, Heartbeat{})})),
            std::vector{Refusal::kForeign});
  Message late = From(kPeer, 2, Heartbeat{});
  late.to.epoch = ReplicaEpoch{7};
  EXPECT_TRUE(h.Step(Receive{late}).empty());
  EXPECT_EQ(h.core.term(), Term{1});
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  EXPECT_EQ(WhyRefused(h.Step(Receive{From(kOther, 2, Heartbeat{})})),
            std::vector{Refusal::kSecondLeader});
}

TEST(CoreHeartbeatTest, CatchingUpKeepsTheFollowerQuiet) {
  CoreHarness h(LaggingState());
  h.core.FixElectionTimeout(20);
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  for (uint64_t index = 9; index < 20; ++index) {
    h.Step(Tick{19});
    ASSERT_EQ(h.core.role(), Role::kFollower);
    h.Step(Receive{From(kPeer, 2,
                        Append(index - 1, index == 9 ? 1 : 2,
                               {DataEntry(index, 2, static_cast<int64_t>(index) - 2)}))});
    ASSERT_EQ(h.core.role(), Role::kFollower);
  }
}

TEST(CoreHeartbeatTest, OneThatDoesNotVouchDoesNot) {
  CoreHarness h(LaggingState());
  h.core.FixElectionTimeout(20);
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  h.Step(Tick{19});
  Heartbeat empty;
  empty.vouches = false;
  h.Step(Receive{From(kPeer, 2, empty)});
  h.Step(Tick{1});
  EXPECT_EQ(h.core.role(), Role::kPreCandidate);
}

TEST(CoreHeartbeatTest, ALostLeaderIsNotWaitedFor) {
  CoreHarness h(LaggingState());
  h.Step(Receive{From(kPeer, 2, Heartbeat{})});
  h.Step(PeerLost{kOther});
  h.Step(Tick{1});
  EXPECT_EQ(h.core.role(), Role::kFollower);
  h.Step(PeerLost{kPeer});
  h.Step(Tick{1});
  EXPECT_EQ(h.core.role(), Role::kPreCandidate);
}

// Those who are left campaign one after another, 2 ticks apart, and in each group another one
// first.
TEST(CoreHeartbeatTest, TheHeirsOfALostLeaderCampaignOneAfterAnother) {
  for (const uint64_t group : {100u, 101u}) {
    std::map<NodeId, int> ticks;
    for (const ReplicaId self : {kSelf, kOther}) {
      CoreState state = FreshState(kThree);
      CoreOptions options{GroupId{group}, self, 1 << 20};
      Core core(options, state);
      Message heartbeat{GroupId{group}, kPeer, self, Term{2}, Heartbeat{}};
      core.Step(Receive{heartbeat});
      (void)core.TakeEffects();
      core.Step(PeerLost{kPeer});
      while (core.role() == Role::kFollower && ticks[self.node] < 100) {
        core.Step(Tick{1});
        ++ticks[self.node];
      }
    }
    const bool self_first = ticks[kSelf.node] < ticks[kOther.node];
    EXPECT_EQ(std::min(ticks[kSelf.node], ticks[kOther.node]), 1);
    EXPECT_EQ(std::max(ticks[kSelf.node], ticks[kOther.node]), 2);
    EXPECT_EQ(self_first, group == 100);
  }
}

TEST(CoreHeartbeatTest, TheFloorIsWhatEverybodyFoldedAndNeverFalls) {
  ClusterOptions options;
  options.core.max_uncommitted_bytes = 1 << 20;
  options.core.floor_silence_ticks = 100;
  CoreCluster cluster(options);
  cluster.Elect(1);
  for (int i = 0; i < 5; ++i) cluster.Propose(1);
  cluster.Stabilize();
  cluster.Step(1, Folded{Index{6}});
  cluster.Step(2, Folded{Index{4}});
  const auto beat = [&] {
    for (int i = 0; i < 2; ++i) {
      cluster.Step(1, HeartbeatNow{});
      cluster.Stabilize();
    }
  };
  beat();
  EXPECT_EQ(cluster.core(1).compaction_floor(), Index{0}) << "3 has folded nothing";
  cluster.Step(3, Folded{Index{5}});
  beat();
  EXPECT_EQ(cluster.core(1).compaction_floor(), Index{4});
  EXPECT_EQ(cluster.core(3).compaction_floor(), Index{4});
  cluster.Elect(3);
  EXPECT_EQ(cluster.core(3).compaction_floor(), Index{4});
}

TEST(CoreElectionTest, LeadingReadsNothingOfTheLog) {
  CoreState state = StateWithEnd({Index{50'000}, Term{1}, Offset{49'999}, WallTime{1}}, 40'000);
  state.configurations.committed = {Index{0}, Voters(kThree)};
  CoreHarness h(state);
  h.Step(Campaign{});
  h.Step(Receive{From(kPeer, 2, VoteReply{true, true, Term{2}})});
  h.CompleteAll();
  const Effects effects = h.Step(Receive{From(kPeer, 2, VoteReply{false, true, Term{2}})});
  ASSERT_EQ(h.core.role(), Role::kLeader);
  EXPECT_TRUE(effects.loads.empty());
  ASSERT_EQ(effects.disk.size(), 1u);
  EXPECT_EQ(effects.disk[0].write.entries.size(), 1u);
  for (const Message& message : effects.messages) {
    EXPECT_EQ(std::get<AppendRequest>(message.body).entries.size(), 1u) << "the barrier alone";
  }
}

ClusterOptions SmallWindow() {
  ClusterOptions options;
  options.core.max_uncommitted_bytes = 1 << 20;
  options.core.window_appends = 2;
  options.core.window_bytes = 1'000;
  return options;
}

TEST(CoreReplicateTest, AFullWindowOpensAgain) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  for (int i = 0; i < 6; ++i) cluster.Propose(1);
  const auto& follower = cluster.core(1).followers().at(ReplicaOf(2));
  EXPECT_EQ(follower.window.appends(), 2u);
  EXPECT_TRUE(follower.paused());
  cluster.Drop([](const Message&) { return true; });
  cluster.Step(1, HeartbeatNow{});
  ASSERT_TRUE(cluster.Stabilize());
  EXPECT_EQ(cluster.core(1).commit_index(), Index{7});
  EXPECT_EQ(follower.window.appends(), 0u);
  EXPECT_EQ(follower.window.bytes(), 0u);
}

// Nothing is lost here, so nothing begins the window anew (trap 21).
TEST(CoreReplicateTest, WhatIsAcknowledgedLeavesTheWindow) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  for (int i = 0; i < 20; ++i) {
    cluster.Propose(1);
    ASSERT_TRUE(cluster.Stabilize());
  }
  const auto& follower = cluster.core(1).followers().at(ReplicaOf(2));
  EXPECT_EQ(follower.match, Index{21});
  EXPECT_EQ(follower.window.appends(), 0u);
  EXPECT_EQ(follower.window.bytes(), 0u);
}

TEST(CoreReplicateTest, AnEntryLargerThanTheWindowGoesAlone) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  cluster.Propose(1, 500);
  cluster.Propose(1, 500);
  const auto& follower = cluster.core(1).followers().at(ReplicaOf(2));
  EXPECT_EQ(follower.window.appends(), 1u);
  ASSERT_TRUE(cluster.Stabilize());
  EXPECT_EQ(cluster.core(3).commit_index(), Index{3});
}

TEST(CoreReplicateTest, AReportBeyondTheLogIsRefused) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  AppendReply reply;
  reply.report.match = Index{99};
  cluster.Step(1, Receive{{kGroup, ReplicaOf(2), ReplicaOf(1), Term{1}, reply}});
  EXPECT_EQ(cluster.node(1).refused.size(), 1u);
  EXPECT_EQ(cluster.core(1).commit_index(), Index{1});
}

TEST(CoreReplicateTest, WhenNothingIsUnderWayTheGroupIsQuiet) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  cluster.Propose(1);
  EXPECT_FALSE(cluster.core(1).quiet());
  cluster.Stabilize();
  cluster.Step(1, HeartbeatNow{});
  cluster.Stabilize();
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_TRUE(cluster.core(id).quiet()) << id;
  cluster.Step(1, HeartbeatNow{});
  EXPECT_EQ(cluster.messages().size(), 2u);
}

// Between the wish for entries and their arrival the log may be trimmed: what stands before them
// has no term any more that an append could name (trap 39).
TEST(CoreReplicateTest, EntriesTrimmedWhileTheyWereLoadedAreNotSent) {
  CoreState state = StateWithEnd({Index{8}, Term{1}, Offset{7}, WallTime{1}}, 3);
  state.configurations.committed = {Index{0}, Voters(kThree)};
  CoreHarness h(state);
  h.Step(Campaign{});
  h.Step(Receive{From(kPeer, 2, VoteReply{true, true, Term{2}})});
  h.CompleteAll();
  h.Step(Receive{From(kPeer, 2, VoteReply{false, true, Term{2}})});
  AppendReply rejection;
  rejection.rejected = true;
  rejection.rejected_prev = Index{8};
  rejection.hint_index = Index{1};
  rejection.hint_term = Term{1};
  const Effects asked = h.Step(Receive{From(kOther, 2, rejection)});
  ASSERT_EQ(asked.loads.size(), 1u);
  ASSERT_EQ(asked.loads[0].from, Index{2});
  h.Step(LogStartMoved{{Index{5}, Offset{4}, Term{1}}});
  std::vector<Entry> entries;
  entries.reserve(4);
  for (uint64_t i = 2; i <= 5; ++i) entries.push_back(DataEntry(i, 1, static_cast<int64_t>(i) - 1));
  const Effects loaded = h.Step(EntriesLoaded{kOther, Index{2}, std::move(entries)});
  EXPECT_TRUE(loaded.messages.empty());
  EXPECT_EQ(loaded.prepare_installs.size(), 1u);
}

InstallPoint PointAt(uint64_t index, uint64_t term) {
  InstallPoint point;
  point.start = {Index{index + 1}, Offset{static_cast<int64_t>(index)}, Term{term}};
  point.end = {Index{index}, Term{term}, Offset{static_cast<int64_t>(index)}, WallTime{1}};
  point.configuration = {Index{1}, Voters(kThree)};
  return point;
}

TEST(CoreInstallTest, OffersOnlyCommittedPointsWithTheirConfiguration) {
  CoreState state = StateWithEnd({Index{8}, Term{1}, Offset{7}, WallTime{1}}, 3);
  state.configurations.committed = {Index{0}, Voters(kThree)};
  state.start = {Index{4}, Offset{3}, Term{1}};
  CoreHarness h(state);
  h.Step(Campaign{});
  h.Step(Receive{From(kPeer, 2, VoteReply{true, true, Term{2}})});
  h.CompleteAll();
  h.Step(Receive{From(kPeer, 2, VoteReply{false, true, Term{2}})});
  AppendReply rejection;
  rejection.rejected = true;
  rejection.rejected_prev = Index{8};
  const Effects asked = h.Step(Receive{From(kOther, 2, rejection)});
  ASSERT_EQ(asked.prepare_installs.size(), 1u);
  EXPECT_EQ(asked.prepare_installs[0].at_least, Index{3});
  EXPECT_TRUE(h.Step(InstallReady{kOther, PointAt(7, 1)}).messages.empty()) << "not committed";
  h.Step(Receive{From(kOther, 2, HeartbeatReply{})});
  InstallPoint ahead = PointAt(5, 1);
  ahead.configuration.index = Index{6};
  EXPECT_TRUE(h.Step(InstallReady{kOther, ahead}).messages.empty()) << "its configuration is not";
  h.Step(Receive{From(kOther, 2, HeartbeatReply{})});
  const Effects offered = h.Step(InstallReady{kOther, PointAt(5, 1)});
  ASSERT_EQ(offered.messages.size(), 1u);
  EXPECT_EQ(TypeOf(offered.messages[0]), MessageType::kInstall);
}

TEST(CoreInstallTest, ThePointNeverMovesTheLogBack) {
  CoreHarness h(LaggingState());
  for (const auto& point : {PointAt(4, 1), PointAt(7, 1)}) {
    const Effects effects = h.Step(Receive{From(kPeer, 2, InstallRequest{point})});
    EXPECT_FALSE(effects.stage_install);
    EXPECT_EQ(h.core.end().last_index, Index{8});
  }
  EXPECT_EQ(h.core.commit_index(), Index{7}) << "what is offered is committed";
}

TEST(CoreInstallTest, WhatIsStagedLateIsNotTaken) {
  CoreHarness h(LaggingState());
  const InstallPoint point = PointAt(12, 2);
  const Effects offered = h.Step(Receive{From(kPeer, 2, InstallRequest{point})});
  ASSERT_TRUE(offered.stage_install);
  EXPECT_FALSE(h.Step(Receive{From(kPeer, 2, InstallRequest{point})}).stage_install) << "once";
  std::vector<Entry> entries;
  entries.reserve(4);
  for (uint64_t i = 9; i <= 12; ++i)
    entries.push_back(DataEntry(i, 2, static_cast<int64_t>(i) - 2));
  h.Step(Receive{From(kPeer, 2, Append(8, 1, std::move(entries)))});
  const size_t before = h.disk.size();
  h.Step(InstallStaged{point});
  EXPECT_EQ(h.disk.size(), before) << "the log has it by now";
  h.Step(InstallStaged{PointAt(20, 2)});
  EXPECT_EQ(h.disk.size(), before) << "nobody asked for that";
}

TEST(CoreInstallTest, AnImpossiblePointIsRefused) {
  const auto refused = [](const InstallPoint& point) {
    CoreHarness h(LaggingState());
    const Effects effects = h.Step(Receive{From(kPeer, 3, InstallRequest{point})});
    return WhyRefused(effects) == std::vector{Refusal::kNotContiguous} && !effects.stage_install;
  };
  EXPECT_FALSE(refused(PointAt(12, 2)));
  InstallPoint nowhere = PointAt(12, 2);
  nowhere.start.index = Index{0};
  EXPECT_TRUE(refused(nowhere)) << "the first entry of a log is 1";
  InstallPoint without_epochs = PointAt(12, 2);
  without_epochs.epochs.clear();
  without_epochs.start.previous_term = Term{1};
  EXPECT_TRUE(refused(without_epochs)) << "nothing says where the last term began";
}

TEST(CoreInstallTest, ALeaderRefusesAnInstall) {
  CoreCluster cluster(SmallWindow());
  cluster.Elect(1);
  cluster.Step(
      1, Receive{{kGroup, ReplicaOf(2), ReplicaOf(1), Term{1}, InstallRequest{PointAt(9, 1)}}});
  ASSERT_EQ(cluster.node(1).refused.size(), 1u);
  EXPECT_EQ(cluster.node(1).refused[0].why, Refusal::kSecondLeader);
  EXPECT_EQ(cluster.core(1).role(), Role::kLeader);
}

}  // namespace
}  // namespace varve::raft
