#include "server/http/metrics_page.h"

#include <utility>
#include <vector>

#include "common/error.h"
#include "server/http/metric_families.h"
#include "server/http/metrics_page_raft.h"
#include "server/service/gate.h"

namespace varve::server {
namespace {

using Page = MetricFamilies;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct TopicCounts {
  uint64_t records_in = 0, bytes_in = 0, batches_in = 0, records_out = 0, bytes_out = 0;
  void Add(const TopicMetrics& cells) {
    records_in += cells.records_in.value();
    bytes_in += cells.bytes_in.value();
    batches_in += cells.batches_in.value();
    records_out += cells.records_out.value();
    bytes_out += cells.bytes_out.value();
  }
};

std::vector<std::pair<std::string, TopicCounts>> CountTopics(const BrokerMetrics& metrics) {
  std::vector<std::pair<std::string, TopicCounts>> rows;
  const auto topics = metrics.Topics();
  rows.reserve(topics.size() + 1);
  for (const auto& [name, cells] : topics) {
    rows.emplace_back(name, TopicCounts{});
    rows.back().second.Add(*cells);
  }
  if (const auto other = metrics.OtherTopics()) {
    rows.emplace_back("_other", TopicCounts{});
    rows.back().second.Add(*other);
  }
  return rows;
}

void AddTopics(Page& page, const BrokerMetrics& metrics) {
  struct Column {
    const char* name;
    const char* help;
    uint64_t TopicCounts::*field;
  };
  constexpr Column kColumns[] = {
      {"varve_records_in_total", "Records acknowledged to producers.", &TopicCounts::records_in},
      {"varve_bytes_in_total", "Bytes of acknowledged batches, as stored.", &TopicCounts::bytes_in},
      {"varve_batches_in_total", "Batches acknowledged to producers.", &TopicCounts::batches_in},
      {"varve_records_out_total", "Records sent to consumers.", &TopicCounts::records_out},
      {"varve_bytes_out_total", "Bytes of batches sent to consumers.", &TopicCounts::bytes_out},
  };
  const auto rows = CountTopics(metrics);
  for (const Column& column : kColumns) {
    MetricFamily& family = page.Add(column.name, MetricType::Counter, column.help);
    for (const auto& [name, counts] : rows)
      Page::AddCounter(family, static_cast<double>(counts.*column.field),
                       {{"topic", name}, {"api", "varve"}});
  }
}

void AddRequests(Page& page, BrokerMetrics& metrics) {
  MetricFamily& requests =
      page.Add("varve_requests_total", MetricType::Counter, "Requests received.");
  for (const RpcRow& row : RpcRows())
    Page::AddCounter(requests, static_cast<double>(metrics.rpc(row.rpc).requests.value()),
                     {{"api", "varve"}, {"method", std::string(row.method)}});
  MetricFamily& latency = page.Add("varve_request_seconds", MetricType::Histogram,
                                   "From the arrival of a request to its reply.");
  for (const RpcRow& row : RpcRows())
    Page::AddHistogram(latency, metrics.rpc(row.rpc).latency.Read(), kNanosPerSecond,
                       {{"api", "varve"}, {"method", std::string(row.method)}});
  page.Histogram("varve_produce_seconds", "From the arrival of a batch to its acknowledgement.",
                 metrics.produce_latency.Read(), kNanosPerSecond);
  MetricFamily& errors = page.Add("varve_request_errors_total", MetricType::Counter,
                                  "Requests refused or failed, by reason.");
  for (const auto& [what, count] : metrics.Errors())
    Page::AddCounter(errors, static_cast<double>(count),
                     {{"api", "varve"},
                      {"method", std::string(RowOf(what.first).method)},
                      {"reason", std::string(InfoOf(what.second).name)}});
  page.Counter("varve_batches_refused_total", "Batches that did not validate.",
               metrics.batches_refused.value());
  page.Gauge("varve_produce_streams", "Open produce streams.",
             static_cast<double>(metrics.produce_sessions.load(std::memory_order_relaxed)));
  page.Gauge("varve_subscribe_streams", "Open subscriptions.",
             static_cast<double>(metrics.subscribe_sessions.load(std::memory_order_relaxed)));
}

void AddDisk(Page& page, const MetricsInput::BrokerPart& broker) {
  page.Gauge("varve_reserve_bytes", "Room held back for a full disk.",
             static_cast<double>(broker.space.reserve));
  page.Gauge("varve_reserve_target_bytes", "Below it, user data is refused as NO_SPACE.",
             static_cast<double>(broker.space.reserve_target));
  page.Counter("varve_reserve_draws_total", "Segment writes that took room from the reserve.",
               broker.space.draws);
  page.Gauge("varve_disk_full", "1 while user data is refused as NO_SPACE.",
             broker.space.is_short ? 1 : 0);
  page.Gauge("varve_disk_slow", "1 while a write or sync of the journal takes too long.",
             broker.disk_watch.slow ? 1 : 0);
  page.Counter("varve_disk_stalls_total", "Writes and syncs of the journal that took too long.",
               broker.disk_watch.stalls);
  Page::AddCounter(
      page.Add("varve_disk_stalled_seconds_total", MetricType::Counter, "Time that those took."),
      static_cast<double>(broker.disk_watch.stalled) / kNanosPerSecond, {});
}

void AddLogs(Page& page, const MetricsInput::BrokerPart& broker) {
  const auto add = [&](const char* name, const char* help, auto value) -> MetricFamily& {
    MetricFamily& family = page.Add(name, MetricType::Gauge, help);
    for (const MetricsInput::LogRow& row : broker.logs)
      Page::AddGauge(family, static_cast<double>(value(row)),
                     {{"topic", row.topic}, {"partition", std::to_string(row.partition)}});
    return family;
  };
  add("varve_log_start_offset", "First offset of the partition.",
      [](const MetricsInput::LogRow& row) { return row.start.value(); });
  add("varve_log_end_offset", "Offset behind the partition's last record.",
      [](const MetricsInput::LogRow& row) { return row.next_offset.value(); });
  MetricFamily& bytes = add("varve_log_size_bytes", "Bytes of the partition's segments here.",
                            [](const MetricsInput::LogRow& row) { return row.bytes; });
  Page::AddGauge(bytes, static_cast<double>(broker.other_log_bytes), {{"topic", "_other"}});
}

void AddScrub(Page& page, const storage::ScrubStats& scrub) {
  page.Counter("varve_scrubbed_bytes_total", "Bytes of segments read again and verified.",
               scrub.bytes);
  page.Counter("varve_scrub_passes_total", "Passes over all segments.", scrub.passes);
  page.Gauge("varve_scrub_last_pass_seconds", "Time that the newest whole pass took.",
             static_cast<double>(scrub.last_pass) / kNanosPerSecond);
  page.Counter("varve_scrub_damaged_total", "Damaged ranges that scrubbing found.", scrub.damaged);
  page.Counter("varve_scrub_errors_total", "Reads of a scrub that the disk refused.", scrub.errors);
}

void AddStorage(Page& page, const MetricsInput::BrokerPart& broker) {
  const storage::JournalStats& journal = broker.journal;
  page.Counter("varve_journal_commits_total", "Group commits: one write and one sync each.",
               journal.commits);
  page.Counter("varve_journal_frames_total", "Frames made durable; per commit, how well it groups.",
               journal.frames);
  page.Counter("varve_journal_bytes_total", "Bytes written to the journal.", journal.bytes);
  page.Counter("varve_journal_seals_total", "Seals written when idle.", journal.seals);
  page.Counter("varve_journal_recycled_files_total", "Journal files used again.", journal.recycled);
  page.Counter("varve_journal_checkpoints_total", "Checkpoints written.", journal.checkpoints);
  page.Histogram("varve_journal_sync_seconds", "Syncs of the journal; each makes a commit durable.",
                 journal.sync_latency, kNanosPerSecond);
  page.Histogram("varve_journal_commit_frames", "Frames of a group commit.", journal.commit_frames,
                 1);
  page.Histogram("varve_journal_commit_bytes", "Bytes of a group commit.", journal.commit_bytes, 1);
  page.Gauge("varve_journal_queue_frames", "Frames that wait for a commit.",
             static_cast<double>(journal.waiting_frames));
  page.Gauge("varve_journal_queue_bytes", "Bytes of the frames that wait for a commit.",
             static_cast<double>(journal.waiting_bytes));
  page.Gauge("varve_journal_live_files", "Journal files that a restart would read.",
             static_cast<double>(journal.live_files));
  page.Gauge("varve_journal_spare_files", "Journal files to be used again.",
             static_cast<double>(journal.spare_files));
  page.Counter("varve_trimmed_segments_total", "Segment files removed by trims.",
               broker.trimmed_segments);
  AddDisk(page, broker);
  AddScrub(page, broker.scrub);
  page.Gauge("varve_dirty_bytes", "Entries in the journal and not yet in segments.",
             static_cast<double>(broker.dirty_bytes));
  page.Gauge("varve_dirty_budget_bytes", "Where appends begin to wait.",
             static_cast<double>(broker.dirty_budget_bytes));
  page.Gauge("varve_request_memory_bytes", "Memory that requests under way hold.",
             static_cast<double>(broker.request_memory_bytes));
  page.Gauge("varve_request_memory_limit_bytes", "Where requests are refused as OVERLOADED.",
             static_cast<double>(broker.request_memory_limit_bytes));
  page.Gauge("varve_topics", "Topics.", static_cast<double>(broker.topics));
  page.Gauge("varve_partitions", "Partitions of all topics.",
             static_cast<double>(broker.partitions));
  page.Gauge("varve_disk_failed", "1 after the disk reported an error: no more writes are taken.",
             broker.disk_failed ? 1 : 0);
  page.Gauge("varve_retention_paused",
             "1 while deletion by age waits because the clock cannot be trusted.",
             broker.retention_paused ? 1 : 0);
}

void AddProcess(Page& page, const MetricsInput& input) {
  page.Gauge("varve_build_info", "Always 1; the version is the label.", 1,
             {{"version", input.version}});
  page.Gauge("varve_start_timestamp_seconds", "When the process started, Unix time.",
             static_cast<double>(input.started.value()) / 1e3);
  page.Gauge("varve_ready", "1 while requests are served.", input.ready ? 1 : 0);
  if (input.disk) {
    page.Gauge("varve_disk_free_bytes", "Free space of the data directory's file system.",
               static_cast<double>(input.disk->free_bytes));
    page.Gauge("varve_disk_total_bytes", "Size of the data directory's file system.",
               static_cast<double>(input.disk->total_bytes));
  }
  Page::AddCounter(
      page.Add("process_cpu_seconds_total", MetricType::Counter, "Processor time used."),
      input.process.cpu_seconds, {});
  page.Gauge("process_resident_memory_bytes", "Resident memory.",
             static_cast<double>(input.process.resident_bytes));
  page.Gauge("process_open_fds", "Open file descriptors.",
             static_cast<double>(input.process.open_fds));
  page.Gauge("process_max_fds", "Limit of open file descriptors.",
             static_cast<double>(input.process.max_fds));
  page.Gauge("process_threads", "Threads.", static_cast<double>(input.process.threads));
}

}  // namespace

std::string RenderMetrics(const MetricsInput& input) {
  Page page;
  AddProcess(page, input);
  if (input.broker) {
    AddTopics(page, *input.broker->metrics);
    AddRequests(page, *input.broker->metrics);
    AddStorage(page, *input.broker);
    AddLogs(page, *input.broker);
    AddRaft(page, *input.broker);
    AddPeers(page, *input.broker);
  }
  return page.Text();
}

}  // namespace varve::server
