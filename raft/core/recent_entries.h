// RecentEntries: the newest entries of a leader's log, for followers that keep up; others have
// theirs loaded. Shares the entries' bytes; at most `max_bytes` of frames, but always the newest
// entry. Not thread-safe.
#ifndef VARVE_RAFT_CORE_RECENT_ENTRIES_H_
#define VARVE_RAFT_CORE_RECENT_ENTRIES_H_

#include <vector>

#include "common/entry.h"
#include "raft/core/queue.h"

namespace varve::raft {

class RecentEntries {
 public:
  explicit RecentEntries(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Contiguous with the last one.
  void Push(Entry entry);
  // Those from `from` on, of at most `max_bytes` but at least one; empty when `from` is not here.
  [[nodiscard]] std::vector<Entry> From(Index from, size_t max_bytes) const;
  // Nobody needs them any more.
  void DropThrough(Index index);
  void Clear();
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] size_t size() const { return entries_.size(); }

 private:
  void DropFront();

  const size_t max_bytes_;
  Queue<Entry> entries_;
  size_t bytes_ = 0;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_RECENT_ENTRIES_H_
