#include "tests/support/sim_network.h"

#include <algorithm>

namespace varve::sim {

using raft::Lane;

class SimNetwork::NodeTransport final : public raft::Transport {
 public:
  NodeTransport(SimNetwork& network, NodeId node) : network_(network), node_(node) {
    network_.Join(*this);
  }
  ~NodeTransport() override { network_.Leave(*this); }
  void SetListener(raft::TransportListener* listener) override { listener_ = listener; }
  void SetPeers(const std::map<NodeId, std::string>& peers) override {
    std::set<NodeId> nodes;
    for (const auto& [node, address] : peers) nodes.insert(node);
    network_.SetPeers(*this, std::move(nodes));
  }
  void Send(NodeId to, Lane lane, raft::OutgoingPacket packet) override {
    network_.Send(*this, to, lane, std::move(packet));
  }
  [[nodiscard]] NodeId node() const { return node_; }
  [[nodiscard]] raft::TransportListener* listener() const { return listener_; }

 private:
  SimNetwork& network_;
  const NodeId node_;
  raft::TransportListener* listener_ = nullptr;
};

SimNetwork::SimNetwork(SimScheduler& scheduler, SimNetworkOptions options)
    : scheduler_(scheduler), options_(options), executor_(scheduler.NewExecutor("network")) {}

SimNetwork::~SimNetwork() = default;

std::unique_ptr<raft::Transport> SimNetwork::NewTransport(NodeId node) {
  return std::make_unique<NodeTransport>(*this, node);
}

raft::TransportListener* SimNetwork::ListenerOf(NodeId node) const {
  const auto at = nodes_.find(node);
  return at == nodes_.end() ? nullptr : at->second->listener();
}

Nanos SimNetwork::Delay() {
  const auto spread = static_cast<uint64_t>(options_.max_delay - options_.min_delay) + 1;
  return options_.min_delay + static_cast<Nanos>(scheduler_.random().Below(spread));
}

void SimNetwork::Join(NodeTransport& transport) { nodes_[transport.node()] = &transport; }

// The process ends: what it sent may arrive, what others send to it does not.
void SimNetwork::Leave(NodeTransport& transport) {
  const NodeId gone = transport.node();
  nodes_.erase(gone);
  std::erase_if(links_, [gone](const auto& link) { return link.first.first.first == gone; });
  for (auto& [key, link] : links_)
    if (link.to == gone && !IsCut(key)) Break(key);
}

void SimNetwork::SetPeers(NodeTransport& transport, std::set<NodeId> peers) {
  const NodeId from = transport.node();
  std::erase_if(links_, [&](const auto& link) {
    return link.first.first.first == from && !peers.contains(link.first.first.second);
  });
  for (const NodeId to : peers) {
    for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
      const LinkKey key{{from, to}, lane};
      if (links_.contains(key)) continue;
      links_[key] = {from, to, lane, false, false, ++last_connection_, 0, {}};
      executor_->RunAt(scheduler_.Now() + Delay(),
                       [this, key, connection = last_connection_] { Connect(key, connection); });
    }
  }
}

void SimNetwork::Connect(const LinkKey& key, uint64_t connection) {
  const auto at = links_.find(key);
  if (at == links_.end() || at->second.connection != connection || at->second.up) return;
  Link& link = at->second;
  if (IsCut(key) || IsCut({{link.to, link.from}, link.lane})) return Retry(key, false);
  if (ListenerOf(link.to) == nullptr) return Retry(key, true);
  link.up = true;
  link.asks = true;
  link.failures = 0;
  link.last_arrival = scheduler_.Now();
  ++stats_.connections;
  if (raft::TransportListener* listener = ListenerOf(link.from))
    listener->OnReady(link.to, link.lane);
}

void SimNetwork::Retry(const LinkKey& key, bool refused) {
  Link& link = links_.at(key);
  link.up = false;
  link.connection = ++last_connection_;
  const uint32_t doubled = std::min<uint32_t>(link.failures++, 10);
  const Nanos backoff = std::min(options_.first_backoff << doubled, options_.most_backoff);
  if (refused) ++stats_.refused;
  executor_->RunAt(scheduler_.Now() + backoff,
                   [this, key, connection = link.connection] { Connect(key, connection); });
  if (raft::TransportListener* listener = ListenerOf(link.from))
    listener->OnDown(link.to, link.lane, refused);
}

