// SimCluster: brokers on one scheduler, with simulated disks, network and calls between them.
#ifndef VARVE_TESTS_SERVER_SIM_CLUSTER_H_
#define VARVE_TESTS_SERVER_SIM_CLUSTER_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/random.h"
#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "server/broker.h"
#include "server/metadata/formation.h"
#include "storage/state_store.h"
#include "tests/support/disk_image.h"
#include "tests/support/sim_network.h"

namespace varve::server {

// Unary calls between brokers: a delay each way, and nobody at home when the process is gone.
class SimPeerCalls {
 public:
  explicit SimPeerCalls(SimScheduler& scheduler)
      : scheduler_(scheduler), executor_(scheduler.NewExecutor("calls")) {}
  void Serve(const std::string& address, PeerService* service) { services_[address] = service; }
  void Leave(const std::string& address) { services_.erase(address); }
  std::unique_ptr<PeerClient> NewClient();

 private:
  class Client;
  SimScheduler& scheduler_;
  std::unique_ptr<Executor> executor_;
  std::map<std::string, PeerService*> services_;
};

// A machine's clock: the wall may be wrong on one node alone.
class SkewedClock final : public Clock {
 public:
  explicit SkewedClock(const Clock& real) : real_(real) {}
  [[nodiscard]] MonoTime Now() const override { return real_.Now(); }
  [[nodiscard]] WallTime Wall() const override { return real_.Wall() + ahead_ms_; }
  void Step(int64_t ms) { ahead_ms_ += ms; }

 private:
  const Clock& real_;
  int64_t ahead_ms_ = 0;
};

struct SimNodeOptions {
  uint32_t shards = 2;
  Nanos scrub_period = 0;
  std::vector<SeedNode> seeds;
  // But for path, node and scrub period.
  storage::DataDirectoryOptions directory = {};
};

// One node: its disk outlives its processes.
class SimNode {
 public:
  SimNode(SimScheduler& scheduler, sim::SimNetwork& network, SimPeerCalls& calls, NodeId id,
          SimNodeOptions options);
  ~SimNode();
  // Begins a process; `ready()` tells when it serves.
  void Start();
  void Crash(bool power_loss = false);
  // Cleanly: the journal then holds nothing that segments do not.
  void Stop();
  // The same, and how it ended; the process is gone in any case. DEADLINE_EXCEEDED when it does not
  // end.
  absl::Status TryStop();
  // Another, empty disk.
  void Wipe();
  // While no process runs: what the disk holds, and back to it.
  DiskImage TakeImage();
  void RestoreImage(const DiskImage& image);
  // The process runs nothing, as after SIGSTOP; what is sent to it waits.
  void Freeze();
  void Thaw();
  // Its wall clock, also while it is down.
  void StepWall(int64_t ms) { clock_.Step(ms); }
  [[nodiscard]] bool running() const { return running_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool frozen() const { return frozen_; }
  [[nodiscard]] const absl::Status& failure() const { return failure_; }
  // What it waits for until it is ready.
  [[nodiscard]] const std::string& waits_for() const { return waits_for_; }
  [[nodiscard]] NodeId id() const { return id_; }
  [[nodiscard]] bool has_broker() const { return broker_ != nullptr; }
  Broker& broker() { return *broker_; }
  SimFileSystem& disk() { return *disk_; }
  [[nodiscard]] static std::string PeerAddress(NodeId id);
  [[nodiscard]] static std::string ClientAddress(NodeId id);

 private:
  // Asks the others for the way into the cluster.
  void Form(ClusterId wanted, bool empty, std::function<void(const Formed&)> then);
  void OpenBroker(const Formed* formed);
  void StartBroker();
  Executor* Make(const std::string& name);

  SimScheduler& scheduler_;
  sim::SimNetwork& network_;
  SimPeerCalls& calls_;
  const NodeId id_;
  const SimNodeOptions options_;
  std::unique_ptr<Random> random_;
  SkewedClock clock_;
  std::unique_ptr<SimFileSystem> disk_;
  std::shared_ptr<storage::MemoryStateDisk> state_disk_;
  std::vector<std::unique_ptr<Executor>> executors_;
  Executor* home_ = nullptr;
  std::unique_ptr<PeerClient> client_;
  std::unique_ptr<Formation> formation_;
  std::unique_ptr<Broker> broker_;
  BrokerInfo self_;
  bool running_ = false;
  bool ready_ = false;
  bool frozen_ = false;
  absl::Status failure_;
  std::string waits_for_;
};

class SimCluster {
 public:
  SimCluster(uint64_t seed, size_t nodes, SimNodeOptions options = {},
             const sim::SimNetworkOptions& links = {});
  SimNode& node(size_t i) { return *nodes_[i]; }
  // One more node, which joins through the first ones; its position.
  size_t AddNode();
  [[nodiscard]] size_t size() const { return nodes_.size(); }
  // All running nodes are ready.
  bool AwaitReady(Nanos limit = 30 * kSecond);
  RequestContext Context(Nanos timeout = 10 * kSecond);
  template <class Answer, class Request>
  absl::StatusOr<Answer> Ask(size_t i,
                             void (BrokerService::*method)(RequestContext, Request, Reply<Answer>),
                             Request request) {
    std::optional<absl::StatusOr<Answer>> answer;
    (nodes_[i]->broker().service().*method)(
        Context(), std::move(request),
        [&](absl::StatusOr<Answer> got) { answer = std::move(got); });
    EXPECT_TRUE(scheduler.RunUntil([&] { return answer.has_value(); }, 60 * kSecond));
    return *std::move(answer);
  }
  // Asks nodes until one is the controller, as a client that follows hints does.
  absl::StatusOr<TopicInfo> CreateTopic(const std::string& name, uint32_t partitions,
                                        uint32_t replicas);
  // One partition on all brokers in segments of 64 KiB, several of them closed and synced.
  void MakeSegments(const std::string& name, int batches);
  // The replica on a node, on its shard.
  void OnReplica(size_t i, GroupId group, std::function<void(Partition*)> use);
  // Appends one record through whoever leads; the status of the last attempt.
  absl::StatusOr<ProduceResult> Append(const std::string& topic, uint32_t partition,
                                       const std::string& value, Nanos patience = 10 * kSecond);
  // Values of all records of a partition, from its leader.
  absl::StatusOr<std::vector<std::string>> ReadAll(const std::string& topic, uint32_t partition);
  std::optional<size_t> LeaderOf(const std::string& topic, uint32_t partition);
  std::optional<size_t> Controller();
  std::vector<NodeId> Ids() const;
  void Isolate(size_t i) { network.Isolate(nodes_[i]->id(), Ids()); }

  SimScheduler scheduler;
  sim::SimNetwork network;

 private:
  SimPeerCalls calls_;
  SimNodeOptions options_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
};

}  // namespace varve::server

#endif  // VARVE_TESTS_SERVER_SIM_CLUSTER_H_
