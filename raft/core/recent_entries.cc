#include "raft/core/recent_entries.h"

#include <utility>

namespace varve::raft {

void RecentEntries::Push(Entry entry) {
  bytes_ += entry.header.frame_bytes();
  entries_.push_back(std::move(entry));
  while (bytes_ > max_bytes_ && entries_.size() > 1) DropFront();
}

std::vector<Entry> RecentEntries::From(Index from, size_t max_bytes) const {
  std::vector<Entry> found;
  if (entries_.empty() || from < entries_.front().header.first_index) return found;
  size_t at = from - entries_.front().header.first_index;
  size_t bytes = 0;
  for (; at < entries_.size(); ++at) {
    bytes += entries_[at].header.frame_bytes();
    if (!found.empty() && bytes > max_bytes) break;
    found.push_back(entries_[at]);
  }
  return found;
}

void RecentEntries::DropThrough(Index index) {
  while (!entries_.empty() && entries_.front().header.last_index <= index) DropFront();
}

void RecentEntries::Clear() {
  entries_.clear();
  bytes_ = 0;
}

void RecentEntries::DropFront() {
  bytes_ -= entries_.front().header.frame_bytes();
  entries_.pop_front();
}

}  // namespace varve::raft
