// DirtyBudget: bytes that the journal has accepted and segments do not hold yet.
#ifndef VARVE_STORAGE_DIRTY_BUDGET_H_
#define VARVE_STORAGE_DIRTY_BUDGET_H_

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/executor.h"

namespace varve::storage {

// Thread-safe. Waiters are called once each when room was freed, from the thread that freed it,
// with no lock held.
class DirtyBudget {
 public:
  explicit DirtyBudget(size_t limit) : limit_(limit) {}

  // A request larger than the limit is granted when nothing is in use.
  bool TryReserve(size_t bytes, Task when_room) {
    std::lock_guard lock(mutex_);
    if (used_ + bytes <= limit_ || used_ == 0) {
      used_ += bytes;
      return true;
    }
    if (when_room) waiters_.push_back(std::move(when_room));
    return false;
  }
  // For what must not wait: hard state and zero-width entries.
  void Charge(size_t bytes) {
    std::lock_guard lock(mutex_);
    used_ += bytes;
  }
  void Release(size_t bytes) {
    std::vector<Task> waiters;
    {
      std::lock_guard lock(mutex_);
      VARVE_CHECK(bytes <= used_, "released ", bytes, " of ", used_, " dirty bytes");
      used_ -= bytes;
      if (used_ < limit_) waiters = std::exchange(waiters_, {});
    }
    for (Task& wake : waiters) wake();
  }
  [[nodiscard]] size_t used() const {
    std::lock_guard lock(mutex_);
    return used_;
  }

 private:
  const size_t limit_;
  mutable std::mutex mutex_;
  size_t used_ = 0;
  std::vector<Task> waiters_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_DIRTY_BUDGET_H_
