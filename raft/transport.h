// Transport: carries packets between the nodes of a cluster. What is in them, how they are packed
// and what goes first is decided above it (raft/shell), so that the simulator runs all of that on a
// transport of its own. docs/peer_protocol.md.
#ifndef VARVE_RAFT_TRANSPORT_H_
#define VARVE_RAFT_TRANSPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.h"
#include "common/types.h"

namespace varve::raft {

// Lanes of a pair of nodes, each with a connection of its own: entries never delay votes and
// heartbeats.
enum class Lane : uint8_t { kControl, kBulk };
inline constexpr size_t kLanes = 2;

// Bytes that travel as one: `head`, then the parts in order. The parts are entries in the memory of
// the log, which the transport shares until they are sent.
struct OutgoingPacket {
  std::string head;
  std::vector<SharedBytes> parts;
  [[nodiscard]] size_t bytes() const {
    size_t sum = head.size();
    for (const SharedBytes& part : parts) sum += part.size();
    return sum;
  }
};

// Called on any thread; calls about one (node, lane) never overlap. They must not block.
class TransportListener {
 public:
  virtual ~TransportListener() = default;
  // A whole packet came in, in the order of sending within one connection; after a connection broke
  // the ones before may be lost, but none comes twice. Hostile bytes are possible.
  virtual void OnPacket(NodeId from, Lane lane, SharedBytes bytes) = 0;
  // One packet may be sent now: the connection is up, and the packet before it was taken by it.
  virtual void OnReady(NodeId to, Lane lane) = 0;
  // The connection broke or could not be made; what was sent last may be lost. OnReady follows when
  // there is another. `refused`: the other side's host answered that nothing listens there, so the
  // process is gone. Repeated for each attempt that fails.
  virtual void OnDown(NodeId to, Lane lane, bool refused) = 0;
};

// Thread-safe. Each node connects to every other one for what it sends itself; so each side finds
// out by its own attempts that the other's process is gone.
class Transport {
 public:
  virtual ~Transport() = default;
  // Once, before anything else; null: no further calls once this returns.
  virtual void SetListener(TransportListener* listener) = 0;
  // The nodes to be connected to, with their addresses (host:port), instead of those before.
  // Connections to nodes that are not named, or have another address, end.
  virtual void SetPeers(const std::map<NodeId, std::string>& peers) = 0;
  // Only after OnReady, once each. Dropped when the connection broke meanwhile.
  virtual void Send(NodeId to, Lane lane, OutgoingPacket packet) = 0;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_TRANSPORT_H_
