#include "server/rpc/peer_link.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/rpc/packet_bytes.h"
#include "server/rpc/peer_codec.h"

namespace varve::server {
namespace {

// A listener that answers late may send for connections that broke meanwhile. More than this is not
// that.
constexpr size_t kMostWaiting = 8;

}  // namespace

// One attempt: channel, call and, if accepted, the stream of packets. Destroyed on the loop.
class PacketCall final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit PacketCall(std::shared_ptr<PeerLink> link)
      : link_(std::move(link)),
        channel_(OpenPeerChannel(link_->address_, std::string(NameOf(link_->handshake_.lane)),
                                 link_->parts_.keepalive)),
        stub_(channel_) {
    WriteHandshake(link_->handshake_, &context_);
  }

  void Begin() {
    stub_.PrepareBidiStreamingCall(&context_, kPacketsMethod, {}, this);
    // Writes begin on other threads: the call must not be done before the last of them could.
    AddHold();
    StartRead(&unexpected_);
    StartCall();
  }
  void Write(grpc::ByteBuffer bytes) {
    outgoing_ = std::move(bytes);
    StartWrite(&outgoing_);
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadInitialMetadataDone(bool ok) override {
    // A refusal has no initial metadata: its status follows.
    if (ok && ReadAccepted(link_->handshake_.to, context_.GetServerInitialMetadata()))
      link_->OnAccepted();
  }
  void OnWriteDone(bool ok) override {
    outgoing_.Clear();
    link_->OnWritten(ok);
  }
  void OnReadDone(bool ok) override {
    if (ok) {
      // Nothing comes back on this stream: whoever sends here is no broker.
      context_.TryCancel();
      return StartRead(&unexpected_);
    }
    link_->OnBroken();
    RemoveHold();
  }
  void OnDone(const grpc::Status& status) override {
    absl::Status why = status.ok() ? MakeError(Reason::UNAVAILABLE, "the stream was ended")
                                   : FromPeerGrpcStatus(status);
    link_->parts_.loop.Post(
        [link = link_, why = std::move(why), refused = WasRefusedByHost(status)] {
          link->HandleEnd(why, refused);
        });
  }

 private:
  const std::shared_ptr<PeerLink> link_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer outgoing_;
  grpc::ByteBuffer unexpected_;
};

PeerLink::PeerLink(LinkParts parts, PeerHandshake handshake, std::string address)
    : parts_(std::move(parts)), handshake_(handshake), address_(std::move(address)) {}
PeerLink::~PeerLink() = default;

void PeerLink::Start() {
  parts_.loop.Post([self = shared_from_this()] { self->Attempt(); });
}

void PeerLink::Attempt() {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    parts_.live->Add();
  }
  auto call = std::make_unique<PacketCall>(shared_from_this());
  PacketCall* begun = call.get();
  {
    std::lock_guard lock(mutex_);
    // Closed meanwhile: it is cancelled before it begins, and ends like any other.
    if (closed_) begun->Cancel();
    call_ = std::move(call);
  }
  timeout_ =
      parts_.loop.RunAt(parts_.clock.Now() + kAttemptTimeout, [weak = weak_from_this(), begun] {
        const auto self = weak.lock();
        if (!self) return;
        std::lock_guard lock(self->mutex_);
        if (self->call_.get() == begun && !self->up_) begun->Cancel();
      });
  begun->Begin();
}

void PeerLink::OnAccepted() {
  bool drain = false;
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    up_ = told_up_ = true;
    drain = PushReady();
  }
  if (drain) parts_.calls->Drain(key());
  parts_.loop.Post([self = shared_from_this()] {
    self->up_since_ = self->parts_.clock.Now();
    self->Report(absl::OkStatus());
  });
}

bool PeerLink::PushReady() {
  return parts_.calls->Push(key(), [key = key()](raft::TransportListener& listener) {
    listener.OnReady(key.first, key.second);
  });
}

void PeerLink::Send(raft::OutgoingPacket packet) {
  std::lock_guard lock(mutex_);
  if (!up_) return;
  const size_t bytes = packet.bytes();
  if (bytes > limits::kMaxPeerMessageBytes || waiting_.size() >= kMostWaiting) {
    // Never from a sound sender. The listener must learn that it was not sent.
    up_ = false;
    call_->Cancel();
    return;
  }
  if (writing_) {
    waiting_.push_back(std::move(packet));
    return;
  }
  Write(std::move(packet));
}

void PeerLink::Write(raft::OutgoingPacket packet) {
  writing_ = true;
  call_->Write(ToByteBuffer(std::move(packet)));
}

void PeerLink::OnWritten(bool ok) {
  bool drain = false;
  {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok || !up_) return;
    if (!waiting_.empty()) {
      raft::OutgoingPacket next = std::move(waiting_.front());
      waiting_.pop_front();
      return Write(std::move(next));
    }
    drain = PushReady();
  }
  if (drain) parts_.calls->Drain(key());
}

void PeerLink::OnBroken() {
  std::lock_guard lock(mutex_);
  up_ = false;
}

void PeerLink::HandleEnd(const absl::Status& status, bool refused) {
  std::unique_ptr<PacketCall> ended;
  std::deque<raft::OutgoingPacket> dropped;
  const bool was_up = up_since_ != MonoTime{};
  bool closed = false;
  bool drain = false;
  {
    std::lock_guard lock(mutex_);
    up_ = writing_ = false;
    dropped.swap(waiting_);
    ended = std::move(call_);
    closed = closed_;
    told_up_ = false;
    if (!closed)
      drain = parts_.calls->Push(
          key(), [key = key(), refused = refused && !was_up](raft::TransportListener& listener) {
            listener.OnDown(key.first, key.second, refused);
          });
  }
  if (drain) parts_.calls->Drain(key());
  parts_.loop.Cancel(timeout_);
  ended.reset();
  if (!closed) {
    Report(status);
    Retry(was_up);
  }
  up_since_ = MonoTime{};
  // Last: the transport may be destroyed now.
  parts_.live->Remove();
}

void PeerLink::Retry(bool was_up) {
  // At once after a connection that held for a while; one that is made and broken all the time
  // counts as failing.
  if (was_up && parts_.clock.Now() - up_since_ >= kLastBackoff) {
    backoff_ = 0;
    return Start();
  }
  backoff_ = std::clamp(2 * backoff_, kFirstBackoff, kLastBackoff);
  const Nanos jitter =
      static_cast<Nanos>(parts_.random->Below(static_cast<uint64_t>(backoff_ * 2 / 5)));
  parts_.loop.RunAt(parts_.clock.Now() + backoff_ * 4 / 5 + jitter, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Attempt();
  });
}

void PeerLink::Report(const absl::Status& status) {
  if (status == reported_) return;
  reported_ = status;
  if (*parts_.report) (*parts_.report)(handshake_.to, handshake_.lane, status);
}

void PeerLink::Close() {
  bool tell = false;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(closed_, true)) return;
    if (call_) call_->Cancel();
    up_ = false;
    tell = std::exchange(told_up_, false);
  }
  if (!tell) return;
  parts_.loop.Post([self = shared_from_this()] {
    if (self->parts_.calls->Push(self->key(), [key = self->key()](auto& listener) {
          listener.OnDown(key.first, key.second, false);
        }))
      self->parts_.calls->Drain(self->key());
  });
}

}  // namespace varve::server
