#include "server/partition/partition_host.h"

#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "server/defect.h"

namespace varve::server {

PartitionHost::PartitionHost(storage::DataDirectory& directory, std::vector<Executor*> shards,
                             const Clock& clock, ClusterView& view, const Catalogue& catalogue,
                             uint64_t seed)
    : directory_(directory),
      clock_(clock),
      view_(view),
      catalogue_(catalogue),
      seed_(seed),
      clock_watch_(clock, directory.newest_append_time()) {
  VARVE_CHECK(!shards.empty());
  for (Executor* executor : shards) {
    shards_.push_back(std::make_shared<Shard>());
    shards_.back()->executor = executor;
  }
}

PartitionHost::~PartitionHost() = default;

PartitionHost::Shard& PartitionHost::ShardFor(GroupId group) const {
  return *shards_[group.value() % shards_.size()];
}

Executor& PartitionHost::ShardOf(GroupId group) const { return *ShardFor(group).executor; }

Partition* PartitionHost::Find(GroupId group) const {
  const Shard& shard = ShardFor(group);
  VARVE_CHECK(shard.executor->InExecutor());
  const auto at = shard.partitions.find(group);
  return at == shard.partitions.end() ? nullptr : at->second.get();
}

void PartitionHost::With(GroupId group, absl::AnyInvocable<void(Partition*)> use) {
  ShardOf(group).Post([this, group, use = std::move(use)]() mutable { use(Find(group)); });
}

absl::Status PartitionHost::WhyMissing(GroupId group) const {
  if (stopping_.load()) return MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  if (!catalogue_.HasGroup(group)) return MakeError(Reason::UNKNOWN_TOPIC, "the topic was deleted");
  return view_.NotLeader(group);
}

void PartitionHost::Place(Placement placement, absl::AnyInvocable<void(absl::Status)> done) {
  const GroupId group = placement.options.group;
  Shard& shard = ShardFor(group);
  shard.executor->Post(
      [this, &shard, group, placement = std::move(placement), done = std::move(done)]() mutable {
        WhenUnchanging(
            shard, group,
            [this, &shard, placement = std::move(placement), done = std::move(done)]() mutable {
              PlaceOnShard(shard, std::move(placement), std::move(done));
            });
      });
}

// Else a topic that is deleted while it is being created would leave its logs without an owner.
void PartitionHost::WhenUnchanging(Shard& shard, GroupId group, Task task) {
  if (!shard.changing.contains(group)) return task();
  shard.waiting[group].push_back(std::move(task));
}

void PartitionHost::EndChange(Shard& shard, GroupId group) {
  shard.changing.erase(group);
  auto waiting = shard.waiting.extract(group);
  if (waiting.empty()) return;
  for (Task& task : waiting.mapped()) WhenUnchanging(shard, group, std::move(task));
}

bool PartitionHost::ClosePartition(Shard& shard, GroupId group) {
  if (shard.partitions.erase(group) == 0) return false;
  size_.fetch_sub(1, std::memory_order_relaxed);
  return true;
}

void PartitionHost::PlaceOnShard(Shard& shard, Placement placement,
                                 absl::AnyInvocable<void(absl::Status)> done) {
  const GroupId group = placement.options.group;
  const ReplicaEpoch epoch = placement.options.self.epoch;
  if (stopping_.load()) return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  if (Partition* open = Find(group); open != nullptr && open->self().epoch >= epoch) {
    open->SetPolicy(placement.options.policy);
    open->SetGoal(std::move(placement.options.goal));
    return done(absl::OkStatus());
  }
  ClosePartition(shard, group);
  auto log = directory_.OpenLog(group, *shard.executor);
  if (log.ok() && (*log)->replica_epoch() >= epoch) {
    Adopt(shard, placement.options, std::move(*log));
    return done(absl::OkStatus());
  }
  const bool former = log.ok();
  if (!former && !absl::IsNotFound(log.status())) return done(log.status());
  if (!placement.create) return done(absl::OkStatus());
  shard.changing.insert(group);
  if (!former) return Create(shard, std::move(placement), std::move(done));
  log->reset();
  RemoveData(shard, group,
             [this, &shard, placement = std::move(placement),
              done = std::move(done)](absl::Status status) mutable {
               if (status.ok()) return Create(shard, std::move(placement), std::move(done));
               OnCreated(shard, placement.options, std::move(status), std::move(done));
             });
}

void PartitionHost::Create(Shard& shard, Placement placement,
                           absl::AnyInvocable<void(absl::Status)> done) {
  const GroupId group = placement.options.group;
  const ReplicaEpoch epoch = placement.options.self.epoch;
  directory_.CreateLog(group, epoch, std::move(placement.bootstrap), *shard.executor,
                       [this, &shard, options = placement.options, done = std::move(done)](
                           absl::StatusOr<std::unique_ptr<storage::PartitionLog>> log) mutable {
                         OnCreated(shard, std::move(options), std::move(log), std::move(done));
                       });
}

void PartitionHost::OnCreated(Shard& shard, PartitionOptions options,
                              absl::StatusOr<std::unique_ptr<storage::PartitionLog>> log,
                              absl::AnyInvocable<void(absl::Status)> done) {
  absl::Status status = log.status();
  if (status.ok() && stopping_.load())
    status = MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  if (status.ok()) Adopt(shard, options, std::move(*log));
  if (log.ok()) log->reset();
  done(std::move(status));
  EndChange(shard, options.group);
}

void PartitionHost::Adopt(Shard& shard, const PartitionOptions& options,
                          std::unique_ptr<storage::PartitionLog> log) {
  PartitionOptions seeded = options;
  seeded.seed = seed_ ^ (options.group.value() * 0x9E3779B97F4A7C15);
  // Whatever the metadata says: the replica is the one that the directory holds.
  seeded.self.epoch = log->replica_epoch();
  auto partition = std::make_unique<Partition>(
      seeded, std::move(log), *shard.executor,
      PartitionContext{directory_, clock_, clock_watch_, view_, peers_, &shard.metrics, reports_});
  Partition* raw = partition.get();
  shard.partitions.emplace(options.group, std::move(partition));
  size_.fetch_add(1, std::memory_order_relaxed);
  raw->Start();
  if (draining_.load()) raw->SetDraining(true);
}

void PartitionHost::Remove(GroupId group, ReplicaEpoch through,
                           absl::AnyInvocable<void(absl::Status)> done) {
  Shard& shard = ShardFor(group);
  shard.executor->Post([this, &shard, group, through, done = std::move(done)]() mutable {
    WhenUnchanging(shard, group, [this, &shard, group, through, done = std::move(done)]() mutable {
      RemoveOnShard(shard, group, through, std::move(done));
    });
  });
}

void PartitionHost::RemoveOnShard(Shard& shard, GroupId group, ReplicaEpoch through,
                                  absl::AnyInvocable<void(absl::Status)> done) {
  if (stopping_.load()) return done(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  if (const Partition* open = Find(group);
      open != nullptr && open->self().epoch > through && !Planted(Defect::kRemovalUnchecked))
    return done(absl::OkStatus());
  if (Planted(Defect::kRemovedDataKept)) return done(absl::OkStatus());
  if (!ClosePartition(shard, group)) {
    auto log = directory_.OpenLog(group, *shard.executor);
    if (!log.ok()) return done(absl::IsNotFound(log.status()) ? absl::OkStatus() : log.status());
    if ((*log)->replica_epoch() > through) return done(absl::OkStatus());
  }
  shard.changing.insert(group);
  RemoveData(shard, group,
             [this, &shard, group, done = std::move(done)](absl::Status status) mutable {
               done(std::move(status));
               EndChange(shard, group);
             });
}

void PartitionHost::RemoveData(Shard& shard, GroupId group,
                               absl::AnyInvocable<void(absl::Status)> done) {
  directory_.RemoveLog(group, *shard.executor,
                       [done = std::move(done)](absl::Status status) mutable {
                         done(absl::IsNotFound(status) ? absl::OkStatus() : status);
                       });
}

void PartitionHost::Drain() {
  draining_.store(true);
  ForEach([](Partition& partition) { partition.SetDraining(true); });
}

void PartitionHost::CountLed(absl::AnyInvocable<void(size_t)> done) {
  struct Count {
    std::atomic<size_t> shards;
    std::atomic<size_t> led = 0;
    absl::AnyInvocable<void(size_t)> done;
  };
  auto count = std::make_shared<Count>();
  count->shards = shards_.size();
  count->done = std::move(done);
  for (auto& shard : shards_) {
    shard->executor->Post([&shard = *shard, count] {
      for (const auto& [group, partition] : shard.partitions)
        if (partition->has_successor()) ++count->led;
      if (count->shards.fetch_sub(1) == 1) count->done(count->led.load());
    });
  }
}

void PartitionHost::ReviewRetention() {
  ForEach([](Partition& partition) { partition.ReviewRetention(); });
}

void PartitionHost::ForEach(std::function<void(Partition&)> use) {
  for (auto& shard : shards_) {
    shard->executor->Post([&shard = *shard, use] {
      for (auto& [group, partition] : shard.partitions) use(*partition);
    });
  }
}

void PartitionHost::ForEach(std::function<void(Partition&)> use, Task done) {
  auto left = std::make_shared<std::atomic<size_t>>(shards_.size());
  auto finish = std::make_shared<Task>(std::move(done));
  for (auto& shard : shards_) {
    shard->executor->Post([&shard = *shard, use, left, finish] {
      for (auto& [group, partition] : shard.partitions) use(*partition);
      if (left->fetch_sub(1) == 1) (*finish)();
    });
  }
}

// Whoever asks does not wait for the shards, which may be gone by the time that they run.
void PartitionHost::Count(std::function<void(size_t, const PartitionCensus&)> take) {
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i]->executor->Post([i, weak = std::weak_ptr<Shard>(shards_[i]), take] {
      const auto shard = weak.lock();
      if (shard == nullptr) return;
      PartitionCensus census;
      for (const auto& [group, partition] : shard->partitions) census.Add(*partition);
      take(i, census);
    });
  }
}

