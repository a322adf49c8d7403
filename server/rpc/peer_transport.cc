#include "server/rpc/peer_transport.h"

#include <set>
#include <utility>

namespace varve::server {

PeerTransport::PeerTransport(PeerTransportOptions options, const Clock& clock, Executor& loop)
    : handshake_{.cluster = options.cluster,
                 .from = options.node,
                 .to = {},
                 .process_epoch = options.process_epoch,
                 .lane = {}},
      parts_{.keepalive = options.keepalive,
             .clock = clock,
             .loop = loop,
             .calls = std::make_shared<ListenerCalls>(),
             .live = std::make_shared<LiveCalls>(),
             .random = SystemRandom(),
             .report = std::make_shared<decltype(options.report)>(std::move(options.report))},
      inbound_(std::make_shared<InboundStreams>(options.cluster, options.node, parts_.calls)) {}

PeerTransport::~PeerTransport() {
  SetListener(nullptr);
  SetPeers({});
  parts_.live->WaitForNone();
}

void PeerTransport::SetListener(raft::TransportListener* listener) {
  parts_.calls->SetListener(listener);
  if (listener == nullptr) inbound_->Close();
}

void PeerTransport::SetPeers(const std::map<NodeId, std::string>& peers) {
  std::set<NodeId> nodes;
  // Under the lock to the end: of two calls, the later one's links begin last.
  std::lock_guard lock(mutex_);
  for (auto at = links_.begin(); at != links_.end();) {
    const auto peer = peers.find(at->first.first);
    if (peer != peers.end() && peer->second == at->second->address()) {
      ++at;
      continue;
    }
    at->second->Close();
    at = links_.erase(at);
  }
  for (const auto& [node, address] : peers) {
    if (node == handshake_.from) continue;
    nodes.insert(node);
    for (const raft::Lane lane : {raft::Lane::kControl, raft::Lane::kBulk}) {
      const auto [at, added] = links_.try_emplace({node, lane});
      if (!added) continue;
      PeerHandshake handshake = handshake_;
      handshake.to = node;
      handshake.lane = lane;
      at->second = std::make_shared<PeerLink>(parts_, handshake, address);
      at->second->Start();
    }
  }
  inbound_->SetPeers(std::move(nodes));
}

void PeerTransport::Send(NodeId to, raft::Lane lane, raft::OutgoingPacket packet) {
  std::shared_ptr<PeerLink> link;
  {
    std::lock_guard lock(mutex_);
    if (const auto at = links_.find({to, lane}); at != links_.end()) link = at->second;
  }
  if (link) link->Send(std::move(packet));
}

}  // namespace varve::server
