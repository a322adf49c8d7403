// SimBroker: a whole broker in one thread: simulated executors, clock, disk and
// StateStore.
#ifndef VARVE_TESTS_SIM_SIM_BROKER_H_
#define VARVE_TESTS_SIM_SIM_BROKER_H_

#include <memory>
#include <string>
#include <vector>

#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "server/broker.h"
#include "tests/sim/sim_options.h"

namespace varve::sim {

enum class CrashKind : uint8_t {
  kProcess,  // what was written stays, synced or not
  kPower,    // what was not synced is kept, lost or torn
};

// Owns the machine: scheduler, disk and the disk of the folds live as long as
// it; the broker and its executors as long as one life of the process. Driven
// from outside events only.
class SimBroker {
 public:
  explicit SimBroker(const SimOptions& options);
  ~SimBroker();

  // Opens the data directory and runs events until the broker is ready.
  absl::Status Start();
  // The process ends now. Sessions must have been closed; whatever else was
  // under way is dropped.
  void Crash(CrashKind kind);
  // As SIGTERM: answers what is under way and seals; End follows.
  absl::Status Stop();
  // The stopped process exits. Sessions must have been closed.
  void End();
  // What the folds kept on disk is gone; only while the broker is down.
  void LoseFolds();

  [[nodiscard]] bool running() const { return broker_ != nullptr; }
  [[nodiscard]] server::Broker& broker() { return *broker_; }
  [[nodiscard]] server::BrokerService& service() { return broker_->service(); }
  [[nodiscard]] SimScheduler& scheduler() { return scheduler_; }
  [[nodiscard]] SimFileSystem& disk() { return disk_; }
  // Hash of the content of the metadata partition's fold.
  absl::StatusOr<uint64_t> FoldHash();

 private:
  void Kill();

  const SimOptions options_;
  SimScheduler scheduler_;
  SimFileSystem disk_;
  std::unique_ptr<FileSystem> files_;  // the disk, seen through a planted defect
  std::unique_ptr<Random> random_;     // of the broker: ids
  std::unique_ptr<Random> crash_random_;
  std::shared_ptr<storage::MemoryStateDisk> fold_disk_;
  std::vector<std::unique_ptr<Executor>> executors_;
  std::unique_ptr<server::Broker> broker_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_SIM_BROKER_H_