// Noticed by the sender after a while, as a reset is; the first new attempt follows at once.
void SimNetwork::Break(const LinkKey& key) {
  Link& link = links_.at(key);
  if (!link.up) return;
  link.up = false;
  link.connection = ++last_connection_;
  executor_->RunAt(scheduler_.Now() + Delay(), [this, key, connection = link.connection] {
    const auto at = links_.find(key);
    if (at == links_.end() || at->second.connection != connection) return;
    if (raft::TransportListener* listener = ListenerOf(key.first.first))
      listener->OnDown(key.first.second, key.second, false);
    Connect(key, connection);
  });
}

void SimNetwork::Send(NodeTransport& transport, NodeId to, Lane lane, raft::OutgoingPacket packet) {
  const LinkKey key{{transport.node(), to}, lane};
  const auto at = links_.find(key);
  if (at == links_.end() || !at->second.up) return;
  Link& link = at->second;
  if (!std::exchange(link.asks, false)) ++stats_.unasked;
  std::string bytes = std::move(packet.head);
  for (const SharedBytes& part : packet.parts) bytes.append(part.view());
  ++stats_.packets;
  if (lane == Lane::kControl)
    stats_.largest_control_packet = std::max(stats_.largest_control_packet, bytes.size());
  stats_.bytes += bytes.size();
  scheduler_.Trace("packet", bytes.size());
  // A cut link takes no more; until then its buffers take this one.
  if (IsCut(key)) return void(++stats_.swallowed);
  const Nanos transfer =
      static_cast<Nanos>(bytes.size() * uint64_t{kSecond} / options_.bytes_per_second);
  const MonoTime taken = scheduler_.Now() + transfer;
  link.last_arrival = std::max(link.last_arrival, taken + Delay());
  const uint64_t connection = link.connection;
  executor_->RunAt(taken, [this, key, connection] {
    const auto now = links_.find(key);
    if (now == links_.end() || now->second.connection != connection || !now->second.up) return;
    if (IsCut(key)) return;
    now->second.asks = true;
    if (raft::TransportListener* listener = ListenerOf(key.first.first))
      listener->OnReady(key.first.second, key.second);
  });
  executor_->RunAt(link.last_arrival, [this, key, from = transport.node(), to, lane,
                                       bytes = SharedBytes::Take(std::move(bytes))] {
    if (IsCut(key)) return void(++stats_.swallowed);
    if (raft::TransportListener* listener = ListenerOf(to)) listener->OnPacket(from, lane, bytes);
  });
}

void SimNetwork::Cut(NodeId from, NodeId to) {
  CutLane(from, to, Lane::kControl);
  CutLane(from, to, Lane::kBulk);
}

void SimNetwork::CutLane(NodeId from, NodeId to, Lane lane) { cut_.insert({{from, to}, lane}); }

void SimNetwork::Isolate(NodeId node, const std::vector<NodeId>& others) {
  for (const NodeId other : others) {
    if (other == node) continue;
    Cut(node, other);
    Cut(other, node);
  }
}

void SimNetwork::Mend(NodeId from, NodeId to) {
  for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
    const LinkKey key{{from, to}, lane};
    if (cut_.erase(key) > 0 && links_.contains(key)) Break(key);
  }
}

void SimNetwork::BreakConnections(NodeId one, NodeId other) {
  for (const Lane lane : {Lane::kControl, Lane::kBulk}) {
    for (const LinkKey& key : {LinkKey{{one, other}, lane}, LinkKey{{other, one}, lane}})
      if (links_.contains(key)) Break(key);
  }
}

void SimNetwork::SetDelay(Nanos min_delay, Nanos max_delay) {
  options_.min_delay = min_delay;
  options_.max_delay = max_delay;
}

void SimNetwork::Heal() {
  for (const LinkKey& key : std::exchange(cut_, {}))
    if (links_.contains(key)) Break(key);
}

}  // namespace varve::sim
