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

void AddPoint(const InstallPoint& point, FingerprintHasher* hasher) {
  hasher->Add(point.start);
  hasher->Add(point.end);
  hasher->Add(point.configuration);
  hasher->Add(point.epochs);
  hasher->Add(point.consistent_from);
}

void AddReport(const FollowerReport& report, FingerprintHasher* hasher) {
  hasher->Add(report.match);
  hasher->Add(report.received);
  hasher->Add(report.commit);
  hasher->Add(report.folded);
  hasher->Add(report.full);
}

struct BodyHasher {
  FingerprintHasher* hasher;
  void operator()(const VoteRequest& m) const {
    hasher->Add(m.forced);
    hasher->Add(m.last_index);
    hasher->Add(m.last_term);
  }
  void operator()(const VoteReply& m) const {
    hasher->Add(m.granted);
    hasher->Add(m.asked);
  }
  void operator()(const AppendRequest& m) const {
    hasher->Add(m.prev_index);
    hasher->Add(m.prev_term);
    hasher->Add(m.commit);
    hasher->Add(m.floor);
    hasher->Add(m.entries);
  }
  void operator()(const AppendReply& m) const {
    hasher->Add(m.rejected);
    AddReport(m.report, hasher);
    hasher->Add(m.rejected_prev);
    hasher->Add(m.hint_index);
    hasher->Add(m.hint_term);
  }
  void operator()(const Heartbeat& m) const {
    hasher->Add(m.commit);
    hasher->Add(m.floor);
    hasher->Add(m.vouches);
  }
  void operator()(const HeartbeatReply& m) const { AddReport(m.report, hasher); }
  void operator()(const InstallRequest& m) const { AddPoint(m.point, hasher); }
  void operator()(const InstallReply& m) const { AddReport(m.report, hasher); }
  void operator()(const ReadProbe& m) const { hasher->Add(m.context); }
  void operator()(const ReadProbeReply& m) const { hasher->Add(m.context); }
  void operator()(const TimeoutNow& /*m*/) const {}
};

void AddMessage(const Message& message, FingerprintHasher* hasher) {
  hasher->Add(TypeOf(message));
  hasher->Add(message.group);
  hasher->Add(message.from);
  hasher->Add(message.to);
  hasher->Add(message.term);
  std::visit(BodyHasher{hasher}, message.body);
}

void AddDiskOperation(const DiskOperation& operation, FingerprintHasher* hasher) {
  hasher->Add(operation.sequence);
  hasher->Add(operation.term);
  hasher->Add(operation.write.truncate_from);
  hasher->Add(operation.write.entries);
  hasher->Add(operation.write.hard_state);
  hasher->Add(operation.write.configurations);
  hasher->Add(operation.install.has_value());
  if (operation.install) AddPoint(*operation.install, hasher);
}

void AddEffects(const Effects& effects, FingerprintHasher* hasher) {
  hasher->Add(effects.disk.size());
  for (const DiskOperation& operation : effects.disk) AddDiskOperation(operation, hasher);
  hasher->Add(effects.messages.size());
  for (const Message& message : effects.messages) AddMessage(message, hasher);
  hasher->Add(effects.results.size());
  for (const ProposalResult& result : effects.results) AddResult(result, hasher);
  hasher->Add(effects.reads.size());
  for (const ReadResult& read : effects.reads) {
    hasher->Add(read.id);
    hasher->Add(read.index);
  }
  hasher->Add(effects.loads.size());
  for (const LoadEntries& load : effects.loads) {
    hasher->Add(load.peer);
    hasher->Add(load.from);
  }
  hasher->Add(effects.prepare_installs.size());
  for (const PrepareInstall& prepare : effects.prepare_installs) hasher->Add(prepare.peer);
  hasher->Add(effects.stage_install.has_value());
  hasher->Add(effects.refused.size());
  hasher->Add(effects.committed);
  hasher->Add(effects.role_change.has_value());
  if (effects.role_change) {
    hasher->Add(effects.role_change->role);
    hasher->Add(effects.role_change->term);
    hasher->Add(effects.role_change->leader);
  }
  hasher->Add(effects.leadership_confirmed);
}

