// Broker: one node at work, without any front door: storage, partitions, controller, service.
#ifndef VARVE_SERVER_BROKER_H_
#define VARVE_SERVER_BROKER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/broker_peers.h"
#include "server/broker_watch.h"
#include "server/metadata/cluster_view.h"
#include "server/metadata/controller.h"
#include "server/metrics/broker_metrics.h"
#include "server/partition/partition_host.h"
#include "server/replica_reporter.h"
#include "server/service/broker_service.h"
#include "server/service/gate.h"
#include "storage/data_directory.h"
#include "storage/state_store.h"

namespace varve::server {

// Where the broker runs. In the simulator all of them are turns of one thread.
struct BrokerExecutors {
  std::vector<Executor*> shards;  // at least one
  storage::StorageExecutors storage;
  Executor* background = nullptr;  // blocking chores: flushing the fold
  Executor* peers = nullptr;       // links to other brokers; with a transport
};

// How this broker comes into its cluster; found out before its directory is opened
// (server/metadata/formation.h). Only the first start of a directory looks at the first two.
struct ClusterEntry {
  bool founds = true;  // a new directory begins a cluster with this broker alone
  ReplicaEpoch metadata_epoch{1};
  std::vector<BrokerInfo> known;  // other brokers, until the metadata names them
};

struct BrokerOptions {
  storage::DataDirectoryOptions directory;
  std::string advertised_address;  // of the gRPC door; empty: the one the caller dialled
  std::string peer_address;        // of the door for other brokers, as they reach it
  ClusterEntry entry;
  // The ways to other brokers; both or neither. Without, this broker stays alone. The transport is
  // made once the directory is open, and owned by the broker.
  std::function<std::unique_ptr<raft::Transport>(const storage::DataDirectory&)> make_transport;
  PeerClient* peer_client = nullptr;
  // For the log: a directory, this one or another node's, is found to be a restored image.
  std::function<void(NodeId node, const std::string& why)> report_image;
  // For the log: this broker was taken out of the cluster; it serves nobody from now on.
  std::function<void()> report_left;
};

// The composition root: owns everything below the doors, in the order in which it is built, and
// takes it down in reverse. Open and the destructor block; Start and Stop answer through callbacks.
class Broker {
 public:
  // Opens the store of the folds; called once the data directory is open and locked, so that
  // nothing is touched in a directory that is in use or not ours.
  using StoreOpener = absl::AnyInvocable<absl::StatusOr<std::unique_ptr<storage::StateStore>>()>;
  static absl::StatusOr<std::unique_ptr<Broker>> Open(FileSystem& files, const Clock& clock,
                                                      Random& random, StoreOpener open_store,
                                                      BrokerOptions options,
                                                      BrokerExecutors executors);
  // `store` may be empty or stale: it is a cache. All references must outlive the broker.
  static absl::StatusOr<std::unique_ptr<Broker>> Open(FileSystem& files, const Clock& clock,
                                                      Random& random,
                                                      std::unique_ptr<storage::StateStore> store,
                                                      BrokerOptions options,
                                                      BrokerExecutors executors);
  ~Broker();

  // How it comes into its cluster; before Start, when the options could not know it yet.
  void SetEntry(ClusterEntry entry);
  // Addresses of its doors as others reach them; before Start, when the options could not know them
  // yet.
  void SetAddresses(std::string client_address, std::string peer_address);
  // Whether this directory has a replica of the metadata log, so that it is in its cluster.
  [[nodiscard]] bool in_cluster() const;
  // Opens the metadata partition, catches up, opens every replica; `ready` runs on a shard.
  void Start(absl::AnyInvocable<void(absl::Status)> ready);
  // Hands over what it leads, to brokers that are there, within a few seconds; refuses new
  // requests, answers those under way, makes everything durable and seals the journal. `done` runs
  // on one of the executors; then the broker may be destroyed. Without Stop, destruction is a
  // crash: nothing acknowledged is lost.
  void Stop(absl::AnyInvocable<void(absl::Status)> done);

  [[nodiscard]] BrokerService& service() { return *service_; }
  [[nodiscard]] BrokerMetrics& metrics() { return metrics_; }
  [[nodiscard]] Gate& gate() { return gate_; }
  [[nodiscard]] storage::DataDirectory& directory() { return *directory_; }
  [[nodiscard]] storage::StateStore& state_store() { return *store_; }
  [[nodiscard]] const Catalogue& catalogue() const { return catalogue_; }
  [[nodiscard]] PartitionHost& partitions() { return *host_; }
  [[nodiscard]] const ClusterView& cluster_view() const { return view_; }
  // What other brokers may ask, and how packets reach them; null when this broker stays alone.
  [[nodiscard]] BrokerPeers* peers() { return peers_.get(); }
  [[nodiscard]] raft::Transport* transport() { return transport_.get(); }
  // Whether Start has succeeded and Stop was not called.
  [[nodiscard]] bool ready() const { return ready_.load(std::memory_order_acquire); }
  // OK, or why this broker cannot do its work.
  [[nodiscard]] absl::Status health() const { return directory_->health(); }
  // Looks at what is wrong about this broker, so that its age is known when somebody asks. Once a
  // second is enough.
  void NoteConditions();

 private:
  Broker(const Clock& clock, Random& random, BrokerOptions options, BrokerExecutors executors);
  void MakePeers();
  void OnLeft();
  std::function<void(TransferRequest, Reply<TransferReply>)> AskToLead();
  [[nodiscard]] BrokerInfo Self() const;
  // `use` runs on the metadata partition's shard.
  void Look(absl::AnyInvocable<void(BrokerSight)> use);
  [[nodiscard]] std::string WhyNotJoined(const Partition* metadata) const;
  void AwaitDrained(int attempts, Task done);
  void CloseDown(absl::AnyInvocable<void(absl::Status)> done);
  void StartController(absl::AnyInvocable<void(absl::Status)> ready);

  const Clock& clock_;
  Random& random_;
  BrokerOptions options_;
  const BrokerExecutors executors_;
  BrokerMetrics metrics_;
  Catalogue catalogue_;
  ClusterView view_;
  std::unique_ptr<storage::StateStore> store_;
  std::unique_ptr<storage::DataDirectory> directory_;
  std::unique_ptr<raft::Transport> transport_;
  std::unique_ptr<ReplicaReporter> reporter_;  // partitions tell it until they are gone
  std::unique_ptr<BrokerPeers> peers_;         // partitions, which go first, tell it what they led
  std::unique_ptr<PartitionHost> host_;
  std::unique_ptr<BrokerWatch> watch_;
  std::unique_ptr<Controller> controller_;  // touched on the metadata partition's shard only
  Gate gate_;
  std::unique_ptr<BrokerService> service_;
  std::atomic<bool> ready_{false};
};

}  // namespace varve::server

#endif  // VARVE_SERVER_BROKER_H_
