// PacketStream: the accepting side of one connection between brokers.
#ifndef VARVE_SERVER_RPC_PACKET_STREAM_H_
#define VARVE_SERVER_RPC_PACKET_STREAM_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>

#include "server/rpc/inbound_streams.h"

namespace varve::server {

// Reads one packet at a time: the next one when the listener has taken the one before, so that a
// slow receiver slows its sender down. Owns itself until gRPC is done with it.
class PacketStream final : public grpc::ServerGenericBidiReactor,
                           public InboundStream,
                           public std::enable_shared_from_this<PacketStream> {
 public:
  // Judges the handshake. `streams` null: STARTING.
  static grpc::ServerGenericBidiReactor* Open(std::shared_ptr<InboundStreams> streams,
                                              grpc::CallbackServerContext* context);

  void Close(const absl::Status& why) override;

  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit PacketStream(std::shared_ptr<InboundStreams> streams) : streams_(std::move(streams)) {}
  absl::Status Accept(grpc::CallbackServerContext* context);
  void ReadNext();
  void End(const grpc::Status& status);

  const std::shared_ptr<InboundStreams> streams_;
  PeerHandshake handshake_;
  grpc::ByteBuffer incoming_;
  std::mutex mutex_;  // no operation begins once finished
  bool finished_ = false;
  std::shared_ptr<PacketStream> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PACKET_STREAM_H_
