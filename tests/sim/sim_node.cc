#include "tests/sim/sim_node.h"

#include <optional>
#include <utility>

#include "common/error.h"

namespace varve::sim {

SimNode::SimNode(SimScheduler& scheduler, uint64_t seed, SimNodeOptions options)
    : scheduler_(scheduler),
      options_(options),
      random_(SeededRandom(seed)),
      disk_(&scheduler, SimFileSystemOptions{.seed = seed}),
      seen_disk_(disk_, options.lie) {}

Executor* SimNode::Make(const std::string& name) {
  executors_.push_back(scheduler_.NewExecutor(name));
  return executors_.back().get();
}

absl::Status SimNode::Start() {
  server::BrokerExecutors executors;
  for (uint32_t i = 0; i < options_.shards; ++i)
    executors.shards.push_back(Make(StrCat("shard", i)));
  executors.storage.journal = Make("journal");
  executors.storage.segments = Make("segments");
  executors.storage.sync = Make("sync");
  executors.storage.reader = Make("reader");
  executors.background = Make("background");
  server::BrokerOptions options;
  options.directory.path = "data";
  options.directory.node = NodeId(1);
  options.directory.journal.file_bytes = options_.journal_file_bytes;
  options.directory.journal.max_live_files = 4;
  options.directory.dirty_budget_bytes = options_.dirty_budget_bytes;
  options.directory.cache_bytes = options_.cache_bytes;
  options.directory.sync_interval = 200 * kMillisecond;
  auto broker = server::Broker::Open(seen_disk_, scheduler_.clock(), *random_,
                                     storage::OpenMemoryStateStore(state_disk_), std::move(options),
                                     std::move(executors));
  if (!broker.ok()) {
    executors_.clear();
    return broker.status();
  }
  broker_ = std::move(*broker);
  std::optional<absl::Status> ready;
  broker_->Start([&](absl::Status status) { ready = std::move(status); });
  if (!scheduler_.RunUntil([&] { return ready.has_value(); }, 60 * kSecond))
    return MakeError(Reason::INTERNAL, "the broker was not ready within a minute");
  return *ready;
}

absl::Status SimNode::Stop() {
  std::optional<absl::Status> stopped;
  broker_->Stop([&](absl::Status status) { stopped = std::move(status); });
  const bool in_time = scheduler_.RunUntil([&] { return stopped.has_value(); }, 60 * kSecond);
  Destroy();
  return in_time ? *stopped
                 : MakeError(Reason::INTERNAL, "the broker did not stop within a minute");
}

// A crash: the broker goes with everything half done; tasks that wait are never run.
void SimNode::Destroy() {
  broker_.reset();
  executors_.clear();
}

void SimNode::CrashProcess() {
  Destroy();
  disk_.ProcessCrash();
}

void SimNode::CrashPower() {
  Destroy();
  disk_.PowerLoss(*random_);
}

}  // namespace varve::sim
