#include <gtest/gtest.h>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

TEST(CoreElectionTest, TheFirstTickWritesTermAndOwnVote) {
  CoreHarness h;
  const Effects effects = h.Step(Tick{});
  ASSERT_EQ(effects.disk.size(), 1u);
  EXPECT_EQ(effects.disk[0].write.hard_state, (HardState{Term{1}, kSelf}));
  EXPECT_EQ(effects.disk[0].term, Term{1});
  EXPECT_TRUE(effects.disk[0].write.entries.empty());
  ASSERT_TRUE(effects.role_change);
  EXPECT_EQ(effects.role_change->role, Role::kCandidate);
  EXPECT_TRUE(effects.role_change->leader.empty());
}

TEST(CoreElectionTest, LeadsOnlyWhenItsVoteIsDurable) {
  CoreHarness h;
  h.Step(Tick{});
  EXPECT_TRUE(h.Step(Tick{5}).empty()) << "a candidate waits for its disk, not for time";
  EXPECT_EQ(h.core.role(), Role::kCandidate);
  const Effects effects = h.CompleteOne();
  EXPECT_EQ(h.core.role(), Role::kLeader);
  EXPECT_EQ(h.core.leader(), kSelf);
  ASSERT_TRUE(effects.role_change);
  EXPECT_EQ(effects.role_change->role, Role::kLeader);
  EXPECT_EQ(effects.role_change->term, Term{1});
  EXPECT_FALSE(h.core.leadership_confirmed());
}

TEST(CoreElectionTest, TheFirstEntryOfATermIsABarrier) {
  const CoreState state = StateWithEnd({Index{10}, Term{7}, Offset{42}, WallTime{900}});
  CoreHarness h(state);
  h.Step(Tick{});
  const Effects elected = h.CompleteOne();
  ASSERT_EQ(elected.disk.size(), 1u);
  ASSERT_EQ(elected.disk[0].write.entries.size(), 1u);
  const EntryHeader& barrier = elected.disk[0].write.entries[0].header;
  EXPECT_EQ(barrier.kind, EntryKind::kBarrier);
  EXPECT_EQ(barrier.first_index, Index{11});
  EXPECT_EQ(barrier.term, Term{8});
  EXPECT_EQ(barrier.base_offset, Offset{42});
  EXPECT_TRUE(barrier.zero_width());
  EXPECT_EQ(barrier.append_time, WallTime{900});
  EXPECT_EQ(barrier.group, kGroup);

  const Effects confirmed = h.CompleteOne();
  EXPECT_EQ(confirmed.committed, Index{11});
  EXPECT_TRUE(confirmed.leadership_confirmed);
  EXPECT_TRUE(confirmed.results.empty());
  EXPECT_EQ(h.core.high_watermark(), Offset{42});
}

TEST(CoreElectionTest, AConfirmedLeaderNeedsNoTicks) {
  CoreHarness h;
  EXPECT_TRUE(h.core.needs_tick());
  h.Lead();
  EXPECT_FALSE(h.core.needs_tick());
  const uint64_t before = h.core.fingerprint();
  EXPECT_TRUE(h.Step(Tick{1'000}).empty());
  EXPECT_EQ(h.core.fingerprint(), before);
}

TEST(CoreElectionTest, WhoMayNotCampaignStaysFollower) {
  Configuration learner = Voters({kPeer});
  learner.learners = {kSelf};
  struct Case {
    const char* name;
    Configurations configurations;
    Term term;
  };
  const ConfigurationAt alone{Index{0}, Voters({kSelf})};
  const Case cases[] = {
      {"not listed", {{Index{0}, Voters({kPeer})}, {}}, Term{1}},
      {"no configuration", {}, Term{1}},
      {"a learner", {{Index{0}, learner}, {}}, Term{1}},
      {"an earlier incarnation is listed",
       {{Index{0}, Voters({{NodeId{1}, ReplicaEpoch{2}}})}, {}},
       Term{1}},
      {"terms are used up", {alone, {}}, kMaxTerm},
  };
  for (const Case& c : cases) {
    CoreState state = StateWithEnd({Index{9}, Term{0}, Offset{8}, WallTime{1}}, 1);
    state.configurations = c.configurations;
    state.hard_state.term = c.term;
    CoreHarness h(state);
    EXPECT_FALSE(h.core.needs_tick()) << c.name;
    EXPECT_TRUE(h.Step(Tick{100}).empty()) << c.name;
    h.Step(h.Data());
    EXPECT_EQ(h.log, std::vector<std::string>{"1: refused LEADER_UNKNOWN"}) << c.name;
    EXPECT_EQ(h.core.role(), Role::kFollower) << c.name;
    EXPECT_EQ(h.core.term(), c.term) << c.name;
  }
}

// Ongaro's thesis, 4.2.2: it may be the only one whose log is new enough.
TEST(CoreElectionTest, WhoAnUncommittedConfigurationRemovesStillCampaigns) {
  CoreState state = StateWithEnd({Index{9}, Term{1}, Offset{8}, WallTime{1}}, 1);
  state.configurations = {{Index{0}, Voters({kSelf, kPeer})}, {{Index{9}, Voters({kPeer})}}};
  CoreHarness h(state);
  h.Step(Campaign{});
  EXPECT_EQ(h.core.role(), Role::kPreCandidate);
  const VoteReply granted{true, true, Term{2}};
  h.Step(Receive{{kGroup, kPeer, kSelf, Term{2}, granted}});
  EXPECT_EQ(h.core.role(), Role::kCandidate);
  h.CompleteAll();
  EXPECT_EQ(h.core.role(), Role::kCandidate) << "its own vote does not count";
  h.Step(Receive{{kGroup, kPeer, kSelf, Term{2}, VoteReply{false, true, Term{2}}}});
  EXPECT_EQ(h.core.role(), Role::kLeader);
}

TEST(CoreElectionTest, ARestartCampaignsInAHigherTermThanItsVote) {
  CoreState state = FreshState();
  state.hard_state = {Term{4}, kSelf};  // voted, crashed before the barrier
  CoreHarness h(state);
  h.Lead();
  EXPECT_EQ(h.core.term(), Term{5});
  EXPECT_EQ(h.core.vote(), kSelf);
  EXPECT_EQ(h.core.end().last_term, Term{5});
}

TEST(CoreElectionTest, AFailedDiskEndsTheCandidacy) {
  CoreHarness h;
  h.Step(Tick{});
  const Effects effects = h.Step(DiskFailed{});
  ASSERT_TRUE(effects.role_change);
  EXPECT_EQ(effects.role_change->role, Role::kFollower);
  h.CompleteAll();
  EXPECT_EQ(h.core.role(), Role::kFollower);
  EXPECT_FALSE(h.core.needs_tick());
  EXPECT_TRUE(h.Step(Tick{}).empty());
}

}  // namespace
}  // namespace varve::raft
