// ShellCluster: nodes with hubs and groups on a simulated network, logs in memory.
#ifndef VARVE_TESTS_RAFT_SHELL_SHELL_CLUSTER_H_
#define VARVE_TESTS_RAFT_SHELL_SHELL_CLUSTER_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/sim/sim_scheduler.h"
#include "raft/group.h"
#include "raft/shell/peer_hub.h"
#include "tests/raft/memory_log_store.h"
#include "tests/support/sim_network.h"

namespace varve::raft {

inline constexpr GroupId kFirstGroup{100};

// A process: the hub and one replica of every group. Durable state outlives it.
class ShellNode final : public GroupRouter, public PeerHubListener {
 public:
  ShellNode(SimScheduler& scheduler, sim::SimNetwork& network, NodeId id, size_t groups,
            std::vector<NodeId> all);
  ~ShellNode() override;

  void Start(uint64_t process_epoch, const std::vector<NodeId>& all);
  void Crash();
  [[nodiscard]] bool running() const { return hub_ != nullptr; }
  [[nodiscard]] Group& group(size_t i) { return *replicas_[i].group; }
  [[nodiscard]] MemoryLogStore& log(size_t i) { return *replicas_[i].log; }
  [[nodiscard]] size_t committed(size_t i) const { return replicas_[i].results_committed; }
  PeerHub& hub() { return *hub_; }
  Executor& shard() { return *shard_; }
  [[nodiscard]] uint64_t messages_delivered() const { return messages_delivered_; }
  // Nodes that live, as this one is told.
  [[nodiscard]] const std::map<NodeId, bool>& liveness() const { return liveness_; }
  [[nodiscard]] const std::map<GroupId, NodeId>& leaders() const { return leaders_; }
  [[nodiscard]] size_t refused() const { return refused_; }

 private:
  struct Replica final : GroupListener {
    std::optional<CoreState> durable;
    std::vector<Entry> entries;
    std::unique_ptr<MemoryLogStore> log;
    std::unique_ptr<Group> group;
    size_t results_committed = 0;
    size_t* refused = nullptr;
    void OnRoleChange(const RoleChange&) override {}
    void OnCommitted(Index, Offset) override {}
    void OnDurable() override {}
    void OnLeadershipConfirmed() override {}
    void OnProposal(ProposalResult result) override {
      if (std::holds_alternative<ProposalCommitted>(result.result)) ++results_committed;
    }
    void OnPrepareInstall(const PrepareInstall&) override {}
    void OnStageInstall(const StageInstall&) override {}
    void OnRefusedMessage(const RefusedMessage&) override { ++*refused; }
  };
  void Deliver(std::vector<Message> messages) override;
  void DeliverPieces(std::vector<PieceMessage>) override {}
  void Tell(std::vector<PeerNews> news) override;
  void TellLost(NodeId node) override;
  void OnHeartbeat(NodeId, const NodeHeartbeat&) override {}
  void OnLed(NodeId node, const LedView::Changes& changes) override;
  void OnLiveness(NodeId node, bool live) override { liveness_[node] = live; }
  std::string NoteFor(NodeId) override { return {}; }
  Replica* Find(GroupId group);

  SimScheduler& scheduler_;
  sim::SimNetwork& network_;
  const NodeId id_;
  std::vector<Replica> replicas_;
  std::unique_ptr<Executor> shard_, home_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<PeerHub> hub_;
  uint64_t messages_delivered_ = 0;
  size_t refused_ = 0;
  std::map<NodeId, bool> liveness_;
  std::map<GroupId, NodeId> leaders_;
};

class ShellCluster {
 public:
  ShellCluster(uint64_t seed, size_t nodes, size_t groups);
  ~ShellCluster();

  ShellNode& node(size_t i) { return *nodes_[i]; }
  void Crash(size_t i) { nodes_[i]->Crash(); }
  void Restart(size_t i) { nodes_[i]->Start(++epochs_[i], ids_); }
  void Isolate(size_t i) { network.Isolate(ids_[i], ids_); }
  // The node that leads the group confirmed; nullopt: none, or none of those running.
  std::optional<size_t> LeaderOf(size_t group);
  [[nodiscard]] bool AllLed();
  // Runs until every group is led and confirmed; how long that took, or nothing within `limit`.
  std::optional<Nanos> AwaitLeaders(Nanos limit = 10 * kSecond);
  // Proposes through the leader and waits for the commit.
  bool Commit(size_t group, Nanos limit = 5 * kSecond);
  [[nodiscard]] bool AllAsleep();
  [[nodiscard]] std::vector<NodeId> ids() const { return ids_; }
  [[nodiscard]] size_t groups() const { return groups_; }

  SimScheduler scheduler;
  sim::SimNetwork network;

 private:
  const size_t groups_;
  std::vector<NodeId> ids_;
  std::vector<uint64_t> epochs_;
  std::vector<std::unique_ptr<ShellNode>> nodes_;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SHELL_SHELL_CLUSTER_H_
