// BrokerProcess: one varved from start to end: threads, storage, broker, doors, and the way down.
#ifndef VARVE_SERVER_PROCESS_PROCESS_H_
#define VARVE_SERVER_PROCESS_PROCESS_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/executor.h"
#include "common/random.h"
#include "server/broker.h"
#include "server/config/config.h"
#include "server/http/http_server.h"
#include "server/metadata/formation.h"
#include "server/process/admin_pages.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/peer_door.h"

namespace varve::server {

// Run blocks; RequestStop is thread-safe and may come at any time. One Run per object. After a Run
// that failed the object must not be destroyed while the process goes on: end the process.
//
// Order: the HTTP door first (so that a long recovery can be watched), then the door for other
// brokers (so that they learn that the process lives), the data directory, which a new broker makes
// only when it knows its cluster, the gRPC door, the broker. Down: ready is withdrawn, the gRPC
// door drains, the broker makes everything durable, the HTTP door closes last.
class BrokerProcess {
 public:
  BrokerProcess(Config config, std::string ready_file);
  ~BrokerProcess();

  // OK after a requested stop; else why the broker could not start or ended.
  absl::Status Run();
  // False, and nothing happens, before Run is ready: then there is nothing to drain.
  bool RequestStop();

 private:
  absl::Status StartDoorsAndBroker();
  absl::Status OpenHttp();
  absl::Status OpenBroker();
  absl::Status OpenPeerDoor();
  void LogRecovery() const;
  // What the operating system says about the path of the data directory, as the operator's to
  // correct.
  static absl::Status AsOperatorsError(const absl::Status& status);
  // process_cluster.cc. Prepares the ways to other brokers; for a new directory finds out its
  // cluster, blocking until that is known (true).
  absl::Status CheckCluster(ClusterId ours);
  void GiveUpStarting(const std::string& why);
  absl::StatusOr<bool> EnterCluster(BrokerOptions* options);
  // A start that ended between the directory and its place in the cluster is gone on with.
  absl::Status GoOnEntering();
  absl::StatusOr<Formed> FormCluster(const storage::DirectoryGlance& glance, DirectoryId directory,
                                     ClusterId wanted);
  void SetAddresses();
  [[nodiscard]] std::unique_ptr<raft::Transport> MakeTransport(
      const storage::DataDirectory& directory);
  [[nodiscard]] std::string PeerAddress() const;
  [[nodiscard]] std::string ClientAddress() const;
  absl::Status StartBroker();
  absl::Status Announce();
  void WatchUntilStop();
  absl::Status Drain();
  void MakeExecutors();
  [[nodiscard]] BrokerOptions MakeOptions() const;
  Executor* AddExecutor(std::string name);

  const Config config_;
  const std::string ready_file_;
  const MonoTime begun_;
  std::unique_ptr<Random> random_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool serving_ = false;
  bool stop_ = false;
  std::optional<absl::Status> started_;
  std::optional<absl::Status> stopped_;

  // Destroyed in reverse: doors, broker, threads.
  std::vector<std::unique_ptr<Executor>> threads_;
  BrokerExecutors executors_;
  Executor* timers_ = nullptr;
  AdminView view_;
  Executor* peer_loop_ = nullptr;
  std::unique_ptr<PeerDoor> peer_door_;
  std::unique_ptr<PeerClient> peer_client_;
  std::unique_ptr<Formation> formation_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<GrpcServer> grpc_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_PROCESS_H_
