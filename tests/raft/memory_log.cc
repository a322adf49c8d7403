#include "tests/raft/memory_log.h"

#include <algorithm>
#include <utility>

#include "common/check.h"

namespace varve::raft {

MemoryLog::MemoryLog(Configuration configuration, Index index) : commit_index_(index) {
  const Term term{index > Index{0} ? 1U : 0U};
  start_ = {index + 1, Offset{0}, term};
  hard_state_.term = term;
  configurations_.committed = {Index{0}, std::move(configuration)};
}

void MemoryLog::Apply(const DiskOperation& operation, const MemoryLog* files) {
  const LogWrite& write = operation.write;
  if (operation.install) {
    VARVE_CHECK(files != nullptr && files->last_index() == operation.install->end.last_index);
    start_ = files->start_;
    start_time_ = files->start_time_;
    entries_ = files->entries_;
    commit_index_ = files->last_index();
  }
  if (write.truncate_from) entries_.resize(*write.truncate_from - start_.index);
  for (const Entry& entry : write.entries) {
    VARVE_CHECK(entry.header.first_index == last_index() + 1);
    entries_.push_back(entry);
  }
  if (write.hard_state) hard_state_ = *write.hard_state;
  if (write.configurations) configurations_ = *write.configurations;
  commit_index_ = std::max(commit_index_, std::min(write.commit_index, last_index()));
}

std::vector<Entry> MemoryLog::Read(Index from, size_t max_bytes) const {
  std::vector<Entry> found;
  if (from < start_.index) return found;
  size_t bytes = 0;
  for (size_t at = from - start_.index; at < entries_.size(); ++at) {
    bytes += entries_[at].header.frame_bytes();
    if (!found.empty() && bytes > max_bytes) break;
    found.push_back(entries_[at]);
  }
  return found;
}

void MemoryLog::Compact(Index index) {
  if (index < start_.index) return;
  const LogEnd last_gone = EndBefore(index + 1);
  entries_.erase(entries_.begin(),
                 entries_.begin() + static_cast<std::ptrdiff_t>(index - start_.index + 1));
  start_ = {index + 1, last_gone.next_offset, last_gone.last_term};
  start_time_ = last_gone.append_time;
  commit_index_ = std::max(commit_index_, index);
}

MemoryLog MemoryLog::FilesThrough(Index through) const {
  MemoryLog files = *this;
  files.entries_.resize(through + 1 - start_.index);
  files.commit_index_ = through;
  if (files.configurations_.uncommitted) {
    if (files.configurations_.uncommitted->index <= through) {
      files.configurations_.committed = *files.configurations_.uncommitted;
    }
    files.configurations_.uncommitted.reset();
  }
  return files;
}

InstallPoint MemoryLog::point() const {
  const CoreState state = State();
  return {state.start, state.end, state.configurations.committed, state.epochs, Index{}};
}

LogEnd MemoryLog::EndBefore(Index index) const {
  if (index <= start_.index) {
    return {start_.index - 1, start_.previous_term, start_.offset, start_time_};
  }
  const EntryHeader& header = entries_[index - start_.index - 1].header;
  return {header.last_index, header.term, header.next_offset(), header.append_time};
}

CoreState MemoryLog::State() const {
  CoreState state;
  state.hard_state = hard_state_;
  state.start = start_;
  state.end = EndBefore(last_index() + 1);
  state.commit_index = commit_index_;
  state.configurations = configurations_;
  for (Index index = commit_index_; index <= last_index(); ++index) {
    state.ends.push_back(EndBefore(index + 1));
  }
  for (const Entry& entry : entries_) {
    const EntryHeader& header = entry.header;
    if (!state.epochs.empty() && state.epochs.back().term == header.term) continue;
    state.epochs.push_back({header.term, header.first_index, header.base_offset});
  }
  return state;
}

}  // namespace varve::raft
