#include "server/metadata/placement.h"

#include <algorithm>

#include "server/defect.h"

namespace varve::server {
namespace {

ReplicaEpoch DirectoryOf(NodeId node, const Brokers& brokers) {
  const auto at = brokers.records.find(node);
  return at == brokers.records.end() ? ReplicaEpoch(1) : at->second.metadata_epoch;
}

PlacedReplica NewReplica(NodeId node, const Brokers& brokers, PartitionPlacement* placement) {
  ++placement->last_epoch;
  return {{node, placement->last_epoch}, DirectoryOf(node, brokers)};
}

// Whether the replica was given to another directory than the node has now.
bool IsOfFormerDirectory(const PlacedReplica& placed, const Brokers& brokers) {
  return placed.broker_epoch < DirectoryOf(placed.replica.node, brokers);
}

// Gives the goal's replica on the node another epoch.
void BeginAnew(NodeId node, const Brokers& brokers, PartitionPlacement* placement) {
  for (PlacedReplica& placed : placement->replicas) {
    if (placed.replica.node != node || Planted(Defect::kWipedKeepsEpoch)) continue;
    placement->leaving.push_back(placed);
    placed = NewReplica(node, brokers, placement);
  }
}

// Puts others in the place of brokers that leave, as far as there are any; whether it did.
bool MoveFromLeaving(Brokers* brokers, std::vector<NodeId>* nodes) {
  bool changed = false;
  for (NodeId& node : *nodes) {
    const auto record = brokers->records.find(node);
    if (record == brokers->records.end() || record->second.duty == BrokerDuty::kActive) continue;
    const NodeId named = record->second.replacement;
    const bool takes =
        brokers->IsActive(named) && std::find(nodes->begin(), nodes->end(), named) == nodes->end();
    const std::optional<NodeId> other = takes ? named : brokers->LeastLoaded(*nodes);
    if (!other) continue;
    --brokers->replicas[node];
    ++brokers->replicas[*other];
    node = *other;
    changed = true;
  }
  return changed;
}

}  // namespace

bool Brokers::IsActive(NodeId node) const {
  const auto at = records.find(node);
  return at != records.end() && at->second.duty == BrokerDuty::kActive;
}

std::optional<NodeId> Brokers::LeastLoaded(const std::vector<NodeId>& without) const {
  std::optional<NodeId> best;
  uint64_t fewest = 0;
  for (const auto& [node, record] : records) {
    if (record.duty != BrokerDuty::kActive || !live.contains(node)) continue;
    if (std::find(without.begin(), without.end(), node) != without.end()) continue;
    const auto at = replicas.find(node);
    const uint64_t count = at == replicas.end() ? 0 : at->second;
    if (best && count >= fewest) continue;
    best = node;
    fewest = count;
  }
  return best;
}

PartitionPlacement WithReplicasOn(PartitionPlacement now, const std::vector<NodeId>& nodes,
                                  const Brokers& brokers) {
  std::vector<PlacedReplica> goal;
  for (const NodeId node : nodes) {
    if (const PlacedReplica* here = now.OnNode(node)) {
      goal.push_back(*here);
      continue;
    }
    const auto back =
        std::find_if(now.leaving.begin(), now.leaving.end(), [&](const PlacedReplica& placed) {
          return placed.replica.node == node && !IsOfFormerDirectory(placed, brokers);
        });
    if (back == now.leaving.end()) {
      goal.push_back(NewReplica(node, brokers, &now));
    } else {
      goal.push_back(*back);
      now.leaving.erase(back);
    }
  }
  for (const PlacedReplica& placed : now.replicas)
    if (std::find(goal.begin(), goal.end(), placed) == goal.end() &&
        !Planted(Defect::kLeavingForgotten))
      now.leaving.push_back(placed);
  now.replicas = std::move(goal);
  return now;
}

std::optional<PartitionPlacement> RenewedPlacement(const PartitionPlacement& now,
                                                   const SuspectReplicas& suspects,
                                                   const std::function<bool(ReplicaId)>& can_lose,
                                                   Brokers* brokers) {
  std::vector<NodeId> nodes;
  for (const PlacedReplica& placed : now.replicas) nodes.push_back(placed.replica.node);
  PartitionPlacement next = now;
  bool changed = MoveFromLeaving(brokers, &nodes);
  if (changed) next = WithReplicasOn(std::move(next), nodes, *brokers);
  for (const PlacedReplica& placed : now.replicas) {
    const NodeId node = placed.replica.node;
    if (next.OnNode(node) == nullptr || !brokers->IsActive(node)) continue;
    if (!IsOfFormerDirectory(placed, *brokers) && !suspects.contains({now.group, placed.replica}))
      continue;
    if (!can_lose(placed.replica)) continue;
    BeginAnew(node, *brokers, &next);
    changed = true;
  }
  if (!changed) return std::nullopt;
  return next;
}

}  // namespace varve::server
