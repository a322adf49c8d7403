// RequestContext: who asks, through which door, and until when. Every entry point takes one.
#ifndef VARVE_SERVER_SERVICE_REQUEST_CONTEXT_H_
#define VARVE_SERVER_SERVICE_REQUEST_CONTEXT_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"

namespace varve::server {

// Set by the door when the caller went away; what still works or waits for it looks here, or is
// told. Thread-safe.
class Cancellation {
 public:
  // Runs the tasks of Notify, on the calling thread.
  void Cancel() {
    std::vector<Task> tasks;
    {
      std::lock_guard lock(mutex_);
      cancelled_.store(true, std::memory_order_release);
      tasks = std::exchange(tasks_, {});
    }
    for (Task& task : tasks) task();
  }
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // Keeps `task` for Cancel; false, and the task dropped, when that was called already.
  [[nodiscard]] bool Notify(Task task) {
    std::lock_guard lock(mutex_);
    if (cancelled()) return false;
    tasks_.push_back(std::move(task));
    return true;
  }

 private:
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::vector<Task> tasks_;
};

struct RequestContext {
  std::string principal = "anonymous";
  std::string listener;   // "grpc", "sim", later "kafka", "amqp"
  std::string client_id;  // at most limits::kMaxClientIdBytes
  std::string name_space = "default";
  MonoTime deadline;                           // absolute; the door always sets one
  std::string trace;                           // W3C traceparent, or empty
  std::shared_ptr<Cancellation> cancellation;  // never null
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_REQUEST_CONTEXT_H_