void AddProgress(const Progress& progress, FingerprintHasher* hasher) {
  hasher->Add(progress.state);
  hasher->Add(progress.match);
  hasher->Add(progress.received);
  hasher->Add(progress.next);
  hasher->Add(progress.known_commit);
  hasher->Add(progress.sent_commit);
  hasher->Add(progress.folded);
  hasher->Add(progress.window.appends());
  hasher->Add(progress.window.bytes());
  for (const bool flag : {progress.probe_sent, progress.loading, progress.full, progress.active,
                          progress.preparing, progress.offered.has_value()}) {
    hasher->Add(flag);
  }
  hasher->Add(progress.ticks_silent);
  hasher->Add(progress.ticks_no_news);
  hasher->Add(progress.read_context);
  if (progress.offered) AddPoint(*progress.offered, hasher);
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

void FingerprintHasher::Add(const LogStart& start) {
  Add(start.index);
  Add(start.offset);
  Add(start.previous_term);
}

void FingerprintHasher::Add(const EpochStart& epoch) {
  Add(epoch.term);
  Add(epoch.index);
  Add(epoch.offset);
}

void Core::AddLog(FingerprintHasher* hasher) const {
  hasher->Add(log_.start());
  hasher->Add(log_.end());
  hasher->Add(log_.commit_index());
  hasher->Add(log_.high_watermark());
  hasher->Add(log_.epochs());
  hasher->Add(log_.configurations());
  hasher->Add(hard_state_);
  hasher->Add(durable_index_);
  hasher->Add(folded_);
  hasher->Add(floor_);
  hasher->Add(configurations_changed_);
}

void Core::AddElection(FingerprintHasher* hasher) const {
  hasher->Add(role_);
  hasher->Add(leader_);
  hasher->Add(halted_);
  hasher->Add(disk_slow_);
  hasher->Add(disk_full_);
  hasher->Add(election_elapsed_);
  hasher->Add(election_timeout_);
  hasher->Add(ticks_without_leader_);
  hasher->Add(votes_.size());
  for (const ReplicaId& vote : votes_) hasher->Add(vote);
  hasher->Add(rejections_.size());
  for (const ReplicaId& rejection : rejections_) hasher->Add(rejection);
  hasher->Add(forced_);
  hasher->Add(proven_);
  hasher->Add(acknowledged_);
  hasher->Add(acknowledgement_due_);
  hasher->Add(fixed_timeout_);
  hasher->Add(staging_.has_value());
  if (staging_) AddPoint(*staging_, hasher);
}

void Core::AddLeadership(FingerprintHasher* hasher) const {
  hasher->Add(leadership_.has_value());
  if (!leadership_) return;
  hasher->Add(leadership_->barrier);
  hasher->Add(leadership_->confirmed);
  hasher->Add(leadership_->followers.size());
  for (const auto& [id, follower] : leadership_->followers) {
    hasher->Add(id);
    AddProgress(follower, hasher);
  }
  hasher->Add(leadership_->heartbeat_elapsed);
  hasher->Add(leadership_->quorum_elapsed);
  hasher->Add(leadership_->ticks_no_commit);
  hasher->Add(leadership_->transfer_to);
  hasher->Add(leadership_->transfer_elapsed);
  hasher->Add(leadership_->timeout_sent);
  hasher->Add(leadership_->last_read_context);
  hasher->Add(leadership_->probes_due);
  hasher->Add(leadership_->reads.size());
  hasher->Add(leadership_->early_reads.size());
  hasher->Add(recent_.size());
  hasher->Add(recent_.bytes());
}

uint64_t Core::fingerprint() const {
  FingerprintHasher hasher;
  hasher.Add(options_.group);
  hasher.Add(options_.self);
  AddLog(&hasher);
  AddElection(&hasher);
  AddLeadership(&hasher);
  hasher.Add(pending_.size());
  for (const auto& [at, pending] : pending_) {
    hasher.Add(at.first);
    hasher.Add(at.second);
    hasher.Add(pending.id);
    hasher.Add(pending.frame_bytes);
  }
  hasher.Add(uncommitted_bytes_);
  hasher.Add(pending_aside_);
  hasher.Add(ticks_pending_);
  hasher.Add(outstanding_.size());
  for (const OutstandingWrite& write : outstanding_) {
    hasher.Add(write.sequence);
    hasher.Add(write.term);
    hasher.Add(write.last_index);
    hasher.Add(write.hard_state);
    hasher.Add(write.install);
    hasher.Add(write.done);
  }
  hasher.Add(waiting_.size());
  for (const Waiting& waiting : waiting_) AddMessage(waiting.message, &hasher);
  hasher.Add(last_sequence_);
  AddEffects(effects_, &hasher);
  return hasher.hash();
}

}  // namespace varve::raft
