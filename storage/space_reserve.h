// SpaceReserve: room on the disk, held back in a file for what must still be written when the disk
// is full.
#ifndef VARVE_STORAGE_SPACE_RESERVE_H_
#define VARVE_STORAGE_SPACE_RESERVE_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "storage/space_class.h"

namespace varve::storage {

// The file has room for everything that may be under way from the journal to segments (the dirty
// budget, and a block for each replica), and beyond that for two more classes, the last part for
// kVital alone. So what was admitted fits, whatever else fills the disk.
//
// A write to a segment that finds no room takes some of the file (Draw) and tries again. From then
// on user data is refused until the file is whole again, which it becomes by itself when space
// returns.
//
// Thread-safe. Open, ReleaseAll and Draw block. What the file holds means nothing; a power loss may
// shorten it.
class SpaceReserve : public std::enable_shared_from_this<SpaceReserve> {
 public:
  struct Sizes {
    uint64_t dirty_bytes = 0;    // most that the dirty budget admits
    uint64_t reserve_bytes = 0;  // beyond that, a quarter of it for kVital; 0: no reserve at all
  };
  // `executor` fills the file; it must outlive this, or Detach come first.
  SpaceReserve(FileSystem& files, std::string path, Sizes sizes, Executor& executor,
               const Clock& clock);

  // Takes what a former process left.
  absl::Status Open();
  // Gives all of it to the disk: recovery comes before everything else.
  absl::Status ReleaseAll();
  // From now on the file is filled up, now and whenever it is not whole.
  void Start(uint64_t replicas);
  void SetReplicas(uint64_t replicas);
  // Nothing is posted any more.
  void Detach();

  // OK when at least one more byte of the disk may be free; NO_SPACE when nothing is left.
  absl::Status Draw(uint64_t bytes);
  // Bytes that a frame, given to the journal, will take in segments; until they are there.
  void Charge(uint64_t bytes);
  void Return(uint64_t bytes);

  // NO_SPACE when new work of this class is to be refused. `dirty_bytes`: used of the dirty budget.
  [[nodiscard]] absl::Status Admit(SpaceClass wanted, uint64_t dirty_bytes) const;
  // Hints and other things that can wait do so meanwhile.
  [[nodiscard]] bool is_short() const { return is_short_.load(); }
  [[nodiscard]] SpaceStats stats() const;

 private:
  [[nodiscard]] uint64_t Target() const;
  void Fill();
  absl::Status Grow();
  void PostFill();
  void ArmRetry();

  FileSystem& files_;
  const std::string path_;
  const Sizes sizes_;
  Executor& executor_;
  const Clock& clock_;
  std::mutex file_mutex_;  // held over changes of the file; before mutex_
  std::unique_ptr<File> file_;
  mutable std::mutex mutex_;  // guards all below
  bool running_ = false;
  bool fill_posted_ = false;
  bool retry_armed_ = false;
  uint64_t replicas_ = 0;
  SpaceStats stats_;                    // but for is_short
  std::atomic<bool> is_short_ = false;  // every append asks
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SPACE_RESERVE_H_
