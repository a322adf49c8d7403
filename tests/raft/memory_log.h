// MemoryLog: what the disk of a replica under test holds: entries, hard state, configurations.
#ifndef VARVE_TESTS_RAFT_MEMORY_LOG_H_
#define VARVE_TESTS_RAFT_MEMORY_LOG_H_

#include <memory>
#include <vector>

#include "raft/core/core.h"

namespace varve::raft {

class MemoryLog {
 public:
  // An empty log that starts after `index`, all of it committed; of term 1, or 0 without index.
  MemoryLog(Configuration configuration, Index index);

  // `files` are those of an operation that installs.
  void Apply(const DiskOperation& operation, const MemoryLog* files);
  // From `from` on, at most `max_bytes` but at least one; empty when `from` is not here.
  [[nodiscard]] std::vector<Entry> Read(Index from, size_t max_bytes) const;
  // The log starts after `index`, which it has.
  void Compact(Index index);
  // The log up to `through`, which is committed, as files for an install.
  [[nodiscard]] MemoryLog FilesThrough(Index through) const;
  [[nodiscard]] InstallPoint point() const;
  // What a core that starts on it is told.
  [[nodiscard]] CoreState State() const;
  [[nodiscard]] const LogStart& start() const { return start_; }
  [[nodiscard]] Index last_index() const { return start_.index - 1 + entries_.size(); }
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  [[nodiscard]] LogEnd EndBefore(Index index) const;

  LogStart start_;
  WallTime start_time_;
  std::vector<Entry> entries_;  // entries_[i] has index start_.index + i
  HardState hard_state_;
  Index commit_index_;
  Configurations configurations_;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_MEMORY_LOG_H_
