// DiskWatch: notices a disk that does not answer, while it does not.
#ifndef VARVE_STORAGE_DISK_WATCH_H_
#define VARVE_STORAGE_DISK_WATCH_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"
#include "common/executor.h"

namespace varve::storage {

struct DiskEvent {
  enum class Kind : uint8_t {
    kSlow,  // a write or sync of the journal is under way for too long
    kOk,    // it came back
  };
  Kind kind = Kind::kOk;
  std::string directory;  // path of the data directory
  Nanos duration = 0;     // of the write or sync so far
};

struct DiskWatchStats {
  uint64_t stalls = 0;
  bool slow = false;
  Nanos stalled = 0;  // time that the stalls lasted, the present one included
};

// The one who does the I/O says when it begins and ends; a timer on an executor that no disk can
// block looks at it. At most one timer is armed, and none once nothing was under way.
//
// Thread-safe. Begin and End alternate, on one thread at a time.
class DiskWatch : public std::enable_shared_from_this<DiskWatch> {
 public:
  // Runs on the executor, in the order of what happened: a kSlow, then its kOk.
  using Listener = absl::AnyInvocable<void(const DiskEvent&)>;

  // Without an executor nothing is watched. It must outlive this, or Detach come first.
  DiskWatch(std::string directory, Executor* executor, const Clock& clock, Nanos stall_after);

  // Hears of a stall that is under way, too.
  void AddListener(Listener listener);
  void Begin();
  void End();
  // Nothing is posted any more.
  void Detach();
  [[nodiscard]] DiskWatchStats stats() const;

  // Begin and End around a block. `watch` may be null.
  class Scope {
   public:
    explicit Scope(DiskWatch* watch) : watch_(watch) {
      if (watch_ != nullptr) watch_->Begin();
    }
    ~Scope() {
      if (watch_ != nullptr) watch_->End();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    DiskWatch* const watch_;
  };

 private:
  void Arm(MonoTime when);
  void Look();
  void Report(DiskEvent::Kind kind);
  void Tell(const DiskEvent& event);

  const std::string directory_;
  const Clock& clock_;
  const Nanos stall_after_;
  std::vector<Listener> listeners_;  // of the executor
  mutable std::mutex mutex_;         // guards all below
  Executor* executor_;
  bool under_way_ = false;
  bool armed_ = false;
  MonoTime begun_;
  DiskWatchStats stats_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_DISK_WATCH_H_
