// The transport over gRPC's callback API. The only file of the library that includes gRPC.
#include <google/protobuf/message_lite.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "client/rpc/rpc.h"
#include "common/limits.h"
#include "common/strings.h"

namespace varve::client {
namespace {

using google::protobuf::MessageLite;
using grpc::ByteBuffer;

// The broker must answer a keepalive ping within the timeout, or the connection counts as broken.
constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 10'000;

RpcStatus FromGrpc(const grpc::Status& status) {
  return {static_cast<int>(status.error_code()), status.error_message(), status.error_details()};
}

bool Parse(ByteBuffer* bytes, MessageLite* message) {
  return grpc::GenericDeserialize<grpc::ProtoBufferReader, MessageLite>(bytes, message).ok();
}

void DropTail(void* tail) { delete static_cast<std::shared_ptr<const std::string>*>(tail); }

ByteBuffer ToBuffer(OutgoingMessage message) {
  grpc::Slice slices[2] = {grpc::Slice(message.head)};
  if (message.tail == nullptr) return ByteBuffer(slices, 1);
  const std::string& bytes = *message.tail;
  auto* keep = new std::shared_ptr<const std::string>(std::move(message.tail));
  slices[1] = grpc::Slice(const_cast<char*>(bytes.data()), bytes.size(), DropTail, keep);
  return ByteBuffer(slices, 2);
}

class GrpcStream : public RpcStream, public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  GrpcStream(const std::string& client_id, std::shared_ptr<RpcStreamListener> listener)
      : listener_(std::move(listener)) {
    context_.AddMetadata("varve-client-id", client_id);
  }

  // Keeps `self` until the stream is over.
  void Start(std::shared_ptr<grpc::GenericStub> stub, const std::string& method,
             std::shared_ptr<GrpcStream> self) {
    stub_ = std::move(stub);
    self_ = std::move(self);
    stub_->PrepareBidiStreamingCall(&context_, method, {}, this);
    AddHold();  // for writes from outside of reactions; removed when reading ends
    StartRead(&incoming_);
    StartCall();
  }

  void Write(OutgoingMessage message) override {
    std::lock_guard lock(mutex_);
    if (over_) return;
    queue_.push_back(std::move(message));
    if (!writing_) WriteNext();
  }
  void Cancel() override { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (ok) {
      auto message = listener_->NewMessage();
      if (Parse(&incoming_, message.get())) {
        listener_->OnMessage(std::move(message));
      } else {
        context_.TryCancel();
      }
      incoming_.Clear();
      StartRead(&incoming_);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      over_ = true;
      queue_.clear();
    }
    RemoveHold();
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok) over_ = true;
    if (!over_ && !queue_.empty()) WriteNext();
  }
  void OnDone(const grpc::Status& status) override {
    listener_->OnClosed(FromGrpc(status));
    listener_.reset();
    std::shared_ptr<GrpcStream> last = std::move(self_);
  }

 private:
  void WriteNext() {
    writing_ = true;
    outgoing_ = ToBuffer(std::move(queue_.front()));
    queue_.pop_front();
    StartWrite(&outgoing_);
  }

  std::shared_ptr<RpcStreamListener> listener_;
  std::shared_ptr<grpc::GenericStub> stub_;
  std::shared_ptr<GrpcStream> self_;
  grpc::ClientContext context_;
  ByteBuffer incoming_;
  ByteBuffer outgoing_;
  std::mutex mutex_;
  std::deque<OutgoingMessage> queue_;
  bool writing_ = false;
  bool over_ = false;
};

struct UnaryCall {
  std::shared_ptr<grpc::GenericStub> stub;
  grpc::ClientContext context;
  ByteBuffer request;
  ByteBuffer reply_bytes;
  std::shared_ptr<MessageLite> reply;
  std::function<void(RpcStatus)> done;

  void Finish(const grpc::Status& status) {
    RpcStatus out = FromGrpc(status);
    if (status.ok() && !Parse(&reply_bytes, reply.get())) {
      out = {static_cast<int>(grpc::StatusCode::INTERNAL), "the broker's reply does not parse", ""};
    }
    done(std::move(out));
  }
};

class Connector : public RpcConnector {
 public:
  Connector(std::string client_id, Nanos first_backoff, Nanos most_backoff)
      : client_id_(std::move(client_id)) {
    arguments_.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxRequestBytes));
    arguments_.SetMaxSendMessageSize(static_cast<int>(limits::kMaxRequestBytes));
    arguments_.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
    arguments_.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
    arguments_.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments_.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                      static_cast<int>(first_backoff / kMillisecond));
    arguments_.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                      static_cast<int>(first_backoff / kMillisecond));
    arguments_.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                      static_cast<int>(most_backoff / kMillisecond));
    // Retries are this library's own: a blind one could append a batch twice.
    arguments_.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    // Two clients of one process must not share a connection and its fate.
    arguments_.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  }

  void Call(const std::string& address, const std::string& method, const MessageLite& request,
            std::shared_ptr<MessageLite> reply, Nanos timeout,
            std::function<void(RpcStatus)> done) override {
    auto call = std::make_shared<UnaryCall>();
    call->stub = StubOf(address);
    call->context.AddMetadata("varve-client-id", client_id_);
    call->context.set_deadline(std::chrono::system_clock::now() +
                               std::chrono::nanoseconds(timeout));
    call->request = ToBuffer({request.SerializeAsString(), nullptr});
    call->reply = std::move(reply);
    call->done = std::move(done);
    UnaryCall* raw = call.get();
    raw->stub->UnaryCall(&raw->context, method, {}, &raw->request, &raw->reply_bytes,
                         [call](const grpc::Status& status) { call->Finish(status); });
  }

  std::shared_ptr<RpcStream> OpenStream(const std::string& address, const std::string& method,
                                        std::shared_ptr<RpcStreamListener> listener) override {
    auto stream = std::make_shared<GrpcStream>(client_id_, std::move(listener));
    stream->Start(StubOf(address), method, stream);
    return stream;
  }

 private:
  std::shared_ptr<grpc::GenericStub> StubOf(const std::string& address) {
    std::lock_guard lock(mutex_);
    std::shared_ptr<grpc::GenericStub>& stub = stubs_[address];
    if (stub == nullptr) {
      stub = std::make_shared<grpc::GenericStub>(
          grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments_));
    }
    return stub;
  }

  const std::string client_id_;
  grpc::ChannelArguments arguments_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<grpc::GenericStub>> stubs_;
};

}  // namespace

std::unique_ptr<RpcConnector> GrpcConnector(std::string client_id, Nanos first_backoff,
                                            Nanos most_backoff) {
  return std::make_unique<Connector>(std::move(client_id), first_backoff, most_backoff);
}

}  // namespace varve::client
