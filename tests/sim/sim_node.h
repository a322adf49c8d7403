// SimNode: a whole broker in one thread: simulated executors, clock, disk and state store.
#ifndef VARVE_TESTS_SIM_SIM_NODE_H_
#define VARVE_TESTS_SIM_SIM_NODE_H_

#include <memory>
#include <string>
#include <vector>

#include "common/random.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "server/broker.h"
#include "storage/state_store.h"
#include "tests/sim/lying_file_system.h"

namespace varve::sim {

struct SimNodeOptions {
  uint64_t journal_file_bytes = 256 << 10;
  size_t dirty_budget_bytes = 256 << 10;
  size_t cache_bytes = 64 << 10;
  uint32_t shards = 2;
  Lie lie = Lie::kNone;  // a planted defect of the disk
};

// Not thread-safe. The disk and the state store's disk survive crashes; everything else is built
// anew.
class SimNode {
 public:
  SimNode(SimScheduler& scheduler, uint64_t seed, SimNodeOptions options);
  ~SimNode() { Destroy(); }

  // Opens and starts the broker; runs the scheduler until it is ready. The error of the start, if
  // any.
  absl::Status Start();
  // Stops cleanly; afterwards nothing of the broker is left.
  absl::Status Stop();
  // The process dies: what was written stays with the operating system.
  void CrashProcess();
  // The machine dies: what was not synced is kept, lost or torn at random.
  void CrashPower();
  // Makes the fold be rebuilt at the next start. While stopped or crashed.
  void DeleteFold() { state_disk_ = storage::NewMemoryStateDisk(); }

  [[nodiscard]] bool up() const { return broker_ != nullptr; }
  [[nodiscard]] server::Broker& broker() { return *broker_; }
  [[nodiscard]] server::BrokerService& service() { return broker_->service(); }
  [[nodiscard]] SimFileSystem& disk() { return disk_; }
  [[nodiscard]] SimScheduler& scheduler() { return scheduler_; }

 private:
  Executor* Make(const std::string& name);
  void Destroy();

  SimScheduler& scheduler_;
  const SimNodeOptions options_;
  const std::unique_ptr<Random> random_;
  SimFileSystem disk_;
  LyingFileSystem seen_disk_;  // what the broker works on
  std::shared_ptr<storage::MemoryStateDisk> state_disk_ = storage::NewMemoryStateDisk();
  std::vector<std::unique_ptr<Executor>> executors_;
  std::unique_ptr<server::Broker> broker_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_SIM_NODE_H_
