// RequestContext: who asks, through which door, and until when. Every entry point takes one.
#ifndef VARVE_SERVER_SERVICE_REQUEST_CONTEXT_H_
#define VARVE_SERVER_SERVICE_REQUEST_CONTEXT_H_

#include <atomic>
#include <memory>
#include <string>

#include "common/clock.h"

namespace varve::server {

// Set by the door when the caller went away; looked at by whatever still waits for it.
// Thread-safe.
class Cancellation {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_release); }
  [[nodiscard]] bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> cancelled_{false};
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
