// MemoryBudget: what a producer may hold, in bytes.
#ifndef VARVE_CLIENT_CORE_MEMORY_BUDGET_H_
#define VARVE_CLIENT_CORE_MEMORY_BUDGET_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace varve::client {

// Thread-safe. Taking and giving back cost one atomic operation each while nobody waits.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t limit) : limit_(limit) {}

  // Takes `bytes` if they fit. A request above the limit fits an empty budget.
  bool TryTake(size_t bytes);
  // Waits until they fit; false when the time is over or the budget was closed.
  bool Take(size_t bytes, std::chrono::milliseconds timeout);
  void Release(size_t bytes);
  // Makes everyone give up who waits, now and later.
  void Close();
  [[nodiscard]] size_t used() const { return used_; }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
  std::atomic<int> waiting_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_MEMORY_BUDGET_H_
