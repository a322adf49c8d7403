#include "server/rpc/packet_stream.h"

#include <utility>

#include "common/error.h"
#include "server/rpc/packet_bytes.h"
#include "server/rpc/peer_codec.h"

namespace varve::server {

grpc::ServerGenericBidiReactor* PacketStream::Open(std::shared_ptr<InboundStreams> streams,
                                                   grpc::CallbackServerContext* context) {
  std::shared_ptr<PacketStream> stream(new PacketStream(std::move(streams)));
  stream->self_ = stream;
  const absl::Status accepted = stream->Accept(context);
  if (!accepted.ok()) stream->Close(accepted);
  return stream.get();
}

absl::Status PacketStream::Accept(grpc::CallbackServerContext* context) {
  if (!streams_) return MakeError(Reason::STARTING, "this broker is starting");
  VARVE_ASSIGN_OR_RETURN(handshake_, ReadHandshake(context->client_metadata()));
  VARVE_RETURN_IF_ERROR(streams_->Insert(handshake_, shared_from_this()));
  std::lock_guard lock(mutex_);
  if (finished_) return absl::OkStatus();  // replaced already
  WriteAccepted(streams_->self(), context);
  StartSendInitialMetadata();
  StartRead(&incoming_);
  return absl::OkStatus();
}

void PacketStream::OnReadDone(bool ok) {
  if (!ok) return End(grpc::Status::OK);
  SharedBytes packet = ToSharedBytes(incoming_);
  incoming_.Clear();
  streams_->Deliver(handshake_, this, std::move(packet),
                    [self = shared_from_this()] { self->ReadNext(); });
}

void PacketStream::ReadNext() {
  std::lock_guard lock(mutex_);
  if (!finished_) StartRead(&incoming_);
}

void PacketStream::Close(const absl::Status& why) { End(ToPeerGrpcStatus(why)); }

void PacketStream::OnCancel() { End({grpc::StatusCode::CANCELLED, "the connection broke"}); }

void PacketStream::End(const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  if (std::exchange(finished_, true)) return;
  Finish(status);
}

void PacketStream::OnDone() {
  if (streams_) streams_->Remove(handshake_, this);
  const std::shared_ptr<PacketStream> last = std::move(self_);
}

}  // namespace varve::server
