#include "raft/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>

#include "common/error.h"
#include "tests/raft/core_harness.h"
#include "tests/raft/memory_log_store.h"

namespace varve::raft {
namespace {

using ::testing::ElementsAre;
using Log = std::vector<std::string>;

// Writes down what it hears, and lets a test act on it.
class RecordingListener final : public GroupListener {
 public:
  void OnRoleChange(const RoleChange& change) override {
    constexpr std::string_view kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
    Hear(StrCat(kNames[static_cast<size_t>(change.role)], " in term ", change.term));
  }
  void OnCommitted(Index index, Offset high_watermark) override {
    Hear(StrCat("committed ", index, " up to ", high_watermark));
  }
  void OnDurable() override {}
  void OnLeadershipConfirmed() override { Hear("confirmed"); }
  void OnProposal(ProposalResult result) override {
    if (!std::holds_alternative<ProposalAccepted>(result.result)) ++finals[result.id];
    Hear(StrCat(result.id, ": ", Describe(result)));
  }

  void OnPrepareInstall(const PrepareInstall& /*prepare*/) override { Hear("prepare install"); }
  void OnStageInstall(const StageInstall& /*stage*/) override { Hear("stage install"); }
  void OnRefusedMessage(const RefusedMessage& /*refused*/) override { Hear("refused message"); }

  Log heard;
  std::map<ProposalId, int> finals;
  std::function<void(const std::string&)> react;  // called at the end of every callback
  bool forbidden = false;                         // no callback may come now

 private:
  void Hear(std::string what) {
    EXPECT_FALSE(forbidden) << what;
    heard.push_back(what);
    if (react) react(what);
  }
};

class GroupTest : public ::testing::Test {
 protected:
  explicit GroupTest(uint64_t seed = 1)
      : scheduler_(seed), shard_(scheduler_.NewExecutor("shard")) {}

  void Open(Nanos max_disk_delay = kMillisecond, CoreState state = FreshState()) {
    group_.reset();
    log_ = std::make_unique<MemoryLogStore>(scheduler_, *shard_, max_disk_delay, std::move(state));
    group_ = std::make_unique<Group>(CoreOptions{kGroup, kSelf, 1 << 20}, *log_, *shard_,
                                     scheduler_.clock(), listener_);
  }
  void OpenAndLead(Nanos max_disk_delay = kMillisecond) {
    Open(max_disk_delay);
    group_->Start();
    while (!group_->core().leadership_confirmed()) {
      log_->Release();
      ASSERT_TRUE(scheduler_.RunUntilIdle());
    }
    listener_.heard.clear();
  }
  ProposalId Propose(uint32_t records = 1) {
    listener_.forbidden = true;
    const ProposalId id = group_->Propose(Batch(records), EntryKind::kData, records, std::nullopt);
    listener_.forbidden = false;
    return id;
  }

