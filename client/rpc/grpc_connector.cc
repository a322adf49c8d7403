// The transport over gRPC's callback API. The only file of the library that includes gRPC.
#include <google/protobuf/message_lite.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>
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
constexpr std::chrono::seconds kCloseTimeout{5};

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

// The calls under way, so that channels are destroyed after the last of them: gRPC joins its
// callback threads when the last channel goes, and one of those must not be the one that destroys
// it.
class CallsUnderWay {
 public:
  void Begin(grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    contexts_.insert(context);
    if (cancelled_) context->TryCancel();
  }
  // The context is no longer to be touched; Gone follows when it is destroyed.
  void Over(grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    contexts_.erase(context);
    ++ending_;
  }
  void Gone() {
    std::lock_guard lock(mutex_);
    --ending_;
    changed_.notify_all();
  }
  // Cancels all calls and waits for their end. False when the time is over.
  bool CancelAndWait(std::chrono::seconds timeout) {
    std::unique_lock lock(mutex_);
    cancelled_ = true;
    for (grpc::ClientContext* context : contexts_) context->TryCancel();
    return changed_.wait_for(lock, timeout, [&] { return contexts_.empty() && ending_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<grpc::ClientContext*> contexts_;
  size_t ending_ = 0;
  bool cancelled_ = false;
};

// A context that counts as a call under way.
class CountedContext {
 public:
  explicit CountedContext(std::shared_ptr<CallsUnderWay> calls)
      : calls_(std::move(calls)), context_(std::make_unique<grpc::ClientContext>()) {
    calls_->Begin(context_.get());
  }
  ~CountedContext() {
    calls_->Over(context_.get());
    context_.reset();
    calls_->Gone();
  }
  CountedContext(const CountedContext&) = delete;
  CountedContext& operator=(const CountedContext&) = delete;
  grpc::ClientContext& operator*() { return *context_; }
  grpc::ClientContext* operator->() { return context_.get(); }

 private:
  const std::shared_ptr<CallsUnderWay> calls_;
  std::unique_ptr<grpc::ClientContext> context_;
};

using Stubs = std::map<std::string, std::shared_ptr<grpc::GenericStub>>;

class GrpcStream : public RpcStream, public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  GrpcStream(std::shared_ptr<CallsUnderWay> calls, const std::string& client_id,
             std::shared_ptr<RpcStreamListener> listener)
      : context_(std::move(calls)), listener_(std::move(listener)) {
    context_->AddMetadata("varve-client-id", client_id);
  }

  // Keeps `self` until the stream is over.
  void Start(grpc::GenericStub& stub, const std::string& method, std::shared_ptr<GrpcStream> self) {
    self_ = std::move(self);
    stub.PrepareBidiStreamingCall(&*context_, method, {}, this);
    AddHold();  // for writes from outside of reactions; removed when reading ends
    StartRead(&incoming_);
    StartCall();
  }

  void Write(OutgoingMessage message) override {
    std::lock_guard lock(mutex_);
    if (over_ || finishing_) return;
    queue_.push_back(std::move(message));
    if (!writing_) WriteNext();
  }
  void FinishWrites() override {
    std::lock_guard lock(mutex_);
    if (over_ || finishing_) return;
    finishing_ = true;
    if (!writing_) StartWritesDone();
  }
  void Cancel() override { context_->TryCancel(); }

  void OnReadDone(bool ok) override {
    if (ok) {
      auto message = listener_->NewMessage();
      if (Parse(&incoming_, message.get())) {
        listener_->OnMessage(std::move(message));
      } else {
        context_->TryCancel();
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
    if (over_) return;
    if (!queue_.empty())
      WriteNext();
    else if (finishing_)
      StartWritesDone();
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

  CountedContext context_;
  std::shared_ptr<RpcStreamListener> listener_;
  std::shared_ptr<GrpcStream> self_;
  ByteBuffer incoming_;
  ByteBuffer outgoing_;
  std::mutex mutex_;
  std::deque<OutgoingMessage> queue_;
  bool writing_ = false;
  bool finishing_ = false;
  bool over_ = false;
};

struct UnaryCall {
  explicit UnaryCall(std::shared_ptr<CallsUnderWay> calls) : context(std::move(calls)) {}

  CountedContext context;
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

  // Bounded. On a thread of its own, because the caller's may be one of gRPC's.
  ~Connector() override {
    struct Closing {
      std::shared_ptr<CallsUnderWay> calls;
      Stubs stubs;
      std::mutex mutex;
      std::condition_variable changed;
      bool done = false;
    };
    auto closing = std::make_shared<Closing>();
    closing->calls = calls_;
    closing->stubs.swap(stubs_);
    std::thread([closing] {
      // Channels with calls that do not end are left alone rather than destroyed under them.
      if (closing->calls->CancelAndWait(kCloseTimeout)) {
        closing->stubs.clear();
      } else {
        static_cast<void>(new Stubs(std::move(closing->stubs)));
      }
      std::lock_guard lock(closing->mutex);
      closing->done = true;
      closing->changed.notify_all();
    }).detach();
    std::unique_lock lock(closing->mutex);
    closing->changed.wait_for(lock, kCloseTimeout, [&] { return closing->done; });
  }

  void Call(const std::string& address, const std::string& method, const MessageLite& request,
            std::shared_ptr<MessageLite> reply, Nanos timeout,
            std::function<void(RpcStatus)> done) override {
    auto call = std::make_shared<UnaryCall>(calls_);
    call->context->AddMetadata("varve-client-id", client_id_);
    call->context->set_deadline(std::chrono::system_clock::now() +
                                std::chrono::nanoseconds(timeout));
    call->request = ToBuffer({request.SerializeAsString(), nullptr});
    call->reply = std::move(reply);
    call->done = std::move(done);
    UnaryCall* raw = call.get();
    StubOf(address)->UnaryCall(&*raw->context, method, {}, &raw->request, &raw->reply_bytes,
                               [call](const grpc::Status& status) { call->Finish(status); });
  }

  std::shared_ptr<RpcStream> OpenStream(const std::string& address, const std::string& method,
                                        std::shared_ptr<RpcStreamListener> listener) override {
    auto stream = std::make_shared<GrpcStream>(calls_, client_id_, std::move(listener));
    stream->Start(*StubOf(address), method, stream);
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
  Stubs stubs_;
  const std::shared_ptr<CallsUnderWay> calls_ = std::make_shared<CallsUnderWay>();
};

}  // namespace

std::unique_ptr<RpcConnector> GrpcConnector(std::string client_id, Nanos first_backoff,
                                            Nanos most_backoff) {
  return std::make_unique<Connector>(std::move(client_id), first_backoff, most_backoff);
}

}  // namespace varve::client
