#include "tests/raft/memory_log_store.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {

MemoryLogStore::MemoryLogStore(SimScheduler& scheduler, Executor& shard, Nanos max_delay,
                               CoreState durable, std::vector<Entry> entries)
    : scheduler_(scheduler),
      shard_(shard),
      max_delay_(max_delay),
      durable_(std::move(durable)),
      entries_(std::move(entries)),
      last_completion_(scheduler.Now()) {}

void MemoryLogStore::Write(LogWrite write, Done done) {
  Submit({std::nullopt, std::move(write), std::move(done)});
}

void MemoryLogStore::Install(const InstallPoint& point, LogWrite write, Done done) {
  Submit({point, std::move(write), std::move(done)});
}

void MemoryLogStore::Read(Index from, size_t max_bytes, Entries done) {
  std::vector<Entry> out;
  size_t bytes = 0;
  for (const Entry& entry : entries_) {
    if (entry.header.first_index < from) continue;
    if (entry.header.first_index != from + out.size()) break;  // `from` is not here
    bytes += entry.frame.size();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(entry);
  }
  shard_.Post([out = std::move(out), done = std::move(done)]() mutable {
    if (out.empty()) return done(absl::OutOfRangeError("not in the log"));
    done(std::move(out));
  });
}

void MemoryLogStore::Submit(Pending pending) {
  writes_.push_back(pending.write.entries.size());
  pending_.push_back(std::move(pending));
  if (max_delay_ == 0) return;
  const auto delay = static_cast<Nanos>(scheduler_.random().Below(max_delay_));
  last_completion_ = std::max(last_completion_, scheduler_.Now() + delay);
  shard_.RunAt(last_completion_, [this] { CompleteOldest(); });
}

void MemoryLogStore::Release() {
  for (size_t n = pending_.size(); n > 0; --n) shard_.Post([this] { CompleteOldest(); });
}

void MemoryLogStore::CompleteOldest() {
  Pending oldest = std::move(pending_.front());
  pending_.pop_front();
  if (failure_.ok() && oldest.install) Replace(*oldest.install);
  if (failure_.ok()) Apply(oldest.write);
  oldest.done(failure_);
}

void MemoryLogStore::Replace(const InstallPoint& point) {
  entries_.clear();
  durable_.start = point.start;
  durable_.end = point.end;
  durable_.ends = {point.end};
  durable_.epochs = point.epochs;
  durable_.commit_index = point.end.last_index;
  durable_.configurations = {point.configuration, std::nullopt};
}

void MemoryLogStore::Apply(const LogWrite& write) {
  if (write.truncate_from) Truncate(*write.truncate_from);
  if (write.hard_state) durable_.hard_state = *write.hard_state;
  for (const Entry& entry : write.entries) {
    const EntryHeader& header = entry.header;
    VARVE_CHECK(header.first_index == durable_.end.last_index + 1 &&
                header.base_offset == durable_.end.next_offset);
    AppendTo(header, &durable_);
    entries_.push_back(entry);
  }
  durable_.commit_index =
      std::max(durable_.commit_index, std::min(write.commit_index, durable_.end.last_index));
  std::vector<LogEnd>& ends = durable_.ends;
  while (ends.size() > 1 && ends[1].last_index <= durable_.commit_index) ends.erase(ends.begin());
  if (write.configurations) durable_.configurations = *write.configurations;
}

void MemoryLogStore::Truncate(Index from) {
  VARVE_CHECK(from > durable_.commit_index && from <= durable_.end.last_index);
  std::erase_if(durable_.epochs, [from](const EpochStart& at) { return at.index >= from; });
  std::erase_if(durable_.ends, [from](const LogEnd& end) { return end.last_index >= from; });
  std::erase_if(entries_, [from](const Entry& entry) { return entry.header.first_index >= from; });
  durable_.end = durable_.ends.back();
}

}  // namespace varve::raft
