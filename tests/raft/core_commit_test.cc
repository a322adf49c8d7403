#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

using Log = std::vector<std::string>;

// A log whose last three entries, of terms 2 and 3, are durable here but were not known as
// committed.
CoreState StateWithOlderEntries() {
  CoreState state = StateWithEnd({Index{8}, Term{3}, Offset{60}, WallTime{700}}, 3);
  state.hard_state.vote = kSelf;
  state.start = {Index{3}, Offset{20}, Term{2}};
  state.epochs = {{Term{2}, Index{1}, Offset{0}}, {Term{3}, Index{7}, Offset{58}}};
  state.ends[0].last_term = state.ends[1].last_term = Term{2};
  return state;
}

TEST(CoreCommitTest, OlderTermsCommitOnlyThroughAnEntryOfThisTerm) {
  CoreHarness h(StateWithOlderEntries());
  EXPECT_EQ(h.core.durable_index(), Index{8});
  h.Step(Tick{});
  EXPECT_FALSE(h.CompleteOne().committed) << "a majority holds 8, but it is of an older term";
  EXPECT_EQ(h.core.commit_index(), Index{5});
  EXPECT_EQ(h.CompleteOne().committed, Index{9}) << "the barrier takes them along";
}

TEST(CoreCommitTest, TheHighWatermarkAfterARestart) {
  struct Case {
    const char* name;
    uint64_t commit_index;
    Offset expected;
  };
  const Case cases[] = {{"all was committed", 8, Offset{60}},
                        {"not all was known to be committed", 5, Offset{57}}};
  for (const Case& c : cases) {
    CoreState state = StateWithOlderEntries();
    state.commit_index = Index{c.commit_index};
    CoreHarness h(state);
    EXPECT_EQ(h.core.high_watermark(), c.expected) << c.name;
    h.Lead();
    EXPECT_EQ(h.core.high_watermark(), Offset{60}) << c.name;
  }
}

TEST(CoreCommitTest, WritesCarryTheCommitIndexKnownWhenTaken) {
  CoreHarness h;
  h.Lead();
  EXPECT_EQ(h.Step(h.Data()).disk[0].write.commit_index, Index{2});
  h.core.Step(h.Data());
  h.core.Step(DiskDone{h.disk[0].sequence, h.disk[0].term});
  EXPECT_EQ(h.Take().disk[0].write.commit_index, Index{3});
}

// --- Completions
// ----------------------------------------------------------------------------------

TEST(CoreDiskTest, BelievesNoCompletionButThatOfTheOperation) {
  CoreHarness h;
  h.Lead();
  h.core.Step(h.Data());
  const DiskSequence sequence{3};
  // Not taken yet: the disk cannot have done it.
  h.core.Step(DiskDone{sequence, Term{1}});
  h.Take();
  h.Step(DiskDone{sequence, Term{2}});
  h.Step(DiskDone{sequence, Term{0}});
  h.Step(DiskDone{sequence + 1, Term{1}});
  h.Step(DiskDone{sequence - 1, Term{1}});
  EXPECT_EQ(h.core.durable_index(), Index{2});
  EXPECT_EQ(h.core.commit_index(), Index{2});
  h.Step(DiskDone{sequence, Term{1}});
  EXPECT_EQ(h.core.durable_index(), Index{3});
  EXPECT_EQ(h.log, (Log{"1: accepted 3", "1: committed 3"}));
  EXPECT_TRUE(h.Step(DiskDone{sequence, Term{1}}).empty()) << "a completion counts once";
}

TEST(CoreDiskTest, CountsACompletionWhenAllBeforeItAreDurable) {
  CoreHarness h;
  h.Lead();
  for (int i = 0; i < 3; ++i) h.Step(h.Data());
  h.log.clear();
  h.Step(DiskDone{h.disk[2].sequence, Term{1}});
  h.Step(DiskDone{h.disk[1].sequence, Term{1}});
  EXPECT_EQ(h.core.durable_index(), Index{2});
  EXPECT_TRUE(h.log.empty());
  h.Step(DiskDone{h.disk[0].sequence, Term{1}});
  EXPECT_EQ(h.core.durable_index(), Index{5});
  EXPECT_EQ(h.log, (Log{"1: committed 3", "2: committed 4", "3: committed 5"}));
}

TEST(CoreDiskTest, FailureAnswersUnknownAndLatches) {
  CoreHarness h;
  h.Lead();
  h.Step(h.Data());
  h.CompleteAll();
  h.Step(h.Data());
  h.Step(h.Data());
  h.core.Step(h.Data());  // not handed to the disk
  h.log.clear();
  const Effects effects = h.Step(DiskFailed{});
  EXPECT_TRUE(effects.disk.empty()) << "nothing is written any more";
  ASSERT_TRUE(effects.role_change);
  EXPECT_EQ(effects.role_change->role, Role::kFollower);
  EXPECT_EQ(h.log, (Log{"4: accepted 6", "2: unknown", "3: unknown", "4: unknown"}));
  h.log.clear();
  h.CompleteAll();
  h.Step(DiskFailed{});
  h.Step(Tick{});
  h.Step(h.Data());
  EXPECT_EQ(h.log, Log{"5: refused DISK_FAILED"});
  EXPECT_EQ(h.core.role(), Role::kFollower);
  EXPECT_FALSE(h.core.leadership_confirmed());
  EXPECT_EQ(h.core.commit_index(), Index{3}) << "what was committed stays";
  EXPECT_EQ(h.core.vote(), kSelf) << "and so does the vote";
}

