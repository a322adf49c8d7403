// What producers, readers and admins of one Client share: thread, connections, metadata, log.
#ifndef VARVE_CLIENT_CORE_CLIENT_CORE_H_
#define VARVE_CLIENT_CORE_CLIENT_CORE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "client/core/backoff.h"
#include "client/rpc/rpc.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/random.h"
#include "varve/client.h"
#include "varve/status.h"

namespace varve::client {

class Metadata;

// The way from threads of the transport to the executor, for as long as that exists. Thread-safe.
class Mailbox {
 public:
  explicit Mailbox(Executor* executor) : executor_(executor) {}
  void Post(Task task) {
    std::lock_guard lock(mutex_);
    if (executor_) executor_->Post(std::move(task));
  }
  void Close() {
    std::lock_guard lock(mutex_);
    executor_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Executor* executor_;
};

// A broker is asked for a leader so often before it is another one's turn.
inline constexpr uint32_t kFailuresPerBroker = 4;

// Whether a request may be repeated when its fate is unknown.
enum class CallKind { kRead, kWrite };

// Thread-safe but for metadata() and BackoffFor(), which belong to the executor. Tasks of the
// executor may use it without owning it: it stops the executor first. May be dropped anywhere, the
// executor included.
class ClientCore {
 public:
  explicit ClientCore(ClientOptions options);
  ~ClientCore();

  [[nodiscard]] const ClientOptions& options() const { return options_; }
  Executor& executor() { return *executor_; }
  // For threads that may outlive this object.
  const std::shared_ptr<Mailbox>& mailbox() { return mailbox_; }
  RpcConnector& connector() { return *connector_; }
  Metadata& metadata() { return *metadata_; }
  [[nodiscard]] MonoTime Now() const { return RealClock().Now(); }
  Nanos BackoffFor(uint32_t failures);
  // What the broker that answered last said led nowhere: calls begin with another one.
  void AskAnother();
  void RunAfter(Nanos delay, Task task);
  void Log(LogLevel level, std::string_view text);

  // Runs on the executor, with the address that answered.
  using Done = std::function<void(const Status&, const std::string& address)>;
  // Asks the brokers of the bootstrap list in turn, beginning with the one that answered last.
  // kRead: goes on while nobody answers or the error is retryable, until `deadline`, five rounds at
  // most. kWrite: sends once, to a broker that has just answered or answers a question first, and
  // again only where it was refused for want of the controller. Both follow hints to the leader.
  // `reply` is filled when the status is OK.
  void Call(CallKind kind, const std::string& method,
            std::shared_ptr<const google::protobuf::MessageLite> request,
            std::shared_ptr<google::protobuf::MessageLite> reply, MonoTime deadline, Done done);
  // The next Call does not begin at this broker, if there is another one: it says nothing, or
  // nothing of use.
  void AskSomebodyElse(const std::string& than);
  // One attempt at one broker.
  void CallAt(const std::string& address, const std::string& method,
              const google::protobuf::MessageLite& request,
              std::shared_ptr<google::protobuf::MessageLite> reply, Nanos timeout, Done done);

 private:
  struct CallState;
  void Attempt(std::shared_ptr<CallState> call);
  void AfterAttempt(std::shared_ptr<CallState> call, const Status& status, size_t broker);

  const ClientOptions options_;
  std::unique_ptr<RpcConnector> connector_;
  std::unique_ptr<Random> random_;  // executor only
  std::unique_ptr<Metadata> metadata_;
  std::mutex log_mutex_;
  std::atomic<size_t> answered_last_{0};
  std::atomic<bool> somebody_answered_{false};
  std::unique_ptr<Executor> executor_;
  std::shared_ptr<Mailbox> mailbox_;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_CLIENT_CORE_H_
