// Random inputs, completions and crashes against invariants and a twin.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

// The disk: operations in the order in which they were taken. Some prefix of them survives a crash,
// at least what was reported as done.
struct Disk {
  CoreState state = FreshState();
  std::vector<EntryHeader> entries;  // after the bootstrap entry, of `state` only
  std::deque<DiskOperation> pending;

  void ApplyOldest() {
    const LogWrite& write = pending.front().write;
    if (write.hard_state) state.hard_state = *write.hard_state;
    for (const Entry& entry : write.entries) {
      const EntryHeader& header = entry.header;
      ASSERT_EQ(header.first_index, state.end.last_index + 1);
      ASSERT_EQ(header.base_offset, state.end.next_offset);
      ASSERT_GE(header.term, state.end.last_term);
      ASSERT_EQ(header.term, state.hard_state.term) << "hard state before the entries of its term";
      ASSERT_GE(header.append_time, state.end.append_time);
      AppendTo(header, &state);
      entries.push_back(header);
    }
    if (write.configurations) state.configurations = *write.configurations;
    ASSERT_GE(write.commit_index, state.commit_index);
    ASSERT_LE(write.commit_index, state.end.last_index);
    state.commit_index = write.commit_index;
    pending.pop_front();
  }
};

class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : seed_(seed), random_(seed) { Restart(); }

  void Run(int steps) {
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) Act();
    if (::testing::Test::HasFatalFailure()) ADD_FAILURE() << "seed " << seed_;
  }
  [[nodiscard]] uint64_t fingerprint() const { return core_->fingerprint(); }
  [[nodiscard]] size_t committed() const { return committed_.size(); }
  [[nodiscard]] int crashes() const { return crashes_; }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }

  void Restart() {
    const CoreOptions options{kGroup, kSelf, 4'000, 1'500};
    core_.emplace(options, disk_.state);
    twin_.emplace(options, disk_.state);
    high_watermark_ = core_->high_watermark();
    open_.clear();
    reported_.clear();
  }

  void Act() {
    const uint64_t dice = Below(100);
    if (dice < 10) return StepBoth(Tick{static_cast<uint32_t>(Below(3))});
    if (dice < 50) return ProposeData();
    if (dice < 55) return ProposeConfiguration();
    if (dice < 85) return CompleteSome();
    if (dice < 90) return StepBoth(DiskDone{DiskSequence{Below(50)}, Term{Below(5)}}, false);
    if (dice < 99) return TakeBoth();
    if (Below(3) == 0) StepBoth(DiskFailed{});
    Crash();
  }

  // Bogus completions are only harmless when they name no operation that is under way.
  void StepBoth(Input input, bool genuine = true) {
    if (const auto* done = std::get_if<DiskDone>(&input); done != nullptr && !genuine) {
      for (const DiskOperation& operation : disk_.pending) {
        if (operation.sequence == done->sequence && operation.term == done->term) return;
      }
    }
    Input copy = Copy(input);
    core_->Step(std::move(input));
    twin_->Step(std::move(copy));
    ASSERT_EQ(core_->fingerprint(), twin_->fingerprint());
    CheckState();
  }

  static Input Copy(const Input& input) {
    if (const auto* propose = std::get_if<Propose>(&input)) {
      return Propose{propose->id,
                     propose->kind,
                     FrameBuffer::Copy(propose->payload.payload_view()),
                     propose->records,
                     propose->expected_term,
                     propose->now};
    }
    if (const auto* tick = std::get_if<Tick>(&input)) return *tick;
    if (const auto* done = std::get_if<DiskDone>(&input)) return *done;
    if (std::holds_alternative<Stop>(input)) return Stop{};
    return DiskFailed{};
  }

  void ProposeData() {
    const auto records = static_cast<uint32_t>(1 + Below(3));
    Propose propose{NewId(), EntryKind::kData, Batch(records, Below(600)),
                    records, std::nullopt,     WallTime{static_cast<int64_t>(Below(10'000))}};
    if (Below(4) == 0) propose.expected_term = core_->term();
    StepBoth(std::move(propose));
  }

  void ProposeConfiguration() {
    Configuration configuration = Voters({kSelf});
    if (Below(2) == 0) configuration.learners = {kPeer};
    // Two voters more at once: refused.
    if (Below(8) == 0) configuration.voters = {kSelf, kOther, {NodeId{4}, ReplicaEpoch{1}}};
    StepBoth(Propose{NewId(), EntryKind::kConfig,
                     FrameBuffer::Copy(EncodeConfiguration(configuration)), 0, std::nullopt,
                     WallTime{1}});
  }

  ProposalId NewId() {
    open_.insert(++last_id_);
    return last_id_;
  }

  // The disk works in order, but reports may be late, doubled and out of order.
  void CompleteSome() {
    TakeBoth();
    for (uint64_t n = Below(3); n > 0 && !disk_.pending.empty(); --n) {
      reported_.push_back({disk_.pending.front().sequence, disk_.pending.front().term});
      disk_.ApplyOldest();
    }
    while (!reported_.empty() && Below(4) != 0) {
      const auto at = reported_.begin() + static_cast<std::ptrdiff_t>(Below(reported_.size()));
      const DiskDone done = *at;
      if (Below(5) != 0) reported_.erase(at);
      StepBoth(done);
    }
  }

  void TakeBoth() {
    Effects effects = core_->TakeEffects();
    ASSERT_EQ(effects.empty(), twin_->TakeEffects().empty());
    for (DiskOperation& operation : effects.disk) {
      ASSERT_EQ(operation.sequence, last_sequence_ + 1);
      last_sequence_ = operation.sequence;
      disk_.pending.push_back(std::move(operation));
    }
    for (const ProposalResult& result : effects.results) CheckResult(result);
  }

  void CheckResult(const ProposalResult& result) {
    ASSERT_TRUE(open_.contains(result.id)) << "a second final result of " << result.id;
    if (std::holds_alternative<ProposalAccepted>(result.result)) {
      ASSERT_TRUE(accepted_.insert(result.id).second);
      return;
    }
    open_.erase(result.id);
    if (const auto* committed = std::get_if<ProposalCommitted>(&result.result)) {
      ASSERT_TRUE(accepted_.contains(result.id));
      ASSERT_LE(committed->index, core_->commit_index());
      ASSERT_TRUE(committed_.emplace(committed->index, committed->base_offset).second);
    } else if (std::holds_alternative<ProposalRefused>(result.result)) {
      ASSERT_FALSE(accepted_.contains(result.id));
    }
  }

  void CheckState() {
    ASSERT_LE(core_->durable_index(), disk_.state.end.last_index) << "believed a false completion";
    ASSERT_LE(core_->commit_index(), core_->durable_index());
    ASSERT_GE(core_->commit_index(), commit_index_);
    commit_index_ = core_->commit_index();
    ASSERT_GE(core_->high_watermark(), high_watermark_);
    high_watermark_ = core_->high_watermark();
    ASSERT_LE(high_watermark_, disk_.state.end.next_offset);
    ASSERT_GE(core_->term(), term_);
    term_ = core_->term();
    if (core_->role() == Role::kLeader) {
      ASSERT_EQ(disk_.state.hard_state, (HardState{core_->term(), kSelf}));
    }
  }

  // Every proposal of this life is answered by now, or still open; what was committed is on the
  // disk.
  void Crash() {
    TakeBoth();
    for (uint64_t n = Below(disk_.pending.size() + 1); n > 0; --n) disk_.ApplyOldest();
    disk_.pending.clear();
    ++crashes_;
    for (const auto& [index, offset] : committed_) {
      const size_t at = index.value() - 2;
      ASSERT_LT(at, disk_.entries.size());
      ASSERT_EQ(disk_.entries[at].base_offset, offset);
    }
    commit_index_ = disk_.state.commit_index;
    term_ = disk_.state.hard_state.term;
    last_sequence_ = {};
    Restart();
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  Disk disk_;
  std::optional<Core> core_;
  std::optional<Core> twin_;
  std::vector<DiskDone> reported_;  // on the disk; the core has not heard it, or may hear it again
  std::set<ProposalId> open_;
  std::set<ProposalId> accepted_;
  std::map<Index, Offset> committed_;
  ProposalId last_id_;
  DiskSequence last_sequence_;
  Index commit_index_;
  Offset high_watermark_;
  Term term_;
  int crashes_ = 0;
};

TEST(CorePropertyTest, InvariantsHoldUnderRandomInputsAndCrashes) {
  size_t committed = 0;
  int crashes = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    RandomRun run(seed);
    run.Run(1'000);
    if (HasFatalFailure()) return;
    committed += run.committed();
    crashes += run.crashes();
  }
  EXPECT_GT(committed, 10'000u);
  EXPECT_GT(crashes, 500);
}

TEST(CorePropertyTest, EqualInputsGiveEqualFingerprintsAndOthersDiffer) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    RandomRun first(seed);
    RandomRun second(seed);
    first.Run(200);
    second.Run(200);
    EXPECT_EQ(first.fingerprint(), second.fingerprint()) << "seed " << seed;
    seen.insert(first.fingerprint());
  }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(FingerprintTest, EachInputLeavesItsMark) {
  CoreHarness h;
  std::set<uint64_t> seen = {h.core.fingerprint()};
  const auto differs = [&] { return seen.insert(h.core.fingerprint()).second; };
  h.core.Step(Tick{});
  EXPECT_TRUE(differs());
  h.Take();
  EXPECT_TRUE(differs());
  h.CompleteOne();
  EXPECT_TRUE(differs());
  h.CompleteOne();
  EXPECT_TRUE(differs());
  h.core.Step(h.Data(1));
  EXPECT_TRUE(differs());
  h.core.Step(DiskFailed{});
  EXPECT_TRUE(differs());
}

}  // namespace
}  // namespace varve::raft
