// The core's side of its disk: operations go out in order, completions come back, failure is for
// good.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

DiskOperation& Core::NewDiskOperation() {
  ++last_sequence_;
  DiskOperation& operation = effects_.disk.emplace_back();
  operation.sequence = last_sequence_;
  operation.term = hard_state_.term;
  OutstandingWrite& outstanding = outstanding_.emplace_back();
  outstanding.sequence = last_sequence_;
  outstanding.term = hard_state_.term;
  if (std::exchange(configurations_changed_, false)) {
    operation.write.configurations = log_.configurations();
  }
  last_operation_bytes_ = 0;
  return operation;
}

// The operation that an entry joins: a burst shares one, so that it is one frame of the journal.
DiskOperation& Core::DiskOperationFor(size_t frame_bytes) {
  const bool joins = !effects_.disk.empty() && effects_.disk.back().term == hard_state_.term &&
                     last_operation_bytes_ + frame_bytes <= options_.max_write_bytes;
  DiskOperation& operation = joins ? effects_.disk.back() : NewDiskOperation();
  last_operation_bytes_ += frame_bytes;
  return operation;
}

Index Core::AppendOwn(EntryKind kind, FrameBuffer payload, uint32_t records, WallTime now,
                      std::optional<ProposalId> proposal) {
  const LogEnd end = log_.end();
  EntryHeader header;
  header.kind = kind;
  header.group = options_.group;
  header.first_index = header.last_index = end.last_index + 1;
  header.term = hard_state_.term;
  header.base_offset = end.next_offset;
  header.last_offset = end.next_offset + (int64_t{records} - 1);
  header.append_time = std::max(end.append_time, now);
  Entry entry = std::move(payload).Seal(header);
  std::optional<Configuration> configuration;
  if (kind == EntryKind::kConfig) configuration = *DecodeConfiguration(entry.payload());
  if (proposal) {
    const size_t frame_bytes = entry.header.frame_bytes();
    pending_[{header.first_index, header.term}] = {*proposal, header.base_offset,
                                                   header.append_time, frame_bytes};
    uncommitted_bytes_ += frame_bytes;
    effects_.results.push_back(
        {*proposal, ProposalAccepted{header.first_index, header.term, header.base_offset,
                                     header.append_time}});
  }
  const bool changes_members = configuration.has_value();
  if (changes_members || !leadership_->followers.empty()) {
    recent_.Push(entry);
  } else {
    recent_.Clear();
  }
  WriteEntry(std::move(entry), std::move(configuration));
  if (changes_members) RefreshFollowers(header.first_index);
  return header.first_index;
}

void Core::WriteEntry(Entry entry, std::optional<Configuration> configuration) {
  const EntryHeader header = entry.header;
  DiskOperation& operation = DiskOperationFor(header.frame_bytes());
  operation.write.entries.push_back(std::move(entry));
  outstanding_.back().last_index = header.last_index;
  const bool configured = configuration.has_value();
  // Nobody begins a second change before the first is committed, so the second proves it.
  const auto& before = log_.configurations().uncommitted;
  const Index proven = configured && before ? before->index : Index{};
  log_.Append(header, std::move(configuration));
  if (proven > Index{} && !leadership_) CommitThrough(proven);
  if (configured) {
    operation.write.configurations = log_.configurations();
    configurations_changed_ = false;
  }
}

// What earlier operations say about the entries that go is void, and so is what was durable of
// them: a completion must not count for what takes their place (trap 18).
void Core::TruncateFrom(Index from) {
  DiskOperation* operation = effects_.disk.empty() ? nullptr : &effects_.disk.back();
  const bool joins = operation != nullptr && operation->term == hard_state_.term &&
                     operation->write.entries.empty() && !operation->write.truncate_from &&
                     !operation->install;
  if (!joins) operation = &NewDiskOperation();
  operation->write.truncate_from = from;
  const bool had_uncommitted = log_.configurations().uncommitted.has_value();
  log_.Truncate(from);
  if (had_uncommitted && !log_.configurations().uncommitted) {
    operation->write.configurations = log_.configurations();
    configurations_changed_ = false;
  }
  proven_ = std::min(proven_, from - 1);
  if (Planted(Defect::kCompletionWithoutTerm)) return;
  durable_index_ = std::min(durable_index_, from - 1);
  for (OutstandingWrite& write : outstanding_) {
    if (write.last_index) write.last_index = std::min(*write.last_index, from - 1);
  }
}

