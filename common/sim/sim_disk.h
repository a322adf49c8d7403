// The state of a SimFileSystem, shared with its open files: names, contents, faults, counters.
#ifndef VARVE_COMMON_SIM_SIM_DISK_H_
#define VARVE_COMMON_SIM_SIM_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_names.h"

namespace varve {

class SimDisk {
 public:
  SimDisk(SimScheduler* scheduler, const SimFileSystemOptions& options)
      : options_(options),
        scheduler_(scheduler),
        random_(SeededRandom(options.seed)),
        capacity_(options.capacity) {}

  // Every operation begins with it: an error when the disk is dead, counts what mutates.
  absl::Status Admit(std::string_view call, std::string_view path, bool mutates);
  // Whether a fault of that kind hits this call.
  bool Strikes(SimFault::Kind kind, std::string_view path) { return Struck(kind, path) != nullptr; }
  // After what the call does: takes the time that a stalled disk takes.
  void StallIfStruck(std::string_view path);
  // Every admitted operation ends with it: tells observer and scheduler, passes `result` on.
  absl::Status Report(SimFileOp op, absl::Status result);

  // Open files and locks of earlier epochs are dead.
  [[nodiscard]] uint64_t epoch() const { return epoch_; }
  void Restart();
  // The file system goes away; files that are still open fail.
  void Close();
  void PowerLoss(Random& random);

  void FailAfter(uint64_t ops) { dies_at_ = ops_ + ops; }
  [[nodiscard]] uint64_t ops() const { return ops_; }
  [[nodiscard]] bool dead() const { return ops_ >= dies_at_; }

  // How many of `wanted` more bytes the disk has room for.
  [[nodiscard]] uint64_t Room(const SimNode& node, uint64_t wanted) const;
  // Calls `change`, which may change the size of `node`, and keeps used() true.
  template <class Change>
  void Resizing(SimNode& node, Change change) {
    const uint64_t before = node.content.written().size();
    change();
    if (node.linked) used_ += node.content.written().size() - before;
  }
  void Release(const SimNode& node);  // before it loses its name
  [[nodiscard]] uint64_t used() const { return used_; }
  [[nodiscard]] uint64_t capacity() const { return capacity_; }
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }

  // False when the lock is held.
  bool TakeLock(uint64_t node) { return locks_.emplace(node, epoch_).second; }
  void ReleaseLock(uint64_t node, uint64_t epoch) {
    if (epoch == epoch_) locks_.erase(node);
  }

  SimNames& names() { return names_; }
  Random& random() { return *random_; }
  void AddFault(SimFault fault);
  void ClearFaults() { faults_.clear(); }
  void set_observer(SimFileSystem::Observer observer) { observer_ = std::move(observer); }

 private:
  const SimFault* Struck(SimFault::Kind kind, std::string_view path);

  const SimFileSystemOptions options_;
  SimScheduler* scheduler_;
  const std::unique_ptr<Random> random_;
  SimNames names_;
  std::vector<SimFault> faults_;
  SimFileSystem::Observer observer_;
  std::map<uint64_t, uint64_t> locks_;  // node to epoch
  uint64_t capacity_;
  uint64_t used_ = 0;
  uint64_t ops_ = 0;
  uint64_t dies_at_ = UINT64_MAX;
  uint64_t epoch_ = 1;
  bool closed_ = false;
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_DISK_H_
