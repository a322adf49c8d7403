// The /metrics page: names, labels and help texts of all exported series.
#ifndef VARVE_SERVER_HTTP_METRICS_PAGE_H_
#define VARVE_SERVER_HTTP_METRICS_PAGE_H_

#include <optional>
#include <string>
#include <vector>

#include "common/file_system.h"
#include "raft/shell/peer_hub.h"
#include "server/http/process_stats.h"
#include "server/metrics/broker_metrics.h"
#include "server/partition/partition_census.h"
#include "server/partition/partition_metrics.h"
#include "storage/disk_watch.h"
#include "storage/journal.h"
#include "storage/scrubber.h"
#include "storage/space_class.h"

namespace varve::server {

// Logs that have series of their own.
inline constexpr size_t kMaxLogSeries = 1000;

// One scrape. `broker` is absent while the process still opens its data directory.
struct MetricsInput {
  // A partition's log here.
  struct LogRow {
    std::string topic;
    uint32_t partition = 0;
    Offset start, next_offset;
    uint64_t bytes = 0;
  };
  // Another broker, as this one hears it.
  struct PeerRow {
    NodeId node;
    bool live = false;
    bool control_up = false, bulk_up = false;
    std::optional<Nanos> silence;  // since its last heartbeat; never heard: none
    int64_t clock_ahead_ms = 0;
    size_t waiting_bytes = 0;
  };
  // The cluster as this broker sees it.
  struct ClusterPart {
    ClusterId cluster;
    NodeId node;
    uint64_t brokers = 0, brokers_live = 0;
    uint64_t leaderless_partitions = 0;  // of topics
    bool is_controller = false;
    int64_t clock_off_ms = 0;  // ahead of the median of the live brokers
  };
  struct BrokerPart {
    BrokerMetrics* metrics = nullptr;  // never null
    ClusterPart cluster;
    PartitionTotals totals;
    PartitionCensus census;  // of shards that stand still, the one before
    uint64_t shards = 0, shards_stalled = 0;
    raft::PeerHubStats links;
    std::vector<PeerRow> peers;
    storage::JournalStats journal;
    storage::SpaceStats space;
    storage::DiskWatchStats disk_watch;
    storage::ScrubStats scrub;
    uint64_t trimmed_segments = 0;
    std::vector<LogRow> logs;
    uint64_t other_log_bytes = 0;  // of logs beyond kMaxLogSeries, and of internal ones
    size_t dirty_bytes = 0, dirty_budget_bytes = 0;
    size_t request_memory_bytes = 0, request_memory_limit_bytes = 0;
    uint64_t topics = 0, partitions = 0;
    bool disk_failed = false;
    bool retention_paused = false;
  };
  std::string version;
  WallTime started;
  bool ready = false;
  std::optional<BrokerPart> broker;
  std::optional<SpaceInfo> disk;
  ProcessStats process;
};

// Prometheus' text format 0.0.4.
std::string RenderMetrics(const MetricsInput& input);
inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_METRICS_PAGE_H_
