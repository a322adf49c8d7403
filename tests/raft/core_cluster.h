// CoreCluster: cores over logs in memory that exchange messages when told. For scenarios, tests of
// several replicas, and benchmarks; time passes only by Tick, nothing is random.
#ifndef VARVE_TESTS_RAFT_CORE_CLUSTER_H_
#define VARVE_TESTS_RAFT_CORE_CLUSTER_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "raft/core/core.h"
#include "tests/raft/memory_log.h"

namespace varve::raft {

struct ClusterOptions {
  uint32_t nodes = 3;
  Configuration configuration;  // empty: all nodes vote
  Index index;                  // the logs start after it
  CoreOptions core;             // group and self are set
};

// ID:1
ReplicaId ReplicaOf(uint64_t node);

class CoreCluster {
 public:
  struct Node {
    ReplicaId self;
    MemoryLog fresh;    // what a new directory holds
    MemoryLog written;  // all that the core asked for
    MemoryLog durable;
    std::unique_ptr<Core> core;
    std::deque<DiskOperation> disk;  // not finished, oldest first
    bool held = false;               // operations wait for FinishDisk
    Index applied;
    std::optional<uint64_t> fixed_timeout;
    std::vector<ProposalResult> results;  // since ForgetResults
    std::vector<ReadResult> reads;
    std::vector<RefusedMessage> refused;
  };
  using Filter = std::function<bool(const Message&)>;

  explicit CoreCluster(ClusterOptions options);

  [[nodiscard]] Node& node(uint64_t id) { return nodes_.at(id); }
  [[nodiscard]] Core& core(uint64_t id) { return *nodes_.at(id).core; }
  [[nodiscard]] std::map<uint64_t, Node>& nodes() { return nodes_; }
  [[nodiscard]] const std::map<uint64_t, Node>& nodes() const { return nodes_; }
  [[nodiscard]] std::deque<Message>& messages() { return messages_; }
  [[nodiscard]] const std::deque<Message>& messages() const { return messages_; }

  // Steps, does what the effects ask for, and finishes the disk unless it is held.
  void Step(uint64_t id, Input input);
  // Proposes one batch; its id.
  ProposalId Propose(uint64_t id, uint32_t records = 1);
  ProposalId ProposeConfig(uint64_t id, const Configuration& configuration);
  ReadId ReadBarrier(uint64_t id);

  // Takes the matching messages that are in flight now, in order of sending, out of the network and
  // gives them to their receivers. How many.
  size_t Deliver(const Filter& filter);
  size_t Drop(const Filter& filter);
  // Delivers to these nodes (all when empty) until nothing is in flight to them; false when that
  // takes more than `limit` messages.
  bool Stabilize(const std::set<uint64_t>& ids = {}, size_t limit = 20'000);
  // Elects `id` and stabilizes.
  void Elect(uint64_t id);

  void HoldDisk(uint64_t id, bool hold);
  // Finishes the oldest `count` operations, or as many as there are.
  void FinishDisk(uint64_t id, size_t count);
  void Compact(uint64_t id, Index index);
  void Restart(uint64_t id);
  // A new directory, hence the next replica epoch.
  void Wipe(uint64_t id);
  // What is in flight from and to it is lost, and all that is sent until Heal.
  void Isolate(uint64_t id);
  void Heal() { isolated_.clear(); }
  void FixElectionTimeout(uint64_t id, uint64_t ticks);
  void ForgetResults();

 private:
  void Start(Node& node);
  void TakeEffects(Node& node);
  void Send(Message message);
  [[nodiscard]] const MemoryLog* FilesOf(const DiskOperation& operation) const;

  const ClusterOptions options_;
  std::map<uint64_t, Node> nodes_;
  std::deque<Message> messages_;
  std::set<uint64_t> isolated_;
  // Files that were offered, by where they end.
  std::map<std::pair<Index, Term>, MemoryLog> files_;
  uint64_t last_proposal_ = 0;
  uint64_t last_read_ = 0;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_CORE_CLUSTER_H_
