// World's operator: partitions move to other brokers, are added, and are led by others.
#include <algorithm>

#include "tests/sim/cluster/world.h"

namespace varve::clustersim {

using server::BrokerService;

void World::Operate(const Place& place) {
  switch (random->Below(6)) {
    case 0:
      return AddPartition(place.topic);
    case 1:
    case 2:
      return Transfer(place);
    default:
      return Move(place);
  }
}

std::vector<NodeId> World::AnyNodes(size_t count) {
  std::vector<NodeId> nodes = cluster.Ids();
  for (size_t i = nodes.size(); i > 1; --i) std::swap(nodes[i - 1], nodes[random->Below(i)]);
  nodes.resize(std::min(count, nodes.size()));
  return nodes;
}

void World::Move(const Place& place) {
  const size_t node = Route("");
  if (!Serves(node)) return;
  server::MovePartitionRequest request{
      place.topic, place.partition, AnyNodes(options.replicas), {}};
  Note("move", request.nodes.front().value());
  Call<server::MovePartitionReply>(
      node, &BrokerService::MovePartition, std::move(request),
      [this, node, place](const absl::StatusOr<server::MovePartitionReply>& reply) {
        Note("moved", static_cast<uint64_t>(ReasonOf(reply.status())));
        Learn("", node, reply.status());
        if (!reply.ok()) return;
        ++moves;
        // Of two minds, now and then, while the first decision is being carried out.
        if (!random->OneIn(3)) return;
        executor->RunAt(Now() + static_cast<Nanos>(random->Below(kSecond)), [this, place] {
          if (working_) Move(place);
        });
      });
}

void World::Transfer(const Place& place) {
  const size_t node = Route(RouteOf(place));
  if (!Serves(node)) return;
  const NodeId to = AnyNodes(1).front();
  Note("transfer", to.value());
  Call<server::TransferLeaderReply>(
      node, &BrokerService::TransferLeader,
      server::TransferLeaderRequest{place.topic, place.partition, to, {}},
      [this, node, place](const absl::StatusOr<server::TransferLeaderReply>& reply) {
        Note("transferred", static_cast<uint64_t>(ReasonOf(reply.status())));
        if (!reply.ok()) Learn(RouteOf(place), node, reply.status());
      });
}

// Whether one of unknown outcome is there matters to nobody: clients use those that they know.
void World::AddPartition(const std::string& topic) {
  const size_t node = Route("");
  const uint32_t wanted = topics[topic].partitions + 1;
  if (!Serves(node) || wanted > 2 * options.partitions) return;
  server::AddPartitionsRequest request;
  request.name = topic;
  request.partitions = wanted;
  Note("add", wanted);
  Call<server::TopicInfo>(
      node, &BrokerService::AddPartitions, std::move(request),
      [this, node, topic, wanted](const absl::StatusOr<server::TopicInfo>& reply) {
        Note("added", static_cast<uint64_t>(ReasonOf(reply.status())));
        Learn("", node, reply.status());
        uint32_t& known = topics[topic].partitions;
        if (reply.ok()) known = std::max(known, wanted);
      });
}

}  // namespace varve::clustersim
