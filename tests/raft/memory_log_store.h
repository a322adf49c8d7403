// A log in memory whose writes become durable in order, each after a seeded delay or when told.
#ifndef VARVE_TESTS_RAFT_MEMORY_LOG_STORE_H_
#define VARVE_TESTS_RAFT_MEMORY_LOG_STORE_H_

#include <deque>
#include <optional>
#include <vector>

#include "common/sim/sim_scheduler.h"
#include "raft/core/core.h"
#include "raft/log_store.h"

namespace varve::raft {

class MemoryLogStore final : public LogStore {
 public:
  // `max_delay` 0: nothing completes before Release.
  // `entries`: those of the log behind the bootstrap entry, as a store before this one had them.
  MemoryLogStore(SimScheduler& scheduler, Executor& shard, Nanos max_delay, CoreState durable,
                 std::vector<Entry> entries = {});

  [[nodiscard]] LogEnd end() const override { return durable_.end; }
  [[nodiscard]] LogStart start() const override { return durable_.start; }
  [[nodiscard]] HardState hard_state() const override { return durable_.hard_state; }
  [[nodiscard]] Index commit_index() const override { return durable_.commit_index; }
  [[nodiscard]] Configurations configurations() const override { return durable_.configurations; }
  [[nodiscard]] std::vector<LogEnd> ends() const override { return durable_.ends; }
  [[nodiscard]] std::vector<EpochStart> epochs() const override { return durable_.epochs; }
  void Write(LogWrite write, Done done) override;
  void Install(const InstallPoint& point, LogWrite write, Done done) override;
  // Of what is durable; not the bootstrap entry.
  void Read(Index from, size_t max_bytes, Entries done) override;

  // Completes what waits, in tasks of the shard.
  void Release();
  // From now on every write fails with this.
  void Fail(absl::Status failure) { failure_ = std::move(failure); }

  // What a restart would find: all writes that completed.
  [[nodiscard]] const CoreState& durable() const { return durable_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // Number of entries of each write that was asked for.
  [[nodiscard]] const std::vector<size_t>& writes() const { return writes_; }

 private:
  struct Pending {
    std::optional<InstallPoint> install;
    LogWrite write;
    Done done;
  };
  void Submit(Pending pending);
  void CompleteOldest();
  void Replace(const InstallPoint& point);
  void Apply(const LogWrite& write);
  void Truncate(Index from);

  SimScheduler& scheduler_;
  Executor& shard_;
  const Nanos max_delay_;
  CoreState durable_;
  std::vector<Entry> entries_;  // durable ones, after the bootstrap entry
  std::vector<size_t> writes_;
  std::deque<Pending> pending_;
  MonoTime last_completion_;
  absl::Status failure_;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_MEMORY_LOG_STORE_H_
