// The core's side of its disk: operations go out in order, completions come back, failure is for
// good.
#include <algorithm>
#include <utility>

#include "raft/core/core.h"

namespace varve::raft {

DiskOperation& Core::NewDiskOperation() {
  ++last_sequence_;
  DiskOperation& operation = effects_.disk.emplace_back();
  operation.sequence = last_sequence_;
  operation.term = hard_state_.term;
  if (std::exchange(configurations_changed_, false)) {
    operation.write.configurations = configurations_;
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

Index Core::Append(EntryKind kind, FrameBuffer payload, uint32_t records, WallTime now,
                   std::optional<ProposalId> proposal) {
  EntryHeader header;
  header.kind = kind;
  header.group = options_.group;
  header.first_index = header.last_index = end_.last_index + 1;
  header.term = hard_state_.term;
  header.base_offset = end_.next_offset;
  header.last_offset = end_.next_offset + (int64_t{records} - 1);
  header.append_time = std::max(end_.append_time, now);
  Entry entry = std::move(payload).Seal(header);
  const size_t frame_bytes = entry.header.frame_bytes();
  DiskOperationFor(frame_bytes).write.entries.push_back(std::move(entry));
  end_ = {header.last_index, header.term, header.next_offset(), header.append_time};
  uncommitted_.push_back({header.first_index, header.base_offset, header.next_offset(),
                          header.append_time, frame_bytes, proposal});
  if (proposal) {
    effects_.results.push_back(
        {*proposal, ProposalAccepted{header.first_index, header.term, header.base_offset,
                                     header.append_time}});
  }
  return header.first_index;
}

void Core::WriteHardState() { NewDiskOperation().write.hard_state = hard_state_; }

// A completion is believed for the very operation that it names, once, and only when all operations
// before it are durable too: a suffix that was replaced must not be taken for its successor.
void Core::On(const DiskDone& done) {
  const auto write =
      std::find_if(outstanding_.begin(), outstanding_.end(), [&](const OutstandingWrite& w) {
        return w.sequence == done.sequence && w.term == done.term;
      });
  if (write == outstanding_.end()) return;
  write->done = true;
  while (!outstanding_.empty() && outstanding_.front().done) {
    const OutstandingWrite durable = outstanding_.front();
    outstanding_.pop_front();
    ApplyDurable(durable);
  }
}

void Core::ApplyDurable(const OutstandingWrite& write) {
  if (write.last_index) durable_index_ = *write.last_index;
  if (role_ == Role::kCandidate && write.hard_state && write.term == hard_state_.term) {
    CountOwnVote();
  } else if (role_ == Role::kLeader) {
    durable_[options_.self] = durable_index_;
    AdvanceCommit();
  }
}

// What was handed to the disk may be found there after a restart, so every pending proposal is
// unknown. What was not handed over never will be.
void Core::Halt(Reason reason) {
  halted_ = reason;
  for (const UncommittedEntry& entry : uncommitted_) {
    if (entry.proposal) effects_.results.push_back({*entry.proposal, ProposalUnknown{}});
  }
  uncommitted_.clear();
  uncommitted_bytes_ = 0;
  outstanding_.clear();
  effects_.disk.clear();
  BecomeFollower();
}

}  // namespace varve::raft