PartitionTotals PartitionHost::Totals() const {
  PartitionTotals totals;
  for (const auto& shard : shards_) totals.Add(shard->metrics);
  return totals;
}

// --- From other nodes
// -----------------------------------------------------------------------------

// One task for each shard that a packet concerns, and one step of the core's effects for each
// group.
void PartitionHost::Deliver(std::vector<raft::Message> messages) {
  std::vector<std::map<GroupId, std::vector<raft::Message>>> by_shard(shards_.size());
  for (raft::Message& message : messages) {
    const GroupId group = message.group;
    by_shard[group.value() % shards_.size()][group].push_back(std::move(message));
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (by_shard[i].empty()) continue;
    shards_[i]->executor->Post([&shard = *shards_[i], groups = std::move(by_shard[i])]() mutable {
      for (auto& [group, mine] : groups) {
        const auto at = shard.partitions.find(group);
        if (at != shard.partitions.end()) at->second->Receive(std::move(mine));
      }
    });
  }
}

void PartitionHost::DeliverPieces(std::vector<raft::PieceMessage> pieces) {
  for (raft::PieceMessage& piece : pieces) {
    const GroupId group = std::visit([](const auto& p) { return p.group; }, piece);
    With(group, [piece = std::move(piece)](Partition* partition) mutable {
      if (partition != nullptr) partition->ReceivePiece(std::move(piece));
    });
  }
}

