// Placement: on which brokers a partition's replicas are to be.
#ifndef VARVE_SERVER_METADATA_PLACEMENT_H_
#define VARVE_SERVER_METADATA_PLACEMENT_H_

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/types.h"
#include "server/metadata/catalogue.h"
#include "server/metadata/entity_values.h"

namespace varve::server {

// What a choice of brokers looks at.
struct Brokers {
  std::map<NodeId, BrokerRecord> records;
  std::set<NodeId> live;
  std::map<NodeId, uint64_t> replicas;  // how many each has, choices made since included

  // May get replicas.
  [[nodiscard]] bool IsActive(NodeId node) const;
  // The live active broker with the fewest replicas that is in neither list; the lowest node id of
  // several.
  [[nodiscard]] std::optional<NodeId> LeastLoaded(const std::vector<NodeId>& without) const;
};

// The partition with its replicas on `nodes`, in that order: who is there stays as it is, who comes
// back before it was gone comes back as it was, others get an epoch that was never given before,
// and who is not named leaves. The nodes are known and differ.
PartitionPlacement WithReplicasOn(PartitionPlacement now, const std::vector<NodeId>& nodes,
                                  const Brokers& brokers);

// A replica that lost its data, or is of no use any more.
using SuspectReplicas = std::set<std::pair<GroupId, ReplicaId>>;

// What is to change by itself, if anything: replicas on brokers that leave move to others, those
// that were on a former directory of their node, or are suspect, begin anew under another epoch.
// Nothing changes where nobody else could take over: see `can_lose`, asked for each replica that
// would begin anew.
std::optional<PartitionPlacement> RenewedPlacement(const PartitionPlacement& now,
                                                   const SuspectReplicas& suspects,
                                                   const std::function<bool(ReplicaId)>& can_lose,
                                                   Brokers* brokers);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_PLACEMENT_H_
