// A data directory as a crash left it, kept byte for byte for every released format, and what it
// must show when it is opened.
#ifndef VARVE_TESTS_STORAGE_GOLDEN_GOLDEN_DIRECTORY_H_
#define VARVE_TESTS_STORAGE_GOLDEN_GOLDEN_DIRECTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "common/compression.h"
#include "common/random.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "storage/data_directory.h"

namespace varve::storage {

// A directory "data" on a simulated disk, with everything on one thread. Blocks in virtual time.
// Failures are VARVE_CHECKs: both the maker and the test run a script that must succeed.
class GoldenHost {
 public:
  GoldenHost();
  ~GoldenHost();

  absl::Status Open();
  void Close();
  // Unsynced bytes go; the directory must be opened again.
  void PowerLoss();

  void Create(GroupId group, ReplicaEpoch epoch, bool bootstrap);
  void Remove(GroupId group);
  void Write(GroupId group, LogWrite write);
  [[nodiscard]] PartitionLog& log(GroupId group);
  [[nodiscard]] std::vector<Entry> ReadAll(GroupId group);
  // Identity, and every replica with every entry, as text.
  [[nodiscard]] std::string Describe();

  SimFileSystem& disk() { return disk_; }
  DataDirectory& directory() { return *directory_; }

 private:
  void Drop();
  void Wait(absl::AnyInvocable<bool()> until);

  SimScheduler scheduler_;
  SimFileSystem disk_;
  std::unique_ptr<Random> random_;
  std::vector<std::unique_ptr<Executor>> executors_;  // the shard is the last
  std::unique_ptr<DataDirectory> directory_;
  std::map<GroupId, std::unique_ptr<PartitionLog>> logs_;
};

// Runs the script whose outcome is kept; the host's disk then holds the directory.
void MakeGoldenDirectory(GoldenHost* host);

// A next data entry of a log, of one small batch.
Entry GoldenData(const PartitionLog& log, Codec codec, int records);

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_GOLDEN_GOLDEN_DIRECTORY_H_
