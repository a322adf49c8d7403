#include "server/process/metrics_source.h"

#include <chrono>
#include <map>
#include <utility>

#include "server/version.h"

namespace varve::server {
namespace {

constexpr std::chrono::milliseconds kPatience{500};

// Topics in order of name until kMaxLogSeries are shown; the bytes of what is left are one sum.
void AddLogs(Broker& broker, MetricsInput::BrokerPart* part) {
  std::map<GroupId, storage::LogStats> logs;
  for (const storage::LogStats& log : broker.directory().log_stats()) logs.emplace(log.group, log);
  for (const TopicRef& topic : broker.catalogue().List("", kMaxLogSeries)) {
    for (uint32_t i = 0; i < topic->partitions.size() && part->logs.size() < kMaxLogSeries; ++i) {
      const auto log = logs.extract(topic->partitions[i].group);
      if (log.empty()) continue;
      const storage::LogStats& stats = log.mapped();
      part->logs.push_back({topic->name, i, stats.start, stats.next_offset, stats.bytes});
    }
  }
  for (const auto& [group, log] : logs) part->other_log_bytes += log.bytes;
}

MetricsInput::ClusterPart DescribeCluster(Broker& broker) {
  const storage::DirectoryIdentity& identity = broker.directory().identity();
  const ClusterView& view = broker.cluster_view();
  MetricsInput::ClusterPart part;
  part.cluster = identity.cluster;
  part.node = identity.node;
  for (const BrokerInfo& known : view.brokers()) {
    ++part.brokers;
    if (known.node == identity.node || view.IsLive(known.node)) ++part.brokers_live;
  }
  const auto controller = view.LeaderOf(kMetadataGroup);
  part.is_controller = controller && controller->node == identity.node;
  for (const TopicRef& topic : broker.catalogue().List("", broker.catalogue().size()))
    for (const auto& partition : topic->partitions)
      if (!view.LeaderOf(partition.group)) ++part.leaderless_partitions;
  return part;
}

}  // namespace

void MetricsSource::AskThreads(Broker& broker, MetricsInput::BrokerPart* part) const {
  const size_t shards = broker.partitions().shard_count();
  const bool has_peers = broker.peers() != nullptr;
  std::unique_lock lock(board_->mutex);
  const uint64_t round = ++board_->round;
  board_->shards.resize(shards);
  lock.unlock();
  broker.partitions().Count([board = board_, round](size_t shard, const PartitionCensus& census) {
    const std::lock_guard guard(board->mutex);
    board->shards[shard] = {round, census};
    board->changed.notify_all();
  });
  if (has_peers) {
    broker.peers()->hub().Describe(
        [board = board_, round](std::vector<raft::PeerState> peers, raft::PeerHubStats links) {
          const std::lock_guard guard(board->mutex);
          board->links_round = round;
          board->links = links;
          board->peers = std::move(peers);
          board->changed.notify_all();
        });
  }
  lock.lock();
  const auto late = [&] {
    uint64_t count = 0;
    for (const Board::Shard& shard : board_->shards) count += shard.round < round ? 1 : 0;
    return count;
  };
  board_->changed.wait_for(
      lock, kPatience, [&] { return late() == 0 && (!has_peers || board_->links_round >= round); });
  part->shards = shards;
  part->shards_stalled = late();
  for (const Board::Shard& shard : board_->shards) part->census.Add(shard.census);
  part->links = board_->links;
  part->cluster.clock_off_ms = ClockOffMs(board_->peers).value_or(0);
  const MonoTime now = RealClock().Now();
  for (const raft::PeerState& peer : board_->peers) {
    const auto& [control_up, bulk_up] = peer.lanes_up;
    MetricsInput::PeerRow row{peer.node,    peer.live,           control_up,        bulk_up,
                              std::nullopt, peer.clock_ahead_ms, peer.waiting_bytes};
    if (peer.last_heard) row.silence = now - *peer.last_heard;
    part->peers.push_back(row);
  }
}

MetricsInput::BrokerPart MetricsSource::CollectBroker(Broker& broker) const {
  MetricsInput::BrokerPart part{
      .metrics = &broker.metrics(),
      .cluster = DescribeCluster(broker),
      .totals = broker.partitions().Totals(),
      .journal = broker.directory().journal_stats(),
      .space = broker.directory().space_stats(),
      .disk_watch = broker.directory().disk_watch_stats(),
      .scrub = broker.directory().scrub_stats(),
      .trimmed_segments = broker.directory().trimmed_segments(),
      .dirty_bytes = broker.directory().dirty_bytes(),
      .dirty_budget_bytes = view_.dirty_budget_bytes,
      .request_memory_bytes = broker.gate().memory_used(),
      .request_memory_limit_bytes = broker.gate().memory_limit(),
      .topics = broker.catalogue().size(),
      .partitions = broker.catalogue().partition_count(),
      .disk_failed = !broker.health().ok(),
      .retention_paused = !broker.partitions().clock_watch().Check().empty(),
  };
  AskThreads(broker, &part);
  AddLogs(broker, &part);
  return part;
}

MetricsInput MetricsSource::Collect() {
  MetricsInput input;
  input.version = kVersion;
  input.started = view_.started;
  input.process = ReadProcessStats();
  if (auto space = view_.files.Space(view_.data_dir); space.ok()) input.disk = *space;
  if (Broker* broker = view_.broker.load(std::memory_order_acquire)) {
    input.ready = broker->ready();
    input.broker = CollectBroker(*broker);
  }
  return input;
}

}  // namespace varve::server
