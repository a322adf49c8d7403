// PartitionHost: all partitions of this broker and the shards they belong to.
#ifndef VARVE_SERVER_PARTITION_PARTITION_HOST_H_
#define VARVE_SERVER_PARTITION_PARTITION_HOST_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/executor.h"
#include "server/metadata/catalogue.h"
#include "server/partition/clock_watch.h"
#include "server/partition/partition.h"
#include "server/partition/partition_census.h"
#include "storage/data_directory.h"

namespace varve::server {

// What to open or create on this broker.
struct Placement {
  PartitionOptions options;
  // Used only when the directory has no replica of the group yet; without, the log begins empty and
  // gets its entries from the others.
  std::optional<storage::Bootstrap> bootstrap;
  // False: only if it is here; a replica that goes away soon.
  bool create = true;
};

// Thread-safe; every callback runs on the shard of the group it is about. A group's shard is a
// function of its id and the number of shards, and never stored.
class PartitionHost final : public raft::GroupRouter {
 public:
  // All must outlive the host. `shards` is not empty. `seed`: of the partitions' elections.
  PartitionHost(storage::DataDirectory& directory, std::vector<Executor*> shards,
                const Clock& clock, ClusterView& view, const Catalogue& catalogue, uint64_t seed);
  // Partitions must have been stopped (StopAll) or their shards no longer run.
  ~PartitionHost() override;

  // Where messages of the partitions that are placed from now on go to. Before the first one.
  void SetPeers(raft::GroupPeers* peers) { peers_ = peers; }
  void Deliver(std::vector<raft::Message> messages) override;
  void DeliverPieces(std::vector<raft::PieceMessage> pieces) override;
  void Tell(std::vector<raft::PeerNews> news) override;
  void TellLost(NodeId node) override;
  // Runs `use` for each partition, on its shard.
  void ForEach(std::function<void(Partition&)> use);
  // The same, then `done`, on the shard that is the last to finish.
  void ForEach(std::function<void(Partition&)> use, Task done);

  // Where replicas tell of themselves, from the partitions on that are placed after it.
  void SetReports(ReplicaReports* reports) { reports_ = reports; }

  // Opens the group's log, or creates it, and starts the partition. Placing what is already here
  // gives it policy and goal. A replica of a lower epoch than the placement's is removed and begins
  // anew: the metadata gives a higher one only where the former is lost or suspect, and the others
  // go on without it. `done` gets the error of storage, if any.
  void Place(Placement placement, absl::AnyInvocable<void(absl::Status)> done);
  // Stops the replica and removes its data for good, if its epoch is at most `through`; `done` when
  // that is durable. OK when no such replica is here.
  void Remove(GroupId group, ReplicaEpoch through, absl::AnyInvocable<void(absl::Status)> done);
  // From now on no replica here leads, if another one can.
  void Drain();
  // `done`, on some shard, with how many groups are led here that another voter could lead.
  void CountLed(absl::AnyInvocable<void(size_t)> done);

  // Runs `use` on the group's shard, with null when the group is not here.
  void With(GroupId group, absl::AnyInvocable<void(Partition*)> use);
  // Why With found no partition: SHUTTING_DOWN while the broker stops, NOT_LEADER when another
  // broker leads it, UNKNOWN_TOPIC when its topic is gone, else LEADER_UNKNOWN. A client must not
  // take a stopping broker for a deleted topic.
  [[nodiscard]] absl::Status WhyMissing(GroupId group) const;
  [[nodiscard]] Executor& ShardOf(GroupId group) const;
  // Only on the group's shard.
  [[nodiscard]] Partition* Find(GroupId group) const;

  // Stops and closes every partition; `done` runs (on some shard) when all logs are destroyed.
  void StopAll(Task done);
  [[nodiscard]] ClockWatch& clock_watch() { return clock_watch_; }
  // Counts what is here now, shard by shard: `take` runs on each shard with its number. A shard
  // that stands still answers when it runs again; one whose partitions were stopped may not answer.
  void Count(std::function<void(size_t shard, const PartitionCensus&)> take);
  [[nodiscard]] size_t shard_count() const { return shards_.size(); }
  // Sums of the shards' cells. On any thread.
  [[nodiscard]] PartitionTotals Totals() const;
  // Makes up at once for what a pause of retention held back.
  void ReviewRetention();
  [[nodiscard]] uint64_t size() const { return size_.load(std::memory_order_relaxed); }

 private:
  // Everything here is confined to one shard.
  struct Shard {
    Executor* executor = nullptr;
    PartitionMetrics metrics;
    std::map<GroupId, std::unique_ptr<Partition>> partitions;
    // Groups that are being created or removed, and what waits until that is done.
    std::set<GroupId> changing;
    std::map<GroupId, std::vector<Task>> waiting;
  };
  [[nodiscard]] Shard& ShardFor(GroupId group) const;
  void PlaceOnShard(Shard& shard, Placement placement, absl::AnyInvocable<void(absl::Status)> done);
  void Create(Shard& shard, Placement placement, absl::AnyInvocable<void(absl::Status)> done);
  void RemoveOnShard(Shard& shard, GroupId group, ReplicaEpoch through,
                     absl::AnyInvocable<void(absl::Status)> done);
  void RemoveData(Shard& shard, GroupId group, absl::AnyInvocable<void(absl::Status)> done);
  // Closes what is open of the group; whether it had a partition.
  bool ClosePartition(Shard& shard, GroupId group);
  // Runs `task` now, or when the change of the group that is under way is done.
  void WhenUnchanging(Shard& shard, GroupId group, Task task);
  void EndChange(Shard& shard, GroupId group);
  void OnCreated(Shard& shard, PartitionOptions options,
                 absl::StatusOr<std::unique_ptr<storage::PartitionLog>> log,
                 absl::AnyInvocable<void(absl::Status)> done);
  void Adopt(Shard& shard, const PartitionOptions& options,
             std::unique_ptr<storage::PartitionLog> log);

  storage::DataDirectory& directory_;
  const Clock& clock_;
  ClusterView& view_;
  const Catalogue& catalogue_;
  const uint64_t seed_;
  raft::GroupPeers* peers_ = nullptr;
  ReplicaReports* reports_ = nullptr;
  ClockWatch clock_watch_;
  std::vector<std::shared_ptr<Shard>> shards_;
  std::atomic<uint64_t> size_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> draining_{false};
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_PARTITION_HOST_H_
