#include "client/core/client_core.h"

#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "client/core/metadata.h"
#include "client/core/status_mapping.h"
#include "client_wire/cluster.pb.h"
#include "common/limits.h"

namespace varve {
namespace client {
namespace {

using google::protobuf::MessageLite;

constexpr uint32_t kReadRounds = 5;
// Hints about who leads that one call follows.
constexpr uint32_t kMostRedirects = 5;
// A broker that says nothing for so long is passed over, though the call may last longer. Soon in
// the first round, which may meet one that is frozen; later ones may be about slow brokers.
constexpr Nanos kFirstAttemptTimeout = kSecond;
constexpr Nanos kAttemptTimeout = 5 * kSecond;

Nanos ToNanos(std::chrono::milliseconds span) { return span.count() * kMillisecond; }

}  // namespace

struct ClientCore::CallState {
  CallKind kind;
  std::string method;
  std::shared_ptr<const MessageLite> request;
  std::shared_ptr<MessageLite> reply;
  MonoTime deadline;
  Done done;
  size_t first_broker = 0;
  size_t asked = 0;  // in this round
  uint32_t rounds = 0;
  uint32_t redirects = 0;
};

ClientCore::ClientCore(ClientOptions options)
    : options_(std::move(options)),
      connector_(GrpcConnector(options_.client_id, ToNanos(options_.retry_backoff),
                               ToNanos(options_.retry_backoff_max))),
      random_(SystemRandom()),
      metadata_(std::make_unique<Metadata>(*this)),
      executor_(ThreadExecutor("varve-client")),
      mailbox_(std::make_shared<Mailbox>(executor_.get())) {}

ClientCore::~ClientCore() {
  mailbox_->Close();
  // The last reference may go in a callback, and a thread cannot join itself. The executor has only
  // this task left then.
  if (executor_->InExecutor()) {
    std::thread([executor = std::move(executor_)]() mutable { executor.reset(); }).detach();
  }
  executor_.reset();
}

Nanos ClientCore::BackoffFor(uint32_t failures) {
  return BackoffAfter(
      failures, {ToNanos(options_.retry_backoff), ToNanos(options_.retry_backoff_max)}, *random_);
}

void ClientCore::AskAnother() {
  answered_last_ = (answered_last_.load() + 1) % options_.bootstrap.size();
}

void ClientCore::RunAfter(Nanos delay, Task task) {
  executor_->RunAt(Now() + std::max<Nanos>(delay, 0), std::move(task));
}

void ClientCore::Log(LogLevel level, std::string_view text) {
  if (!options_.log) return;
  std::lock_guard lock(log_mutex_);
  options_.log(level, text);
}

void ClientCore::CallAt(const std::string& address, const std::string& method,
                        const MessageLite& request, std::shared_ptr<MessageLite> reply,
                        Nanos timeout, Done done) {
  connector_->Call(address, method, request, std::move(reply), timeout,
                   [mailbox = mailbox_, address, done = std::move(done)](RpcStatus status) {
                     mailbox->Post([address, done, status = std::move(status)] {
                       done(FromRpc(status, address), address);
                     });
                   });
}

void ClientCore::Call(CallKind kind, const std::string& method,
                      std::shared_ptr<const MessageLite> request,
                      std::shared_ptr<MessageLite> reply, MonoTime deadline, Done done) {
  if (kind == CallKind::kWrite && !somebody_answered_) {
    auto probe = std::make_shared<wire::GetFeaturesReply>();
    Call(CallKind::kRead, "/varve.v1.ClusterService/GetFeatures",
         std::make_shared<wire::GetFeaturesRequest>(), probe, deadline,
         [this, method, request = std::move(request), reply = std::move(reply), deadline,
          done = std::move(done)](const Status& status, const std::string& address) {
           // Nothing was sent, whatever became of the question.
           if (!status.ok()) return done(WithOutcome(status, RequestOutcome::kNotApplied), address);
           Call(CallKind::kWrite, method, request, reply, deadline, done);
         });
    return;
  }
  auto call =
      std::make_shared<CallState>(CallState{kind, method, std::move(request), std::move(reply),
                                            deadline, std::move(done), answered_last_.load()});
  Attempt(std::move(call));
}

void ClientCore::AskSomebodyElse(const std::string& than) {
  const size_t brokers = options_.bootstrap.size();
  size_t next = (answered_last_ + 1) % brokers;
  if (options_.bootstrap[next] == than) next = (next + 1) % brokers;
  answered_last_ = next;
}

void ClientCore::Attempt(std::shared_ptr<CallState> call) {
  const size_t broker = (call->first_broker + call->asked) % options_.bootstrap.size();
  const Nanos left = std::max<Nanos>(call->deadline - Now(), kMillisecond);
  const bool alone = call->kind == CallKind::kWrite || options_.bootstrap.size() == 1;
  const Nanos patience = call->rounds == 0 ? kFirstAttemptTimeout : kAttemptTimeout;
  CallAt(options_.bootstrap[broker], call->method, *call->request, call->reply,
         alone ? left : std::min(left, patience),
         [this, call, broker](const Status& status, const std::string&) {
           AfterAttempt(call, status, broker);
         });
}

void ClientCore::AfterAttempt(std::shared_ptr<CallState> call, const Status& status,
                              size_t broker) {
  const std::string& address = options_.bootstrap[broker];
  const bool silent = status.reason() == "UNAVAILABLE" || status.reason() == "DEADLINE_EXCEEDED";
  if (!silent) {
    answered_last_ = broker;
    somebody_answered_ = true;
  } else {
    somebody_answered_ = false;
  }
  // Decisions are the controller's, and whoever is asked says where that is.
  const std::string leader(status.Detail("leader_address"));
  if (status.reason() == "NOT_LEADER" && !leader.empty() && call->redirects++ < kMostRedirects &&
      Now() < call->deadline) {
    return CallAt(leader, call->method, *call->request, call->reply,
                  std::max<Nanos>(call->deadline - Now(), kMillisecond),
                  [this, call, broker](const Status& redirected, const std::string&) {
                    AfterAttempt(call, redirected, broker);
                  });
  }
  // While a controller is being elected nothing was done, so that a write may be asked again too.
  const bool no_controller = status.reason() == "LEADER_UNKNOWN" ||
                             status.reason() == "NOT_LEADER" || status.reason() == "STARTING" ||
                             status.reason() == "BROKER_LEFT";
  const bool again =
      !status.ok() && status.retryable() && (call->kind == CallKind::kRead || no_controller);
  if (!again || Now() >= call->deadline) return call->done(status, address);
  if (++call->asked < options_.bootstrap.size()) return Attempt(std::move(call));
  call->asked = 0;
  const Nanos pause = BackoffFor(++call->rounds);
  if (call->rounds >= kReadRounds || Now() + pause >= call->deadline) {
    return call->done(status, address);
  }
  RunAfter(pause, [this, call]() mutable { Attempt(std::move(call)); });
}

}  // namespace client

inline namespace v0 {

Status ClientOptions::Validate() const {
  using client::Error;
  if (bootstrap.empty()) return Error(Reason::INVALID_CONFIG, "bootstrap: no address");
  for (const std::string& address : bootstrap) {
    if (address.find(':') == std::string::npos) {
      return Error(Reason::INVALID_CONFIG, "bootstrap: \"", address, "\" is not host:port");
    }
  }
  if (client_id.empty() || client_id.size() > limits::kMaxClientIdBytes) {
    return Error(Reason::INVALID_CONFIG, "client_id: needs 1 to ", limits::kMaxClientIdBytes,
                 " bytes");
  }
  for (const char c : client_id) {
    if (c < 0x20 || c > 0x7e) {
      return Error(Reason::INVALID_CONFIG, "client_id: printable ASCII only");
    }
  }
  if (request_timeout.count() <= 0) {
    return Error(Reason::INVALID_CONFIG, "request_timeout: must be positive");
  }
  if (retry_backoff.count() <= 0 || retry_backoff_max < retry_backoff) {
    return Error(Reason::INVALID_CONFIG,
                 "retry_backoff: must be positive and at most retry_backoff_max");
  }
  return {};
}

Result<Client> Client::Create(ClientOptions options) {
  if (Status status = options.Validate(); !status.ok()) return status;
  return Client(std::make_shared<client::ClientCore>(std::move(options)));
}

Client::Client(std::shared_ptr<client::ClientCore> core) : core_(std::move(core)) {}
Client::Client(const Client&) = default;
Client& Client::operator=(const Client&) = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

}  // namespace v0
}  // namespace varve
