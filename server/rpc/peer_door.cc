#include "server/rpc/peer_door.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/rpc/packet_stream.h"
#include "server/rpc/peer_codec.h"
#include "varve/internal/v1/peer.grpc.pb.h"

namespace varve::server {
namespace {

namespace pb = varve::internal::v1;

// Two lanes of a node need one connection each; calls are few.
constexpr int kMaxStreamsPerConnection = 16;
// Calls under way at once.
constexpr int kMaxCalls = 64;
// A sender may have so much under way before this side has read it.
constexpr int kStreamWindowBytes = 4 << 20;

// A call that is answered once: by the service, or by its caller's going away. Deletes itself.
class PeerCall final : public grpc::ServerUnaryReactor {
 public:
  // Shared with the answer, which may come when the call is long gone.
  struct State {
    std::mutex mutex;
    PeerCall* call = nullptr;  // null once answered
  };
  explicit PeerCall(std::atomic<int>& calls) : calls_(calls), state_(std::make_shared<State>()) {
    state_->call = this;
  }
  [[nodiscard]] const std::shared_ptr<State>& state() const { return state_; }

  // `fill` writes the reply; only if nobody answered before.
  template <class Fill>
  static void Answer(State& state, const absl::Status& status, Fill fill) {
    std::lock_guard lock(state.mutex);
    PeerCall* call = std::exchange(state.call, nullptr);
    if (call == nullptr) return;
    if (status.ok()) fill();
    call->Finish(ToPeerGrpcStatus(status));
  }
  void OnCancel() override {
    Answer(*state_, MakeError(Reason::CANCELLED, "the caller went away"), [] {});
  }
  void OnDone() override {
    calls_.fetch_sub(1);
    delete this;
  }

 private:
  std::atomic<int>& calls_;
  const std::shared_ptr<State> state_;
};

class PeerCalls final : public pb::PeerService::CallbackService {
 public:
  void SetService(PeerService* service) {
    std::unique_lock lock(mutex_);
    service_ = service;
  }
  grpc::ServerUnaryReactor* Hello(grpc::CallbackServerContext* /*context*/,
                                  const pb::HelloRequest* request, pb::HelloReply* reply) override {
    return Call(*request, reply, &PeerService::Hello);
  }
  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* /*context*/,
                                 const pb::JoinRequest* request, pb::JoinReply* reply) override {
    return Call(*request, reply, &PeerService::Join);
  }
  grpc::ServerUnaryReactor* Report(grpc::CallbackServerContext* /*context*/,
                                   const pb::ReportRequest* request,
                                   pb::ReportReply* reply) override {
    return Call(*request, reply, &PeerService::Report);
  }
  grpc::ServerUnaryReactor* Transfer(grpc::CallbackServerContext* /*context*/,
                                     const pb::TransferRequest* request,
                                     pb::TransferReply* reply) override {
    return Call(*request, reply, &PeerService::Transfer);
  }

 private:
  template <class ProtoRequest, class ProtoReply, class Request, class Answer>
  grpc::ServerUnaryReactor* Call(const ProtoRequest& request, ProtoReply* reply,
                                 void (PeerService::*method)(Request, Reply<Answer>)) {
    const bool admitted = calls_.fetch_add(1) < kMaxCalls;
    auto* call = new PeerCall(calls_);
    const std::shared_ptr<PeerCall::State> state = call->state();
    const auto refuse = [&](const absl::Status& status) {
      PeerCall::Answer(*state, status, [] {});
      return call;
    };
    if (!admitted)
      return refuse(MakeError(Reason::OVERLOADED, "more than ", kMaxCalls, " calls at once"));
    auto decoded = FromProto(request);
    if (!decoded.ok()) return refuse(decoded.status());
    std::shared_lock lock(mutex_);
    if (service_ == nullptr) return refuse(MakeError(Reason::STARTING, "this broker is starting"));
    (service_->*method)(*std::move(decoded), [state, reply](absl::StatusOr<Answer> answer) {
      PeerCall::Answer(*state, answer.status(), [&] { ToProto(*answer, reply); });
    });
    return call;
  }

  std::shared_mutex mutex_;  // shared while a call is made
  PeerService* service_ = nullptr;
  std::atomic<int> calls_ = 0;
};

// The method kPacketsMethod; gRPC answers UNIMPLEMENTED for any other.
class PeerStreams final : public grpc::CallbackGenericService {
 public:
  void SetInbound(std::shared_ptr<InboundStreams> inbound) {
    std::lock_guard lock(mutex_);
    inbound_.swap(inbound);
  }
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    if (context->method() != kPacketsMethod) return CallbackGenericService::CreateReactor(context);
    std::shared_ptr<InboundStreams> inbound;
    {
      std::lock_guard lock(mutex_);
      inbound = inbound_;
    }
    return PacketStream::Open(std::move(inbound), context);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<InboundStreams> inbound_;
};

class PeerDoorImpl final : public PeerDoor {
 public:
  ~PeerDoorImpl() override { PeerDoorImpl::Shutdown(); }
  absl::Status Listen(const PeerDoorOptions& options);
  [[nodiscard]] int port() const override { return port_; }
  void SetService(PeerService* service) override { calls_.SetService(service); }
  void SetInbound(std::shared_ptr<InboundStreams> inbound) override {
    streams_.SetInbound(std::move(inbound));
  }
  void Shutdown() override {
    std::lock_guard lock(mutex_);
    if (!server_ || std::exchange(down_, true)) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }

 private:
  PeerCalls calls_;
  PeerStreams streams_;
  std::mutex mutex_;  // held through Shutdown: whoever comes second waits for it
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool down_ = false;
};

absl::Status PeerDoorImpl::Listen(const PeerDoorOptions& options) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&calls_);
  builder.RegisterCallbackGenericService(&streams_);
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxPeerMessageBytes));
  // A compressed message may be a thousand times what its length says.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(limits::kMaxMetadataBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 60'000);
  // Two brokers must never share a port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             static_cast<int>(options.keepalive.time / 2 / kMillisecond));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             static_cast<int>(options.keepalive.time / kMillisecond));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             static_cast<int>(options.keepalive.timeout / kMillisecond));
  // The receiving side sends nothing else.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0)
    return MakeError(Reason::ADDRESS_IN_USE, "cannot listen on ", options.address,
                     " (in use, or not an address of this machine)");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PeerDoor>> PeerDoor::Start(PeerDoorOptions options) {
  auto door = std::make_unique<PeerDoorImpl>();
  VARVE_RETURN_IF_ERROR(door->Listen(options));
  return std::unique_ptr<PeerDoor>(std::move(door));
}

}  // namespace varve::server
