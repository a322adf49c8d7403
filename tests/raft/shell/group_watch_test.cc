#include "raft/shell/group_watch.h"

#include <gtest/gtest.h>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

constexpr ReplicaId kOther{NodeId{2}, ReplicaEpoch{1}};
constexpr ReplicaId kThird{NodeId{3}, ReplicaEpoch{1}};

class SetClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Now() const override { return now; }
  [[nodiscard]] WallTime Wall() const override { return WallTime{}; }
  MonoTime now{};
};

// The watch sees hand-made effects of a core that stays as it was.
class GroupWatchTest : public ::testing::Test {
 protected:
  void Become(Role role, uint64_t term, ReplicaId leader = {}) {
    Effects effects;
    effects.role_change = RoleChange{role, Term{term}, leader};
    watch_.OnEffects(effects);
  }
  void Lead(uint64_t term) {
    Become(Role::kPreCandidate, term - 1);
    Become(Role::kCandidate, term);
    Become(Role::kLeader, term, kSelf);
  }
  // As a leader of the core's own term, which is what replies are compared with.
  void Append(ReplicaId to, uint64_t prev, uint64_t last) {
    AppendRequest append;
    append.prev_index = Index{prev};
    append.entries.resize(1);
    append.entries.back().header.last_index = Index{last};
    Effects effects;
    effects.messages.push_back({kGroup, kSelf, to, core_.term(), std::move(append)});
    watch_.OnEffects(effects);
  }
  void Acknowledge(ReplicaId from, uint64_t match, bool rejected = false) {
    AppendReply reply;
    reply.rejected = rejected;
    reply.report.match = Index{match};
    watch_.OnInput(Receive{{kGroup, from, kSelf, core_.term(), reply}});
  }
  [[nodiscard]] uint64_t StepDowns(StepDown cause) const {
    return metrics_.step_downs[static_cast<size_t>(cause)].value();
  }
  [[nodiscard]] uint64_t RoundTrips() const {
    uint64_t count = 0;
    for (const uint64_t n : metrics_.append_round_trip.Read().counts) count += n;
    return count;
  }

  SetClock clock_;
  Core core_{CoreOptions{kGroup, kSelf, 1 << 20}, FreshState()};
  GroupMetrics metrics_;
  GroupWatch watch_{core_, clock_, &metrics_};
};

TEST_F(GroupWatchTest, CountsEachElectionOnce) {
  Become(Role::kPreCandidate, 1);
  Become(Role::kPreCandidate, 1);  // the first found no majority
  Become(Role::kCandidate, 2);
  EXPECT_EQ(metrics_.elections.value(), 2);
  Become(Role::kLeader, 2, kSelf);
  EXPECT_EQ(metrics_.elections.value(), 2);
  Become(Role::kFollower, 3, kOther);
  Become(Role::kCandidate, 4);  // told to campaign by its leader
  EXPECT_EQ(metrics_.elections.value(), 3);
}

TEST_F(GroupWatchTest, SoleVoterElectsItselfInOneStep) {
  Become(Role::kLeader, 2, kSelf);
  EXPECT_EQ(metrics_.elections.value(), 1);
}

TEST_F(GroupWatchTest, CountsLeadersThatChangedNotTheFirst) {
  Become(Role::kFollower, 2, kOther);
  EXPECT_EQ(metrics_.leader_changes.value(), 0);
  Become(Role::kFollower, 3);
  Become(Role::kFollower, 3, kOther);
  EXPECT_EQ(metrics_.leader_changes.value(), 0) << "the same one again";
  Become(Role::kFollower, 4, kThird);
  EXPECT_EQ(metrics_.leader_changes.value(), 1);
}

TEST_F(GroupWatchTest, NamesTheCauseOfALostLeadership) {
  Lead(2);
  Become(Role::kFollower, 3, kOther);
  EXPECT_EQ(StepDowns(StepDown::kHigherTerm), 1);
  Lead(4);
  Become(Role::kFollower, 4);
  EXPECT_EQ(StepDowns(StepDown::kNoQuorum), 1);
  Lead(5);
  watch_.OnInput(DiskSlow{true});
  Become(Role::kFollower, 6);
  watch_.OnInput(DiskSlow{false});
  EXPECT_EQ(StepDowns(StepDown::kDisk), 1);
  EXPECT_EQ(StepDowns(StepDown::kTransfer) + StepDowns(StepDown::kRemoved), 0);
}

TEST_F(GroupWatchTest, TransferIsACauseInItsOwnTermOnly) {
  Become(Role::kLeader, core_.term().value(), kSelf);
  watch_.OnInput(Transfer{});
  Become(Role::kFollower, core_.term().value() + 1, kOther);
  EXPECT_EQ(StepDowns(StepDown::kTransfer), 1);
  Lead(core_.term().value() + 2);
  Become(Role::kFollower, core_.term().value() + 3, kOther);
  EXPECT_EQ(StepDowns(StepDown::kHigherTerm), 1);
}

TEST_F(GroupWatchTest, TimesEachAppendUntilItIsDurableThere) {
  Become(Role::kLeader, core_.term().value(), kSelf);
  Append(kOther, 1, 2);
  Append(kThird, 1, 2);
  clock_.now = MonoTime{} + kMillisecond;
  Append(kOther, 2, 4);
  clock_.now = MonoTime{} + 3 * kMillisecond;
  Acknowledge(kOther, 3);
  EXPECT_EQ(RoundTrips(), 1);
  Acknowledge(kOther, 4);
  EXPECT_EQ(RoundTrips(), 2);
  EXPECT_EQ(metrics_.append_round_trip.Read().sum, 5 * kMillisecond);
  Acknowledge(kThird, 0, /*rejected=*/true);
  EXPECT_EQ(metrics_.rejected_appends.value(), 1);
  EXPECT_EQ(RoundTrips(), 2);
}

TEST_F(GroupWatchTest, AnAppendThatGoesAgainIsTimedFromThen) {
  Become(Role::kLeader, core_.term().value(), kSelf);
  Append(kOther, 1, 2);
  Append(kOther, 2, 3);
  clock_.now = MonoTime{} + 10 * kMillisecond;
  Append(kOther, 1, 3);
  clock_.now = MonoTime{} + 12 * kMillisecond;
  Acknowledge(kOther, 3);
  EXPECT_EQ(RoundTrips(), 1);
  EXPECT_EQ(metrics_.append_round_trip.Read().sum, 2 * kMillisecond);
}

TEST_F(GroupWatchTest, AnEndedLeadershipTimesNothing) {
  Become(Role::kLeader, core_.term().value(), kSelf);
  Append(kOther, 1, 2);
  Become(Role::kFollower, core_.term().value());
  Acknowledge(kOther, 2);
  EXPECT_EQ(RoundTrips(), 0);
}

TEST_F(GroupWatchTest, CountsWhatBecameOfProposals) {
  Effects effects;
  effects.results.push_back({ProposalId{1}, ProposalAccepted{}});
  effects.results.push_back({ProposalId{1}, ProposalCommitted{}});
  effects.results.push_back({ProposalId{2}, ProposalLost{}});
  effects.results.push_back({ProposalId{3}, ProposalRefused{}});
  effects.results.push_back({ProposalId{4}, ProposalUnknown{}});
  watch_.OnEffects(effects);
  EXPECT_EQ(metrics_.proposals_committed.value(), 1);
  EXPECT_EQ(metrics_.proposals_lost.value(), 1);
  EXPECT_EQ(metrics_.proposals_refused.value(), 1);
  EXPECT_EQ(metrics_.proposals_unknown.value(), 1);
}

}  // namespace
}  // namespace varve::raft