void PartitionHost::TellLost(NodeId node) {
  ForEach([node](Partition& partition) {
    partition.Hear({raft::PeerNews::Kind::kLost, partition.group(), node, Term{}});
  });
}

void PartitionHost::Tell(std::vector<raft::PeerNews> news) {
  std::vector<std::vector<raft::PeerNews>> by_shard(shards_.size());
  for (const raft::PeerNews& item : news)
    by_shard[item.group.value() % shards_.size()].push_back(item);
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (by_shard[i].empty()) continue;
    shards_[i]->executor->Post([&shard = *shards_[i], mine = std::move(by_shard[i])] {
      for (const raft::PeerNews& item : mine) {
        const auto at = shard.partitions.find(item.group);
        if (at != shard.partitions.end()) at->second->Hear(item);
      }
    });
  }
}

void PartitionHost::StopAll(Task done) {
  stopping_.store(true);
  auto left = std::make_shared<std::atomic<size_t>>(shards_.size());
  auto finish = std::make_shared<Task>(std::move(done));
  for (auto& shard : shards_) {
    shard->executor->Post([this, &shard = *shard, left, finish] {
      for (auto& [group, partition] : shard.partitions) partition->Stop();
      // Answers that Stop posted run before the logs go.
      shard.executor->Post([this, &shard, left, finish] {
        size_.fetch_sub(shard.partitions.size(), std::memory_order_relaxed);
        shard.partitions.clear();
        if (left->fetch_sub(1) == 1) (*finish)();
      });
    });
  }
}

}  // namespace varve::server
