// PendingReply: answers a request exactly once, by its deadline at the latest.
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

// Shared between the work and a deadline timer; whoever is first answers. Thread-safe. Holds the
// memory permit until answered, counts the request and its latency.
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

  // Answers DEADLINE_EXCEEDED on `executor` at `deadline` unless answered before.
  void ArmDeadline(Executor& executor, MonoTime deadline) {
    std::weak_ptr<PendingReply> weak = this->weak_from_this();
    const TimerId timer = executor.RunAt(deadline, [weak] {
      if (auto self = weak.lock())
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

  void Answer(absl::StatusOr<T> result) {
    Reply<T> reply;
    {
      std::lock_guard lock(mutex_);
      if (!reply_) return;
      reply = std::exchange(reply_, {});
      permit_ = MemoryPermit();
    }
    if (executor_ != nullptr) executor_->Cancel(timer_);
    auto& cells = metrics_.rpc(rpc_);
    cells.requests.Add(1);
    cells.latency.Observe(clock_.Now() - began_);
    if (!result.ok()) metrics_.CountError(rpc_, ReasonOf(result.status()));
    reply(std::move(result));
  }

 private:
  BrokerMetrics& metrics_;
  const Clock& clock_;
  const Rpc rpc_;
  const MonoTime began_;
  std::mutex mutex_;  // guards permit_ and reply_; never held while calling out
  MemoryPermit permit_;
  Reply<T> reply_;
  Executor* executor_ = nullptr;  // set before the work begins
  TimerId timer_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_PENDING_REPLY_H_
