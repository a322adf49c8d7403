#include "raft/core/fingerprint.h"

#include "raft/core/core.h"

namespace varve::raft {
namespace {

// Position of the checksum in an entry frame; docs/formats.md, "Entry frame".
constexpr size_t kFrameCrcAt = 4;

void AddResult(const ProposalResult& result, FingerprintHasher* hasher) {
  hasher->Add(result.id);
  hasher->Add(result.result.index());
  if (const auto* accepted = std::get_if<ProposalAccepted>(&result.result)) {
    hasher->Add(accepted->index);
    hasher->Add(accepted->term);
    hasher->Add(accepted->base_offset);
    hasher->Add(accepted->append_time);
  } else if (const auto* committed = std::get_if<ProposalCommitted>(&result.result)) {
    hasher->Add(committed->index);
    hasher->Add(committed->base_offset);
    hasher->Add(committed->append_time);
  } else if (const auto* refused = std::get_if<ProposalRefused>(&result.result)) {
    hasher->Add(refused->reason);
  }
}

void AddEffects(const Effects& effects, FingerprintHasher* hasher) {
  hasher->Add(effects.disk.size());
  for (const DiskOperation& operation : effects.disk) {
    hasher->Add(operation.sequence);
    hasher->Add(operation.term);
    hasher->Add(operation.write.truncate_from);
    hasher->Add(operation.write.entries);
    hasher->Add(operation.write.hard_state);
    hasher->Add(operation.write.configurations);
  }
  hasher->Add(effects.results.size());
  for (const ProposalResult& result : effects.results) AddResult(result, hasher);
  hasher->Add(effects.committed);
  hasher->Add(effects.role_change.has_value());
  if (effects.role_change) {
    hasher->Add(effects.role_change->role);
    hasher->Add(effects.role_change->term);
    hasher->Add(effects.role_change->leader);
  }
  hasher->Add(effects.leadership_confirmed);
}

}  // namespace

void FingerprintHasher::Add(const ReplicaId& replica) {
  Add(replica.node);
  Add(replica.epoch);
}

void FingerprintHasher::Add(const HardState& state) {
  Add(state.term);
  Add(state.vote);
}

void FingerprintHasher::Add(const LogEnd& end) {
  Add(end.last_index);
  Add(end.last_term);
  Add(end.next_offset);
  Add(end.append_time);
}

void FingerprintHasher::Add(const Configuration& configuration) {
  Add(configuration.voters);
  Add(configuration.outgoing);
  Add(configuration.learners);
  Add(configuration.learners_next);
  Add(configuration.auto_leave);
}

void FingerprintHasher::Add(const ConfigurationAt& at) {
  Add(at.index);
  Add(at.configuration);
}

void FingerprintHasher::Add(const Configurations& configurations) {
  Add(configurations.committed);
  Add(configurations.uncommitted);
}

void FingerprintHasher::Add(const Entry& entry) {
  Add(entry.header.kind);
  Add(entry.header.first_index);
  Add(entry.header.term);
  Add(entry.header.base_offset);
  Add(entry.header.last_offset);
  Add(entry.header.append_time);
  Add(entry.header.payload_bytes);
  Add(LoadLittle<uint32_t>(entry.frame.view().data() + kFrameCrcAt));
}

// Field by field, in the order of their declaration.
uint64_t Core::fingerprint() const {
  FingerprintHasher hasher;
  hasher.Add(options_.group);
  hasher.Add(options_.self);
  hasher.Add(options_.max_uncommitted_bytes);
  hasher.Add(options_.max_write_bytes);
  hasher.Add(role_);
  hasher.Add(hard_state_);
  hasher.Add(leader_);
  hasher.Add(end_);
  hasher.Add(commit_index_);
  hasher.Add(high_watermark_);
  hasher.Add(durable_index_);
  hasher.Add(configurations_);
  hasher.Add(configurations_changed_);
  hasher.Add(halted_);
  hasher.Add(votes_.size());
  for (const ReplicaId& vote : votes_) hasher.Add(vote);
  hasher.Add(durable_.size());
  for (const auto& [replica, index] : durable_) {
    hasher.Add(replica);
    hasher.Add(index);
  }
  hasher.Add(barrier_index_);
  hasher.Add(confirmed_);
  hasher.Add(uncommitted_.size());
  for (const UncommittedEntry& entry : uncommitted_) {
    hasher.Add(entry.index);
    hasher.Add(entry.base_offset);
    hasher.Add(entry.next_offset);
    hasher.Add(entry.append_time);
    hasher.Add(entry.frame_bytes);
    hasher.Add(entry.proposal);
  }
  hasher.Add(uncommitted_bytes_);
  hasher.Add(outstanding_.size());
  for (const OutstandingWrite& write : outstanding_) {
    hasher.Add(write.sequence);
    hasher.Add(write.term);
    hasher.Add(write.last_index);
    hasher.Add(write.hard_state);
    hasher.Add(write.done);
  }
  hasher.Add(last_sequence_);
  hasher.Add(last_operation_bytes_);
  AddEffects(effects_, &hasher);
  return hasher.hash();
}

}  // namespace varve::raft
