// Leader balance: who is to lead which partition, so that the leaders are spread evenly.
#ifndef VARVE_SERVER_METADATA_LEADER_BALANCE_H_
#define VARVE_SERVER_METADATA_LEADER_BALANCE_H_

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "common/clock.h"
#include "common/types.h"
#include "server/metadata/catalogue.h"
#include "server/metadata/cluster_view.h"

namespace varve::server {

// A partition that has a leader, and where its replicas are.
struct LedPartition {
  GroupId group;
  NodeId leader;
  std::vector<NodeId> nodes;
};
struct LeaderMove {
  GroupId group;
  NodeId to;
  bool operator==(const LeaderMove&) const = default;
};

// Moves after which the live brokers of one topic lead as many of its partitions each, give or take
// one, as far as the replicas allow. Equal inputs give equal moves.
std::vector<LeaderMove> BalanceTopic(std::vector<LedPartition> partitions,
                                     const std::set<NodeId>& live);

// Decides on hand-overs when leaders have been where they are for a while: elections settle by
// themselves, and a broker that comes back gets its leaders back. Confined to the metadata
// partition's shard; looks at the topics only after a leader or a broker changed.
class LeaderBalancer {
 public:
  // Asks that `to` leads the group; nothing is made of the answer.
  using Transfer = std::function<void(GroupId group, NodeId to)>;
  LeaderBalancer(const Catalogue& catalogue, const ClusterView& view, const Clock& clock,
                 Transfer transfer)
      : catalogue_(catalogue), view_(view), clock_(clock), transfer_(std::move(transfer)) {}
  // Called now and then while this broker is the controller.
  void Review();

 private:
  [[nodiscard]] std::vector<LeaderMove> FindMoves() const;

  const Catalogue& catalogue_;
  const ClusterView& view_;
  const Clock& clock_;
  const Transfer transfer_;
  uint64_t seen_ = 0;  // changes of the view
  bool balanced_ = false;
  MonoTime settled_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_LEADER_BALANCE_H_
