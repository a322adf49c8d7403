#include "tests/raft/core_harness.h"

#include <gtest/gtest.h>

#include <utility>

#include "common/record_batch_builder.h"

namespace varve::raft {

FrameBuffer Batch(uint32_t records, size_t value_bytes) {
  RecordBatchBuilder builder;
  const std::string value(value_bytes, 'v');
  for (uint32_t i = 0; i < records; ++i) {
    EXPECT_TRUE(builder.Add(WallTime{1}, std::nullopt, value).ok());
  }
  const auto batch = builder.Build();
  EXPECT_TRUE(batch.ok()) << batch.status();
  return FrameBuffer::Copy(*batch);
}

Configuration Voters(std::vector<ReplicaId> voters) {
  Configuration configuration;
  configuration.voters = std::move(voters);
  return configuration;
}

CoreState FreshState(std::vector<ReplicaId> voters) {
  CoreState state;
  state.end = {Index{1}, Term{0}, Offset{0}, WallTime{500}};
  state.commit_index = Index{1};
  state.configurations.committed = {Index{0}, Voters(std::move(voters))};
  return state;
}

void AppendTo(const EntryHeader& entry, CoreState* state) {
  if (state->ends.empty()) state->ends.push_back(state->end);
  if (state->epochs.empty() || state->epochs.back().term != entry.term) {
    state->epochs.push_back({entry.term, entry.first_index, entry.base_offset});
  }
  state->end = {entry.last_index, entry.term, entry.next_offset(), entry.append_time};
  state->ends.push_back(state->end);
}

CoreState StateWithEnd(const LogEnd& end, uint64_t uncommitted) {
  CoreState state = FreshState();
  state.hard_state.term = end.last_term;
  state.end = end;
  state.commit_index = end.last_index - uncommitted;
  state.epochs = {{end.last_term, Index{1}, Offset{0}}};
  for (uint64_t left = uncommitted + 1; left-- > 0;) {
    LogEnd at = end;
    at.last_index = end.last_index - left;
    at.next_offset = end.next_offset - static_cast<int64_t>(left);
    state.ends.push_back(at);
  }
  return state;
}

std::string Describe(const ProposalResult& result) {
  if (const auto* accepted = std::get_if<ProposalAccepted>(&result.result)) {
    return StrCat("accepted ", accepted->index);
  }
  if (const auto* committed = std::get_if<ProposalCommitted>(&result.result)) {
    return StrCat("committed ", committed->index);
  }
  if (const auto* refused = std::get_if<ProposalRefused>(&result.result)) {
    return StrCat("refused ", InfoOf(refused->reason).name);
  }
  return std::holds_alternative<ProposalLost>(result.result) ? "lost" : "unknown";
}

CoreHarness::CoreHarness(CoreState state, size_t max_uncommitted_bytes, size_t max_write_bytes)
    : core({kGroup, kSelf, max_uncommitted_bytes, max_write_bytes}, state) {}

Effects CoreHarness::Step(Input input) {
  core.Step(std::move(input));
  return Take();
}

Effects CoreHarness::Take() {
  Effects effects = core.TakeEffects();
  for (const ProposalResult& result : effects.results) {
    log.push_back(StrCat(result.id, ": ", Describe(result)));
  }
  for (const DiskOperation& operation : effects.disk) disk.push_back(operation);
  return effects;
}

Effects CoreHarness::CompleteOne() {
  EXPECT_FALSE(disk.empty());
  const DiskOperation done = disk.front();
  disk.pop_front();
  return Step(DiskDone{done.sequence, done.term});
}

void CoreHarness::CompleteAll() {
  while (!disk.empty()) CompleteOne();
}

void CoreHarness::Lead() {
  Step(Tick{});
  CompleteAll();
  ASSERT_EQ(core.role(), Role::kLeader);
  ASSERT_TRUE(core.leadership_confirmed());
}

Propose CoreHarness::Data(uint32_t records, size_t value_bytes) {
  return {ProposalId{next_id_++},
          EntryKind::kData,
          Batch(records, value_bytes),
          records,
          std::nullopt,
          now};
}

Propose CoreHarness::Config(const Configuration& configuration) {
  return {ProposalId{next_id_++},
          EntryKind::kConfig,
          FrameBuffer::Copy(EncodeConfiguration(configuration)),
          0,
          std::nullopt,
          now};
}

}  // namespace varve::raft
