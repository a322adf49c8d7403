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
    : core({kGroup, kSelf, max_uncommitted_bytes, max_write_bytes}, std::move(state)) {}

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
