#include "client/core/memory_budget.h"

namespace varve::client {

bool MemoryBudget::TryTake(size_t bytes) {
  const size_t before = used_.fetch_add(bytes);
  if (before == 0 || before + bytes <= limit_) return true;
  Release(bytes);
  return false;
}

bool MemoryBudget::Take(size_t bytes, std::chrono::milliseconds timeout) {
  if (TryTake(bytes)) return true;
  std::unique_lock lock(mutex_);
  ++waiting_;  // before the next attempt, so that no release goes unnoticed
  bool taken = false;
  changed_.wait_for(lock, timeout, [&] {
    if (closed_) return true;
    const size_t before = used_.fetch_add(bytes);
    taken = before == 0 || before + bytes <= limit_;
    if (!taken) used_.fetch_sub(bytes);
    return taken;
  });
  --waiting_;
  return taken;
}

void MemoryBudget::Release(size_t bytes) {
  used_.fetch_sub(bytes);
  if (waiting_ == 0) return;
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void MemoryBudget::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace varve::client
