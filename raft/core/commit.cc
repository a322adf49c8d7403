// The commit rule.
#include <algorithm>
#include <utility>

#include "raft/core/core.h"
#include "raft/core/quorum.h"

namespace varve::raft {

// A configuration acts as soon as it is in the log.
const Configuration& Core::ActiveConfiguration() const {
  return configurations_.uncommitted ? configurations_.uncommitted->configuration
                                     : configurations_.committed.configuration;
}

// Never beyond the own end: a leader exposes nothing that it has not appended itself.
void Core::AdvanceCommit() {
  const Index majority = CommittableIndex(ActiveConfiguration(), durable_, barrier_index_);
  const Index index = std::min(majority, end_.last_index);
  if (index > commit_index_) CommitThrough(index);
}

void Core::CommitThrough(Index index) {
  commit_index_ = index;
  effects_.committed = index;
  while (!uncommitted_.empty() && uncommitted_.front().index <= index) {
    const UncommittedEntry& entry = uncommitted_.front();
    high_watermark_ = entry.next_offset;
    if (entry.proposal) {
      uncommitted_bytes_ -= entry.frame_bytes;
      effects_.results.push_back(
          {*entry.proposal, ProposalCommitted{entry.index, entry.base_offset, entry.append_time}});
    }
    uncommitted_.pop_front();
  }
  if (configurations_.uncommitted && configurations_.uncommitted->index <= index) {
    configurations_.committed = *std::exchange(configurations_.uncommitted, std::nullopt);
    configurations_changed_ = true;
  }
  if (!std::exchange(confirmed_, true)) effects_.leadership_confirmed = true;
}

}  // namespace varve::raft
