#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "common/check.h"
#include "common/executor.h"

namespace varve {
namespace {

thread_local const Executor* current_executor = nullptr;

// The thread takes all posted tasks at once and runs them without the lock, so that a poster seldom
// meets it; timers are taken one by one, so that Cancel can stop each until it begins.
class Worker final : public Executor {
 public:
  Worker(const std::string& name, const Clock& clock) : clock_(clock), thread_([this] { Run(); }) {
    pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
  }
  ~Worker() override {
    VARVE_CHECK(!InExecutor(), "an executor is destroyed by its own task");
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    // Destroying a task may run code that posts here or cancels: hence without the lock.
    std::vector<Task> tasks;
    std::map<TimerKey, Task> timers;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
      timers.swap(timers_);
      timer_times_.clear();
    }
  }

  void Post(Task task) override {
    bool wake = false;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      posted_.push_back(std::move(task));
      wake = std::exchange(asleep_, false);
    }
    if (wake) wake_.notify_one();
  }

  TimerId RunAt(MonoTime when, Task task) override {
    bool wake = false;
    TimerId id;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return TimerId{};
      id = ++last_timer_;
      const auto at = timers_.emplace(TimerKey{when, id}, std::move(task)).first;
      timer_times_.emplace(id, when);
      // Only a timer that is now the first shortens the sleep.
      if (at == timers_.begin()) wake = std::exchange(asleep_, false);
    }
    if (wake) wake_.notify_one();
    return id;
  }

  bool Cancel(TimerId timer) override {
    std::map<TimerKey, Task>::node_type dropped;  // destroyed after the lock is released
    const std::lock_guard lock(mutex_);
    const auto at = timer_times_.find(timer);
    if (at == timer_times_.end()) return false;
    dropped = timers_.extract(TimerKey{at->second, timer});
    timer_times_.erase(at);
    return true;
  }

  [[nodiscard]] bool InExecutor() const override { return current_executor == this; }

 private:
  using TimerKey = std::pair<MonoTime, TimerId>;

  void Run() {
    current_executor = this;
    std::vector<Task> batch;
    while (WaitForWork()) {
      RunDueTimers();
      {
        const std::lock_guard lock(mutex_);
        batch.swap(posted_);
      }
      for (Task& task : batch) {
        if (stopping_.load(std::memory_order_relaxed)) break;
        task();
        task = nullptr;  // what a task holds goes before the next one runs
      }
      batch.clear();
    }
    current_executor = nullptr;
  }

  // False when the executor is to stop.
  bool WaitForWork() {
    std::unique_lock lock(mutex_);
    while (!stopping_ && posted_.empty()) {
      if (timers_.empty()) {
        asleep_ = true;
        wake_.wait(lock);
      } else {
        const Nanos wait = timers_.begin()->first.first - clock_.Now();
        if (wait <= 0) break;
        asleep_ = true;
        wake_.wait_for(lock, std::chrono::nanoseconds(wait));
      }
      asleep_ = false;
    }
    return !stopping_;
  }

  // Runs the timers due now; those that they create wait for the next round, behind posted tasks.
  void RunDueTimers() {
    const MonoTime now = clock_.Now();
    std::optional<TimerId> newest;
    while (true) {
      Task task;
      {
        const std::lock_guard lock(mutex_);
        if (!newest) newest = last_timer_;
        if (stopping_ || timers_.empty()) return;
        const auto first = timers_.begin();
        if (first->first.first > now || first->first.second > *newest) return;
        task = std::move(first->second);
        timer_times_.erase(first->first.second);
        timers_.erase(first);
      }
      task();
    }
  }

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<bool> stopping_ = false;  // changes under the lock
  bool asleep_ = false;                 // the thread waits on wake_ and nobody has woken it yet
  std::vector<Task> posted_;
  TimerId last_timer_;
  std::map<TimerKey, Task> timers_;
  std::map<TimerId, MonoTime> timer_times_;
  std::thread thread_;  // last: it uses everything above
};

}  // namespace

std::unique_ptr<Executor> ThreadExecutor(std::string name, const Clock& clock) {
  return std::make_unique<Worker>(name, clock);
}

}  // namespace varve