  SimScheduler scheduler_;
  std::unique_ptr<Executor> shard_;
  RecordingListener listener_;
  std::unique_ptr<MemoryLogStore> log_;
  std::unique_ptr<Group> group_;
};

TEST_F(GroupTest, ASoleVoterLeadsAtOnceAndThenSleeps) {
  Open();
  listener_.forbidden = true;
  group_->Start();
  listener_.forbidden = false;
  const MonoTime start = scheduler_.Now();
  EXPECT_TRUE(scheduler_.RunUntilIdle()) << "an idle leader has no timer";
  EXPECT_THAT(listener_.heard, ElementsAre("candidate in term 1", "leader in term 1",
                                           "committed 2 up to 0", "confirmed"));
  EXPECT_LT(scheduler_.Now() - start, 3 * kMillisecond) << "two disk writes, no waiting for ticks";
  EXPECT_EQ(log_->durable().hard_state, (HardState{Term{1}, kSelf}));
}

TEST_F(GroupTest, WhoCannotCampaignHasNoTimerAndRefuses) {
  Open(kMillisecond, FreshState({kPeer}));
  group_->Start();
  EXPECT_EQ(scheduler_.events_waiting(), 0u);
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(listener_.heard, Log{"1: refused LEADER_UNKNOWN"});
}

TEST_F(GroupTest, NothingHappensBeforeStart) {
  Open();
  EXPECT_EQ(scheduler_.events_waiting(), 0u);
  EXPECT_EQ(group_->core().role(), Role::kFollower);
}

TEST_F(GroupTest, ABurstIsOneWrite) {
  OpenAndLead();
  shard_->Post([&] {
    for (int i = 0; i < 4; ++i) Propose(2);
  });
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_THAT(log_->writes(), ElementsAre(0, 1, 4)) << "vote, barrier, burst";
  EXPECT_THAT(listener_.heard, ElementsAre("1: accepted 3", "2: accepted 4", "3: accepted 5",
                                           "4: accepted 6", "committed 6 up to 8", "1: committed 3",
                                           "2: committed 4", "3: committed 5", "4: committed 6"));
}

TEST_F(GroupTest, WritesDoNotWaitForEachOther) {
  OpenAndLead(0);
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(log_->writes().size(), 4u);
  EXPECT_THAT(listener_.heard, ElementsAre("1: accepted 3", "2: accepted 4"));
  log_->Release();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(group_->core().commit_index(), Index{4});
}

TEST_F(GroupTest, IsFencedByTheExpectedTerm) {
  OpenAndLead();
  group_->Propose(Batch(), EntryKind::kData, 1, Term{9});
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(listener_.heard, Log{"1: refused NOT_LEADER"});
}

TEST_F(GroupTest, StampsEntriesWithTheWallClock) {
  OpenAndLead();
  scheduler_.SetWall(WallTime{1'800'000'000'000});
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  scheduler_.StepWall(-60'000);
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  ASSERT_EQ(log_->entries().size(), 3u);
  EXPECT_EQ(log_->entries()[1].header.append_time, WallTime{1'800'000'000'000});
  EXPECT_EQ(log_->entries()[2].header.append_time, WallTime{1'800'000'000'000});
}

TEST_F(GroupTest, TheListenerMayProposeFromEveryCallback) {
  Open();
  int proposed = 0;
  listener_.react = [&](const std::string&) {
    if (proposed < 50) {
      ++proposed;
      Propose();
    }
  };
  group_->Start();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(proposed, 50);
  EXPECT_EQ(listener_.finals.size(), 50u);
  for (const auto& [id, finals] : listener_.finals) EXPECT_EQ(finals, 1) << id;
}

TEST_F(GroupTest, AListenerThatAlwaysProposesDoesNotStarveTheShard) {
  Open(kMillisecond, FreshState({kPeer}));
  listener_.react = [&](const std::string&) { Propose(); };
  Propose();
  bool ran = false;
  shard_->Post([&] { ran = true; });
  EXPECT_TRUE(scheduler_.RunUntil([&] { return ran; }, kSecond));
}

TEST_F(GroupTest, ADiskFailureAnswersUnknownAndThenRefuses) {
  OpenAndLead();
  log_->Fail(MakeError(Reason::DISK_FAILED, "fdatasync of journal 7: input/output error"));
  Propose();
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_THAT(listener_.heard, ElementsAre("1: accepted 3", "2: accepted 4", "follower in term 1",
                                           "1: unknown", "2: unknown", "3: refused DISK_FAILED"));
  EXPECT_FALSE(group_->core().leadership_confirmed());
}

TEST_F(GroupTest, StopAnswersWhatIsPendingAndThenIsSilent) {
  OpenAndLead(0);
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Propose();
  listener_.heard.clear();
  group_->Stop();
  EXPECT_THAT(listener_.heard, ElementsAre("1: unknown", "2: refused SHUTTING_DOWN"));
  listener_.forbidden = true;
  group_->Stop();
  group_->Propose(Batch(), EntryKind::kData, 1, std::nullopt);
  log_->Release();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_EQ(log_->writes().size(), 3u) << "what had not been written never is";
}

TEST_F(GroupTest, StopMayBeCalledFromEveryCallback) {
  constexpr std::string_view kCallbacks[] = {"candidate",   "leader",       "committed 2",
                                             "confirmed",   "1: accepted",  "2: accepted",
                                             "committed 4", "1: committed", "2: committed"};
  for (const std::string_view callback : kCallbacks) {
    listener_ = {};
    Open();
    bool stopped = false;
    listener_.react = [&](const std::string& heard) {
      if (heard.starts_with("confirmed") && !stopped) {
        Propose();
        Propose();
      }
      if (!heard.starts_with(callback) || std::exchange(stopped, true)) return;
      group_->Stop();
      listener_.forbidden = true;
    };
    group_->Start();
    EXPECT_TRUE(scheduler_.RunUntilIdle());
    EXPECT_TRUE(stopped) << callback;
    for (const auto& [id, finals] : listener_.finals) EXPECT_EQ(finals, 1) << callback << id;
    const bool proposed = callback == "confirmed" || callback.find(": ") != callback.npos ||
                          callback == "committed 4";
    EXPECT_EQ(listener_.finals.size(), proposed ? 2u : 0u) << callback;
  }
}

TEST_F(GroupTest, WhatIsUnderWayOutlivesTheGroup) {
  OpenAndLead(0);
  Propose();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Propose();
  listener_.forbidden = true;
  group_.reset();
  log_->Release();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Open();
  group_->Start();
  group_.reset();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
}

TEST_F(GroupTest, ARestartGoesOnWhereTheLogEnds) {
  OpenAndLead();
  Propose(5);
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  Open(kMillisecond, log_->durable());
  EXPECT_EQ(group_->core().commit_index(), Index{2}) << "the last write knew of no more";
  EXPECT_EQ(group_->core().high_watermark(), Offset{0});
  listener_.heard.clear();
  group_->Start();
  EXPECT_TRUE(scheduler_.RunUntilIdle());
  EXPECT_THAT(listener_.heard, ElementsAre("candidate in term 2", "leader in term 2",
                                           "committed 4 up to 5", "confirmed"));
}

// Tasks propose at random while the disk is slow now and then; every proposal is committed once, in
// the order of the calls, and the run repeats exactly.
uint64_t RandomScenario(uint64_t seed) {
  SimScheduler scheduler(seed);
  const auto shard = scheduler.NewExecutor("shard");
  const auto client = scheduler.NewExecutor("client");
  RecordingListener listener;
  MemoryLogStore log(scheduler, *shard, 5 * kMillisecond, FreshState());
  Group group({kGroup, kSelf, 1 << 20}, log, *shard, scheduler.clock(), listener);
  group.Start();
  EXPECT_TRUE(scheduler.RunUntilIdle());
  listener.react = [&](const std::string& what) {
    scheduler.Trace(what, group.core().fingerprint());
  };
  std::vector<ProposalId> ids;
  std::vector<ProposalId> committed;
  for (int i = 0; i < 200; ++i) {
    const Nanos at = static_cast<Nanos>(scheduler.random().Below(50 * kMillisecond));
    client->RunAt(scheduler.Now() + at, [&] {
      shard->Post(
          [&] { ids.push_back(group.Propose(Batch(2), EntryKind::kData, 2, std::nullopt)); });
    });
  }
  EXPECT_TRUE(scheduler.RunUntilIdle());
  for (const std::string& what : listener.heard) {
    const size_t at = what.find(": committed");
    if (at != what.npos) committed.push_back(ProposalId{std::stoull(what.substr(0, at))});
  }
  EXPECT_EQ(ids.size(), 200u) << "seed " << seed;
  EXPECT_EQ(committed, ids) << "seed " << seed;
  EXPECT_EQ(log.entries().size(), 201u) << "seed " << seed;
  EXPECT_EQ(group.core().high_watermark(), Offset{400}) << "seed " << seed;
  EXPECT_LT(log.writes().size(), 202u) << "seed " << seed << ": some proposals shared a write";
  return scheduler.trace_hash();
}

TEST(GroupScenarioTest, EveryProposalIsCommittedOnceInOrderAndRunsRepeat) {
  std::map<uint64_t, uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const uint64_t hash = RandomScenario(seed);
    EXPECT_EQ(hash, RandomScenario(seed)) << "seed " << seed;
    hashes[hash] = seed;
  }
  EXPECT_EQ(hashes.size(), 20u);
}

}  // namespace
}  // namespace varve::raft
