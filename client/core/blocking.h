// Waiting, bounded, for an answer that comes on the executor.
#ifndef VARVE_CLIENT_CORE_BLOCKING_H_
#define VARVE_CLIENT_CORE_BLOCKING_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "client/core/client_core.h"
#include "client/core/status_mapping.h"

namespace varve::client {

// A place for one value, filled once by one thread and awaited by another. Shared by both, so that
// either may leave first.
template <class T>
class Answer {
 public:
  void Set(T value) {
    std::lock_guard lock(mutex_);
    if (!value_) value_.emplace(std::move(value));
    ready_.notify_all();
  }
  // The value, or nullopt when the time is over.
  std::optional<T> Wait(Nanos timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, std::chrono::nanoseconds(timeout), [&] { return value_.has_value(); });
    return std::move(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::optional<T> value_;
};

// One request to the cluster, awaited. The reply is filled when the status is OK.
template <class Reply, class Request>
Status CallAndWait(const std::shared_ptr<ClientCore>& core, CallKind kind,
                   const std::string& method, Request request, std::shared_ptr<Reply>* reply) {
  if (core->executor().InExecutor()) {
    return Error(Reason::INVALID_REQUEST, "this call waits; it cannot be made from a callback");
  }
  const Nanos timeout = core->options().request_timeout.count() * kMillisecond;
  auto into = std::make_shared<Reply>();
  auto answer = std::make_shared<Answer<Status>>();
  core->Call(kind, method, std::make_shared<Request>(std::move(request)), into,
             core->Now() + timeout,
             [answer](const Status& status, const std::string&) { answer->Set(status); });
  // gRPC keeps the deadline; the rest is for what comes after it.
  auto status = answer->Wait(timeout + kSecond);
  if (!status) {
    return Error(Reason::DEADLINE_EXCEEDED, "no answer within ",
                 core->options().request_timeout.count(), " ms");
  }
  *reply = std::move(into);
  return *std::move(status);
}

// The same to one broker, once.
template <class Reply, class Request>
Status CallAtAndWait(const std::shared_ptr<ClientCore>& core, const std::string& address,
                     const std::string& method, const Request& request,
                     std::shared_ptr<Reply>* reply) {
  const Nanos timeout = core->options().request_timeout.count() * kMillisecond;
  auto into = std::make_shared<Reply>();
  auto answer = std::make_shared<Answer<Status>>();
  core->CallAt(address, method, request, into, timeout,
               [answer](const Status& status, const std::string&) { answer->Set(status); });
  auto status = answer->Wait(timeout + kSecond);
  if (!status) {
    return Error(Reason::DEADLINE_EXCEEDED, "no answer from ", std::string_view(address),
                 " within ", core->options().request_timeout.count(), " ms");
  }
  *reply = std::move(into);
  return *std::move(status);
}

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_BLOCKING_H_
