#include "server/rpc/peer_client.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include "common/error.h"
#include "server/rpc/peer_channel.h"
#include "server/rpc/peer_codec.h"
#include "varve/internal/v1/peer.grpc.pb.h"

namespace varve::server {
namespace {

namespace pb = varve::internal::v1;
using Stub = pb::PeerService::Stub;

// The calls under way. Thread-safe.
class OpenCalls {
 public:
  // False once CancelAll has begun.
  bool Insert(grpc::ClientContext* call) {
    std::lock_guard lock(mutex_);
    return !closed_ && calls_.insert(call).second;
  }
  void Erase(grpc::ClientContext* call) {
    std::lock_guard lock(mutex_);
    calls_.erase(call);
    if (calls_.empty()) none_.notify_all();
  }
  void CancelAll() {
    std::unique_lock lock(mutex_);
    closed_ = true;
    for (grpc::ClientContext* call : calls_) call->TryCancel();
    none_.wait(lock, [this] { return calls_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  bool closed_ = false;
  std::set<grpc::ClientContext*> calls_;  // walked to cancel; the order does not matter
};

template <class ProtoRequest, class ProtoReply, class Answer>
struct OneCall {
  std::string address;
  ProtoRequest request;
  ProtoReply reply;
  Reply<Answer> done;
  grpc::ClientContext context;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<Stub> stub;
};

class GrpcPeerClient final : public PeerClient {
 public:
  explicit GrpcPeerClient(Executor& loop) : loop_(loop) {}
  ~GrpcPeerClient() override { calls_->CancelAll(); }

  void Hello(const std::string& address, HelloRequest request, Nanos timeout,
             Reply<HelloReply> reply) override {
    Begin<pb::HelloRequest, pb::HelloReply>(
        address, request, timeout, std::move(reply),
        [](Stub& stub, auto... arguments) { stub.async()->Hello(std::move(arguments)...); });
  }
  void Join(const std::string& address, JoinRequest request, Nanos timeout,
            Reply<JoinReply> reply) override {
    Begin<pb::JoinRequest, pb::JoinReply>(
        address, request, timeout, std::move(reply),
        [](Stub& stub, auto... arguments) { stub.async()->Join(std::move(arguments)...); });
  }
  void Report(const std::string& address, ReportRequest request, Nanos timeout,
              Reply<ReportReply> reply) override {
    Begin<pb::ReportRequest, pb::ReportReply>(
        address, request, timeout, std::move(reply),
        [](Stub& stub, auto... arguments) { stub.async()->Report(std::move(arguments)...); });
  }
  void Transfer(const std::string& address, TransferRequest request, Nanos timeout,
                Reply<TransferReply> reply) override {
    Begin<pb::TransferRequest, pb::TransferReply>(
        address, request, timeout, std::move(reply),
        [](Stub& stub, auto... arguments) { stub.async()->Transfer(std::move(arguments)...); });
  }

 private:
  template <class ProtoRequest, class ProtoReply, class Request, class Answer, class Method>
  void Begin(const std::string& address, const Request& request, Nanos timeout, Reply<Answer> done,
             Method method) {
    using Call = OneCall<ProtoRequest, ProtoReply, Answer>;
    auto call = std::make_shared<Call>();
    call->address = address;
    ToProto(request, &call->request);
    call->done = std::move(done);
    call->context.set_deadline(std::chrono::system_clock::now() +
                               std::chrono::nanoseconds(timeout));
    const bool open = calls_->Insert(&call->context);
    loop_.Post([call = std::move(call), open, method, calls = calls_, &loop = loop_]() mutable {
      if (!open) return call->done(MakeError(Reason::SHUTTING_DOWN, "this broker is stopping"));
      call->channel = OpenPeerChannel(call->address, "call", {});
      call->stub = pb::PeerService::NewStub(call->channel);
      Call& begun = *call;
      std::function<void(grpc::Status)> end = [call = std::move(call), calls = std::move(calls),
                                               &loop](const grpc::Status& status) mutable {
        loop.Post([call = std::move(call), calls = std::move(calls), status] {
          Finish(*call, status);
          call->stub.reset();
          call->channel.reset();
          calls->Erase(&call->context);
        });
      };
      method(*begun.stub, &begun.context, &begun.request, &begun.reply, std::move(end));
    });
  }
  template <class Call>
  static void Finish(Call& call, const grpc::Status& status) {
    if (!status.ok()) return call.done(AddContext(FromPeerGrpcStatus(status), call.address));
    call.done(FromProto(call.reply));
  }

  Executor& loop_;
  const std::shared_ptr<OpenCalls> calls_ = std::make_shared<OpenCalls>();
};

}  // namespace

std::unique_ptr<PeerClient> NewPeerClient(Executor& loop) {
  return std::make_unique<GrpcPeerClient>(loop);
}

}  // namespace varve::server
