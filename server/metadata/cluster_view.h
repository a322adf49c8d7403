// ClusterView: the brokers of the cluster and who leads what, for every thread to look up.
#ifndef VARVE_SERVER_METADATA_CLUSTER_VIEW_H_
#define VARVE_SERVER_METADATA_CLUSTER_VIEW_H_

#include <map>
#include <optional>
#include <set>
#include <shared_mutex>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "common/types.h"
#include "server/service/peer_service.h"

namespace varve::server {

// Thread-safe; reads take a shared lock for a map look-up. Brokers come from the fold of the
// metadata, leaders from this broker's own partitions and from the others' heartbeats.
class ClusterView {
 public:
  struct Leader {
    NodeId node;
    Term term;
  };

  void PutBroker(const BrokerInfo& broker);
  void RemoveBroker(NodeId node);
  void ClearBrokers();
  [[nodiscard]] std::vector<BrokerInfo> brokers() const;  // by node
  [[nodiscard]] std::optional<BrokerInfo> FindBroker(NodeId node) const;

  // Whether the broker is to leave, and who takes its replicas (0: whoever has room).
  void SetLeaving(NodeId node, std::optional<NodeId> replacement);
  [[nodiscard]] std::optional<NodeId> LeavingFor(NodeId node) const;

  // A later term wins; of one term the first says who leads.
  void NoteLeader(GroupId group, NodeId node, Term term);
  // The node does not lead the group any more.
  void ForgetLeader(GroupId group, NodeId node);
  [[nodiscard]] std::optional<Leader> LeaderOf(GroupId group) const;
  // Groups per leading node, without those of internal partitions.
  [[nodiscard]] std::map<NodeId, uint64_t> LeaderCounts() const;

  // Whether the node's heartbeats arrive; this broker itself always lives.
  void SetLive(NodeId node, bool live, MonoTime now = {});
  [[nodiscard]] bool IsLive(NodeId node) const;
  // When it ceased to live, as far as that was seen here.
  [[nodiscard]] std::optional<MonoTime> LostSince(NodeId node) const;
  // Grows whenever a group gets another leader or a node begins or ceases to live.
  [[nodiscard]] uint64_t changes() const;

  // Why a replica here cannot do what its leader could: NOT_LEADER with leader_node and
  // leader_address, or LEADER_UNKNOWN.
  [[nodiscard]] absl::Status NotLeader(GroupId group) const;

 private:
  mutable std::shared_mutex mutex_;
  std::map<NodeId, BrokerInfo> brokers_;
  std::map<NodeId, NodeId> leaving_;  // and its replacement
  std::map<GroupId, Leader> leaders_;
  std::set<NodeId> live_;
  std::map<NodeId, MonoTime> lost_since_;
  uint64_t changes_ = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_CLUSTER_VIEW_H_
