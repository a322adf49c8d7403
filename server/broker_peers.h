// BrokerPeers: this broker among the others: links, who lives and leads, and its own registration.
#ifndef VARVE_SERVER_BROKER_PEERS_H_
#define VARVE_SERVER_BROKER_PEERS_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "raft/shell/peer_hub.h"
#include "raft/transport.h"
#include "server/metadata/cluster_view.h"
#include "server/metadata/controller.h"
#include "server/partition/partition_host.h"
#include "server/service/peer_service.h"
#include "storage/data_directory.h"

namespace varve::server {

struct BrokerPeersParts {
  storage::DataDirectory& directory;
  PartitionHost& host;
  ClusterView& view;
  raft::Transport& transport;
  PeerClient& client;
  Executor& home;  // of the hub
  const Clock& clock;
  std::vector<Executor*> shards;
  // The controller, on the metadata partition's shard; null before the broker is ready.
  std::function<Controller*()> controller;
  BrokerInfo self;
  // Brokers to begin with, until the metadata names them. From Start on of the metadata
  // partition's shard.
  std::vector<BrokerInfo> known;
  // For the log: why this directory, or another node's, is found to be a restored image.
  std::function<void(NodeId node, const std::string& why)> report_image;
  // This broker was taken out of the cluster. Called again and again.
  std::function<void()> on_left;
};

// Thread-safe. Answers other brokers' questions, tells the hub who the others are, and asks the
// controller for this broker's place until the metadata has it.
class BrokerPeers final : public PeerService, private raft::PeerHubListener {
 public:
  explicit BrokerPeers(BrokerPeersParts parts);
  ~BrokerPeers() override;

  // Before Start.
  void SetSelf(BrokerInfo self) { parts_.self = std::move(self); }
  // Brokers to begin with; before Start.
  void SetKnown(std::vector<BrokerInfo> known) { parts_.known = std::move(known); }
  void Start();
  // Once. No traffic and no callbacks when `done` runs, on `home`.
  void Stop(Task done);
  [[nodiscard]] raft::PeerHub& hub() { return hub_; }
  // The metadata names other brokers than before.
  void UpdatePeers();

  void Hello(HelloRequest request, Reply<HelloReply> reply) override;
  void Join(JoinRequest request, Reply<JoinReply> reply) override;
  void Report(ReportRequest request, Reply<ReportReply> reply) override;
  void Transfer(TransferRequest request, Reply<TransferReply> reply) override;
  // Passes the request to the broker that is to lead.
  void AskToLead(TransferRequest request, Reply<TransferReply> reply);

 private:
  void OnHeartbeat(NodeId from, const raft::NodeHeartbeat& heartbeat) override;
  void OnLed(NodeId node, const raft::LedView::Changes& changes) override;
  void OnLiveness(NodeId node, bool live) override;
  std::string NoteFor(NodeId node) override;
  void JudgeClock();
  void StopForGood(const std::string& why, const storage::PeerMark& evidence);
  void JudgeSelf(NodeId from, const storage::PeerMark& remembered);

  // On the group's shard.
  void TakeLead(Partition& partition, const TransferRequest& request, Reply<TransferReply> reply);
  void ArmRegistration(Nanos wait);
  void Register();
  [[nodiscard]] bool HearsNobody() const;
  [[nodiscard]] bool KnowsController() const;
  [[nodiscard]] std::string RegistrarAddress(bool lost);
  void OnRegistered(const absl::StatusOr<JoinReply>& reply);

  BrokerPeersParts parts_;
  raft::PeerHub hub_;
  std::map<NodeId, DirectoryId> directories_;  // as the nodes name them; on `home`
  std::set<NodeId> accused_;                   // said less than is remembered of them; on `home`
  MonoTime next_hand_over_;                    // while the clock is off; on `home`
  bool suspect_ = false;
  // On the metadata partition's shard: whom to ask for this broker's place.
  size_t asked_ = 0;
  std::string redirect_;
  bool stopped_ = false;
  // Tasks of the metadata partition's shard hold it; null from Stop on.
  std::shared_ptr<BrokerPeers*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_BROKER_PEERS_H_
