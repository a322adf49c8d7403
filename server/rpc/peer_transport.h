// PeerTransport: packets between brokers on gRPC streams. docs/peer_protocol.md, "Connections".
#ifndef VARVE_SERVER_RPC_PEER_TRANSPORT_H_
#define VARVE_SERVER_RPC_PEER_TRANSPORT_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"
#include "common/executor.h"
#include "raft/transport.h"
#include "server/rpc/inbound_streams.h"
#include "server/rpc/peer_link.h"

namespace varve::server {

struct PeerTransportOptions {
  ClusterId cluster;
  NodeId node;
  uint64_t process_epoch = 0;
  PeerKeepalive keepalive;
  // For the log: a lane to a node came up (OK), or fails for another reason than before, such as
  // FOREIGN_CLUSTER, PEER_REFUSED, UNAVAILABLE. Called on `loop`.
  absl::AnyInvocable<void(NodeId to, raft::Lane lane, const absl::Status& status)> report;
};

// Connects to each peer once for each lane; what the others send arrives at the door to which
// inbound() was attached (PeerDoor::SetInbound). Thread-safe as raft::Transport says; the listener
// is called on gRPC's threads and on `loop`. Besides what Transport promises: OnDown comes for a
// connection that SetPeers ended, too, and a packet of more than limits::kMaxPeerMessageBytes
// breaks its connection instead of being sent. SetListener(nullptr) refuses the others' streams
// from then on.
class PeerTransport final : public raft::Transport {
 public:
  // `loop` makes and destroys connections, which takes milliseconds: not a shard. It must outlive
  // the transport and must not be the thread that destroys it.
  PeerTransport(PeerTransportOptions options, const Clock& clock, Executor& loop);
  // Returns when no connection to a peer and no call of the listener is left.
  ~PeerTransport() override;

  void SetListener(raft::TransportListener* listener) override;
  void SetPeers(const std::map<NodeId, std::string>& peers) override;
  void Send(NodeId to, raft::Lane lane, raft::OutgoingPacket packet) override;

  [[nodiscard]] std::shared_ptr<InboundStreams> inbound() const { return inbound_; }

 private:
  PeerHandshake handshake_;  // but for `to` and `lane`
  LinkParts parts_;
  const std::shared_ptr<InboundStreams> inbound_;
  std::mutex mutex_;
  std::map<ListenerCalls::Key, std::shared_ptr<PeerLink>> links_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_TRANSPORT_H_
