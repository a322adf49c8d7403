// PeerDoor: the inter-broker port. docs/peer_protocol.md, "Connections".
#ifndef VARVE_SERVER_RPC_PEER_DOOR_H_
#define VARVE_SERVER_RPC_PEER_DOOR_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/inbound_streams.h"
#include "server/rpc/peer_channel.h"
#include "server/service/peer_service.h"

namespace varve::server {

struct PeerDoorOptions {
  std::string address;  // "127.0.0.1:9641"; port 0 takes a free one
  // Pings that come twice as often are taken for an attack: all brokers have the same here.
  PeerKeepalive keepalive;
};

// Listens before the broker has recovered, so that others learn that its process lives: calls and
// streams are answered STARTING until there is somebody to answer them. Thread-safe.
class PeerDoor {
 public:
  // ADDRESS_IN_USE.
  static absl::StatusOr<std::unique_ptr<PeerDoor>> Start(PeerDoorOptions options);
  virtual ~PeerDoor() = default;  // as Shutdown
  [[nodiscard]] virtual int port() const = 0;
  // Null: STARTING. Returns when no call of the service before is being made; answers that it owes
  // may still come, at any time.
  virtual void SetService(PeerService* service) = 0;
  // Null: STARTING. Streams that were accepted stay with the one before.
  virtual void SetInbound(std::shared_ptr<InboundStreams> inbound) = 0;
  // Closes the port, cancels calls and streams, returns when none is left. Idempotent.
  virtual void Shutdown() = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_DOOR_H_