TEST(CoreDiskTest, FailureRightAfterConfirmationDoesNotReportIt) {
  CoreHarness h;
  h.Step(Tick{});
  h.CompleteOne();
  h.core.Step(DiskDone{h.disk[0].sequence, h.disk[0].term});
  h.core.Step(DiskFailed{});
  const Effects effects = h.Take();
  EXPECT_FALSE(effects.leadership_confirmed);
  EXPECT_EQ(effects.committed, Index{2});
}

TEST(CoreDiskTest, StopAnswersUnknownAndRefusesTheRest) {
  CoreHarness h;
  h.Lead();
  h.Step(h.Data());
  h.Step(Stop{});
  h.Step(h.Data());
  EXPECT_EQ(h.log, (Log{"1: accepted 3", "1: unknown", "2: refused SHUTTING_DOWN"}));
}

// --- Configurations
// -------------------------------------------------------------------------------

Configuration WithLearner() {
  Configuration configuration = Voters({kSelf});
  configuration.learners = {kPeer};
  return configuration;
}

TEST(CoreConfigurationTest, ActsWhenAppendedAndCommitsWithItsEntry) {
  CoreHarness h;
  h.Lead();
  const Effects effects = h.Step(h.Config(WithLearner()));
  const ConfigurationAt before{Index{0}, Voters({kSelf})};
  const ConfigurationAt after{Index{3}, WithLearner()};
  EXPECT_EQ(h.core.configurations(), (Configurations{before, after}));
  EXPECT_EQ(effects.disk[0].write.configurations, (Configurations{before, after}));
  EXPECT_EQ(effects.disk[0].write.entries[0].header.kind, EntryKind::kConfig);
  h.CompleteOne();
  EXPECT_EQ(h.core.configurations(), (Configurations{after, std::nullopt}));
  const Effects next = h.Step(h.Data());
  EXPECT_EQ(next.disk[0].write.configurations, (Configurations{after, std::nullopt}))
      << "the log learns it with the next write";
  EXPECT_FALSE(h.Step(h.Data()).disk[0].write.configurations) << "once";
}

TEST(CoreConfigurationTest, SharesAnOperationWithEarlierEntries) {
  CoreHarness h;
  h.Lead();
  h.core.Step(h.Data());
  h.core.Step(h.Config(WithLearner()));
  h.core.Step(h.Data());
  const Effects effects = h.Take();
  ASSERT_EQ(effects.disk.size(), 1u);
  ASSERT_TRUE(effects.disk[0].write.configurations);
  EXPECT_EQ(effects.disk[0].write.configurations->uncommitted->index, Index{4});
}

TEST(CoreConfigurationTest, OnlyOneChangeAtATimeAndNoneBeforeTheBarrier) {
  CoreHarness h;
  h.Step(Tick{});
  h.CompleteOne();
  h.Step(h.Config(WithLearner()));
  h.CompleteAll();
  h.Step(h.Config(WithLearner()));
  h.Step(h.Config(Voters({kSelf})));
  EXPECT_EQ(h.log, (Log{"1: refused OVERLOADED", "2: accepted 3", "3: refused OVERLOADED"}));
  h.CompleteAll();
  h.log.clear();
  h.Step(h.Config(Voters({kSelf})));
  h.CompleteAll();
  EXPECT_EQ(h.log, (Log{"4: accepted 4", "4: committed 4"}));
  EXPECT_EQ(h.core.configurations().committed, (ConfigurationAt{Index{4}, Voters({kSelf})}));
}

// Under load the limit is always reached, and a voter that is gone could never be removed.
TEST(CoreConfigurationTest, IsTakenBeyondTheLimitOfUncommittedBytes) {
  CoreHarness h(FreshState(), 100);
  h.Lead();
  h.Step(h.Data());
  h.Step(h.Data());
  h.Step(h.Config(WithLearner()));
  EXPECT_EQ(h.log, (Log{"1: accepted 3", "2: refused OVERLOADED", "3: accepted 4"}));
  h.CompleteAll();
  EXPECT_EQ(h.core.configurations().committed.configuration, WithLearner());
  EXPECT_EQ(h.core.uncommitted_bytes(), 0u);
}

TEST(CoreConfigurationTest, RefusesWhatIsNoSingleStep) {
  for (const auto& voters : {std::vector{kPeer, kOther}, std::vector{kPeer}, {}}) {
    CoreHarness h;
    h.Lead();
    h.Step(h.Config(Voters(voters)));
    EXPECT_EQ(h.log, Log{"1: refused INVALID_REQUEST"}) << voters.size();
    EXPECT_FALSE(h.core.configurations().uncommitted);
  }
}

TEST(CoreConfigurationTest, AnUncommittedOneIsTakenUpAfterARestart) {
  CoreState state = StateWithEnd({Index{3}, Term{1}, Offset{1}, WallTime{1}}, 1);
  state.configurations.uncommitted = {Index{3}, WithLearner()};
  {
    CoreHarness h(state);
    EXPECT_TRUE(h.core.configurations().uncommitted);
    h.Lead();
    EXPECT_EQ(h.core.configurations(), (Configurations{{Index{3}, WithLearner()}, std::nullopt}));
  }
  state.commit_index = Index{3};
  EXPECT_EQ(CoreHarness(state).core.configurations(),
            (Configurations{{Index{3}, WithLearner()}, std::nullopt}));
}

TEST(CoreDeathTest, RefusesAStateThatContradictsItself) {
  CoreState beyond = FreshState();
  beyond.commit_index = Index{2};
  EXPECT_DEATH(CoreHarness{beyond}, "commit index 2 beyond the last entry 1");
  CoreState future = FreshState();
  future.end.last_term = Term{1};
  future.epochs = {{Term{1}, Index{1}, Offset{0}}};
  EXPECT_DEATH(CoreHarness{future}, "entry of term 1 in term 0");
}

}  // namespace
}  // namespace varve::raft
