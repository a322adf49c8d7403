// SimNetwork: transports of simulated nodes: packets take time, links are cut, processes die.
#ifndef VARVE_TESTS_SUPPORT_SIM_NETWORK_H_
#define VARVE_TESTS_SUPPORT_SIM_NETWORK_H_

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/sim/sim_scheduler.h"
#include "raft/transport.h"

namespace varve::sim {

struct SimNetworkOptions {
  // A packet takes `min_delay` to `max_delay`, and its bytes at this rate.
  Nanos min_delay = 50 * kMicrosecond;
  Nanos max_delay = 300 * kMicrosecond;
  uint64_t bytes_per_second = 500'000'000;
  Nanos first_backoff = 50 * kMillisecond;
  Nanos most_backoff = kSecond;
};

// Connections as TCP makes them: in order and whole, until they break. A cut link swallows what is
// sent; when it is whole again, its connections break and are made anew. Single-threaded.
class SimNetwork {
 public:
  SimNetwork(SimScheduler& scheduler, SimNetworkOptions options);
  ~SimNetwork();

  // The transport of a process of `node`; destroying it is the process's end.
  std::unique_ptr<raft::Transport> NewTransport(NodeId node);
  // Nothing goes from one to the other, in this direction, on this lane or both.
  void Cut(NodeId from, NodeId to);
  void CutLane(NodeId from, NodeId to, raft::Lane lane);
  void Heal();
  // Whole again, in this direction.
  void Mend(NodeId from, NodeId to);
  // The connections between two nodes break, in both directions, and are made anew.
  void BreakConnections(NodeId one, NodeId other);
  // From now on, until changed again.
  void SetDelay(Nanos min_delay, Nanos max_delay);
  // Nodes in different sets do not hear each other.
  void Isolate(NodeId node, const std::vector<NodeId>& others);

  struct Stats {
    uint64_t packets = 0, bytes = 0, swallowed = 0, connections = 0, refused = 0;
    // Against the rules of Transport: sent while the lane did not ask for a packet.
    uint64_t unasked = 0;
    size_t largest_control_packet = 0;
  };
  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  class NodeTransport;
  // One direction of one lane between two processes.
  struct Link {
    NodeId from, to;
    raft::Lane lane = raft::Lane::kControl;
    bool up = false;
    bool asks = false;        // for a packet; it takes one at a time
    uint64_t connection = 0;  // number of this one; what belongs to another is ignored
    uint32_t failures = 0;
    MonoTime last_arrival;
  };
  using LinkKey = std::pair<std::pair<NodeId, NodeId>, raft::Lane>;

  void Join(NodeTransport& transport);
  void Leave(NodeTransport& transport);
  void SetPeers(NodeTransport& transport, std::set<NodeId> peers);
  void Send(NodeTransport& transport, NodeId to, raft::Lane lane, raft::OutgoingPacket packet);
  void Connect(const LinkKey& key, uint64_t connection);
  void Break(const LinkKey& key);
  void Retry(const LinkKey& key, bool refused);
  [[nodiscard]] bool IsCut(const LinkKey& key) const { return cut_.contains(key); }
  [[nodiscard]] Nanos Delay();
  raft::TransportListener* ListenerOf(NodeId node) const;

  SimScheduler& scheduler_;
  SimNetworkOptions options_;
  std::unique_ptr<Executor> executor_;
  std::map<NodeId, NodeTransport*> nodes_;
  std::map<LinkKey, Link> links_;
  std::set<LinkKey> cut_;
  uint64_t last_connection_ = 0;
  Stats stats_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SUPPORT_SIM_NETWORK_H_