void Core::WriteHardState() {
  NewDiskOperation().write.hard_state = hard_state_;
  outstanding_.back().hard_state = true;
}

bool Core::HardStateIsDurable() const {
  return std::none_of(outstanding_.begin(), outstanding_.end(),
                      [](const OutstandingWrite& write) { return write.hard_state; });
}

// A completion is believed for the very operation that it names, once, and only when all operations
// before it are durable too.
void Core::On(const DiskDone& done) {
  const auto write =
      std::find_if(outstanding_.begin(), outstanding_.end(), [&](const OutstandingWrite& w) {
        return w.sequence == done.sequence &&
               (w.term == done.term || Planted(Defect::kCompletionOfAnyOperation));
      });
  if (write == outstanding_.end() || write->sequence > taken_through_) return;
  write->done = true;
  while (!halted_ && !outstanding_.empty() && outstanding_.front().done) {
    const OutstandingWrite durable = outstanding_.front();
    outstanding_.pop_front();
    ApplyDurable(durable);
  }
}

void Core::ApplyDurable(const OutstandingWrite& write) {
  if (write.last_index) {
    durable_index_ = std::max(durable_index_, std::min(*write.last_index, log_.last_index()));
  }
  ReleaseWaiting(write.sequence);
  if (role_ == Role::kCandidate && write.hard_state && write.term == hard_state_.term) {
    return CountOwnVote();
  }
  if (leadership_) {
    if (write.last_index && !Planted(Defect::kOwnDiskCommitsNothing)) AdvanceCommit();
    return;
  }
  if (role_ != Role::kFollower || leader_.empty()) return;
  if (write.install && HardStateIsDurable()) return Send(leader_, InstallReply{Report()});
  if (acknowledgement_due_) Acknowledge();
}

// A vote given in a term that has passed is no longer worth sending.
void Core::ReleaseWaiting(DiskSequence through) {
  while (!waiting_.empty() && waiting_.front().sequence <= through) {
    Message message = std::move(waiting_.front().message);
    waiting_.pop_front();
    if (message.term == hard_state_.term) effects_.messages.push_back(std::move(message));
  }
}

void Core::On(const DiskFailed& /*failed*/) {
  if (Planted(Defect::kFailedDiskAcknowledges)) {
    while (!outstanding_.empty()) {
      const OutstandingWrite write = outstanding_.front();
      outstanding_.pop_front();
      ApplyDurable(write);
    }
    return;
  }
  // Whoever takes over need not wait for the silence.
  if (leadership_) {
    if (const auto successor = BestSuccessor()) Send(*successor, TimeoutNow{});
  }
  Halt(Reason::DISK_FAILED);
}

void Core::On(const DiskSuspect& /*suspect*/) { Halt(Reason::DATA_LOSS); }

// With nobody to hand over to, a sole voter leads on.
void Core::On(const DiskSlow& slow) {
  disk_slow_ = slow.slow;
  if (Planted(Defect::kSlowDiskLeadsOn)) return;
  if (!disk_slow_ || !leadership_ || IsSoleVoter(log_.configuration(), options_.self)) return;
  On(Transfer{});
  if (!leadership_->transfer_to) BecomeFollower(hard_state_.term, {});
}

void Core::On(const Stop& /*stop*/) { Halt(Reason::SHUTTING_DOWN); }

// What was handed to the disk may be found there after a restart, so every pending proposal is
// unknown. What was not handed over never will be.
void Core::Halt(Reason reason) {
  halted_ = reason;
  GiveUpOnPending(/*all=*/true);
  outstanding_.clear();
  waiting_.clear();
  effects_.disk.clear();
  staging_.reset();
  BecomeFollower(hard_state_.term, {});
}

}  // namespace varve::raft
