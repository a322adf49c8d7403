// PendingReply: answers a request exactly once: by its deadline, or when the caller goes, at the
// latest.
#ifndef VARVE_SERVER_SERVICE_PENDING_REPLY_H_
#define VARVE_SERVER_SERVICE_PENDING_REPLY_H_

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "common/error.h"
#include "common/executor.h"
#include "server/metrics/broker_metrics.h"
#include "server/service/broker_service.h"
#include "server/service/gate.h"

namespace varve::server {

// Shared between the work, a deadline timer and the door's cancellation; whoever is first answers.
// Thread-safe. Holds the memory permit until answered, counts the request and its latency.
template <class T>
class PendingReply : public std::enable_shared_from_this<PendingReply<T>> {
 public:
  PendingReply(BrokerMetrics& metrics, const Clock& clock, Rpc rpc, MemoryPermit permit,
               Reply<T> reply)
      : metrics_(metrics),
        clock_(clock),
        rpc_(rpc),
        began_(clock.Now()),
        permit_(std::move(permit)),
        reply_(std::move(reply)) {}

  // Answers DEADLINE_EXCEEDED on `executor` at `deadline` unless answered before. The timer keeps
  // the request: work that is dropped half way is answered then, too.
  void ArmDeadline(Executor& executor, MonoTime deadline) {
    const TimerId timer = executor.RunAt(deadline, [self = this->shared_from_this()] {
      self->Answer(MakeError(Reason::DEADLINE_EXCEEDED, "no answer within the deadline"));
    });
    std::unique_lock lock(mutex_);
    if (!reply_) {
      lock.unlock();
      executor.Cancel(timer);
      return;
    }
    executor_ = &executor;
    timer_ = timer;
  }

  // Answers CANCELLED when the caller goes away, from there or from `executor`.
  void WatchCaller(Executor& executor, Cancellation& caller) {
    const auto cancel = [weak = this->weak_from_this()] {
      if (auto self = weak.lock())
        self->Answer(MakeError(Reason::CANCELLED, "the caller went away"));
    };
    if (!caller.Notify(cancel)) executor.Post(cancel);
  }
  // Runs `task` once answered, on whichever thread that is; on this one when it is already.
  void WhenAnswered(Task task) {
    {
      std::lock_guard lock(mutex_);
      if (reply_) {
        when_answered_ = std::move(task);
        return;
      }
    }
    task();
  }

  [[nodiscard]] bool answered() const {
    std::lock_guard lock(mutex_);
    return !reply_;
  }

  void Answer(absl::StatusOr<T> result) {
    Reply<T> reply;
    Task when_answered;
    {
      std::lock_guard lock(mutex_);
      if (!reply_) return;
      reply = std::exchange(reply_, {});
      when_answered = std::exchange(when_answered_, {});
      permit_ = MemoryPermit();
    }
    if (executor_ != nullptr) executor_->Cancel(timer_);
    auto& cells = metrics_.rpc(rpc_);
    cells.requests.Add(1);
    cells.latency.Observe(clock_.Now() - began_);
    if (!result.ok()) metrics_.CountError(rpc_, ReasonOf(result.status()));
    reply(std::move(result));
    if (when_answered) when_answered();
  }

 private:
  BrokerMetrics& metrics_;
  const Clock& clock_;
  const Rpc rpc_;
  const MonoTime began_;
  mutable std::mutex mutex_;  // guards the next three; never held while calling out
  MemoryPermit permit_;
  Reply<T> reply_;
  Task when_answered_;
  Executor* executor_ = nullptr;  // set before the work begins
  TimerId timer_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_PENDING_REPLY_H_
