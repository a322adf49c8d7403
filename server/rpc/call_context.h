// What the gRPC doors share: contexts of calls, and unary calls on the in-process service.
#ifndef VARVE_SERVER_RPC_CALL_CONTEXT_H_
#define VARVE_SERVER_RPC_CALL_CONTEXT_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "common/executor.h"
#include "server/rpc/convert.h"
#include "server/rpc/status_codec.h"
#include "server/service/broker_service.h"

namespace varve::server {

// A unary call without a deadline gets this one; a stream may live this long at a time without any.
inline constexpr Nanos kDefaultDeadline = 60 * kSecond;

RequestContext ContextOf(const grpc::CallbackServerContext& call, const Clock& clock);

// Tells the service when the caller goes away. Deletes itself when the call is done.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  explicit UnaryCall(std::shared_ptr<Cancellation> cancellation)
      : cancellation_(std::move(cancellation)) {}
  void OnCancel() override { cancellation_->Cancel(); }
  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<Cancellation> cancellation_;
};

// One unary call: decode, ask the service, encode. `method` is a member of BrokerService.
template <class Request, class Answer, class ProtoRequest, class ProtoReply>
grpc::ServerUnaryReactor* CallUnary(BrokerService& service, const Clock& clock,
                                    grpc::CallbackServerContext* call, const ProtoRequest* request,
                                    ProtoReply* reply,
                                    void (BrokerService::*method)(RequestContext, Request,
                                                                  Reply<Answer>)) {
  RequestContext context = ContextOf(*call, clock);
  auto* reactor = new UnaryCall(context.cancellation);
  absl::StatusOr<Request> decoded = FromProto(*request);
  if (!decoded.ok()) {
    reactor->Finish(ToGrpcStatus(decoded.status()));
    return reactor;
  }
  (service.*method)(std::move(context), std::move(*decoded),
                    [reactor, reply](absl::StatusOr<Answer> answer) {
                      if (answer.ok()) ToProto(*answer, reply);
                      reactor->Finish(ToGrpcStatus(answer.status()));
                    });
  return reactor;
}

// A stream that can be asked to move its client elsewhere.
class MovableStream {
 public:
  virtual ~MovableStream() = default;
  virtual void Move() = 0;
};

// The streams that are open, so that a drain can end them. Thread-safe; a stream takes itself out
// before it is destroyed.
class OpenStreams {
 public:
  void Insert(MovableStream* stream) {
    std::lock_guard lock(mutex_);
    streams_.insert(stream);
  }
  void Erase(MovableStream* stream) {
    std::lock_guard lock(mutex_);
    streams_.erase(stream);
  }
  // Move is called with the set locked: it must not insert or erase.
  void MoveAll() {
    std::lock_guard lock(mutex_);
    for (MovableStream* stream : streams_) stream->Move();
  }

 private:
  std::mutex mutex_;
  std::set<MovableStream*> streams_;  // only walked at a drain
};

// What the doors need of their surroundings.
struct DoorParts {
  BrokerService& service;
  const Clock& clock;
  Executor& timers;
  OpenStreams& streams;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_CALL_CONTEXT_H_
