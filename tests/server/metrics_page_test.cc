#include "server/http/metrics_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace varve::server {
namespace {

using testing::HasSubstr;
using testing::Not;

MetricsInput Input(BrokerMetrics& metrics) {
  MetricsInput input;
  input.version = "1.2.3";
  input.started = WallTime(1'700'000'000'500);
  input.ready = true;
  input.broker = MetricsInput::BrokerPart{.metrics = &metrics};
  input.broker->journal.commits = 7;
  input.broker->journal.sync_latency.Observe(1'500'000'000);
  input.broker->journal.live_files = 2;
  input.broker->journal.spare_files = 1;
  input.broker->space = {100, 200, 30, 4, true};
  input.broker->disk_watch = {5, true, 2'500'000'000};
  input.broker->scrub = {4096, 2, 1, 3, 5'000'000'000};
  input.broker->trimmed_segments = 6;
  input.broker->logs = {{"orders", 1, Offset{40}, Offset{50}, 600}};
  input.broker->other_log_bytes = 70;
  input.broker->topics = 3;
  input.disk = SpaceInfo{1000, 400};
  input.process.resident_bytes = 4096;
  return input;
}

TEST(MetricsPage, ShowsTheProcessBeforeThereIsABroker) {
  MetricsInput input;
  input.version = "1.2.3";
  const std::string page = RenderMetrics(input);
  EXPECT_THAT(page, HasSubstr("varve_build_info{version=\"1.2.3\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("varve_ready 0\n"));
  EXPECT_THAT(page, Not(HasSubstr("varve_journal")));
}

TEST(MetricsPage, ShowsWhatWasCounted) {
  BrokerMetrics metrics;
  metrics.Topic("orders")->records_in.Add(5);
  metrics.Topic("orders")->bytes_in.Add(500);
  metrics.rpc(Rpc::kFetch).requests.Add(2);
  metrics.rpc(Rpc::kFetch).latency.Observe(150 * kMicrosecond);
  metrics.rpc(Rpc::kFetch).latency.Observe(60 * kSecond);
  metrics.CountError(Rpc::kProduce, Reason::OVERLOADED);
  const std::string page = RenderMetrics(Input(metrics));
  for (const char* line :
       {"# TYPE varve_records_in_total counter\n",
        "varve_records_in_total{topic=\"orders\",api=\"varve\"} 5\n",
        "varve_bytes_in_total{topic=\"orders\",api=\"varve\"} 500\n",
        "varve_requests_total{api=\"varve\",method=\"varve.v1.LogService/Fetch\"} 2\n",
        "# TYPE varve_request_seconds histogram\n",
        "varve_request_errors_total{api=\"varve\",method=\"varve.v1.LogService/Produce\","
        "reason=\"OVERLOADED\"} 1\n",
        "varve_journal_commits_total 7\n",
        "varve_journal_sync_seconds_sum 1.5\n",
        "varve_journal_live_files 2\n",
        "varve_journal_spare_files 1\n",
        "varve_reserve_bytes 100\n",
        "varve_reserve_target_bytes 200\n",
        "varve_reserve_draws_total 4\n",
        "varve_disk_full 1\n",
        "varve_disk_slow 1\n",
        "varve_disk_stalls_total 5\n",
        "varve_disk_stalled_seconds_total 2.5\n",
        "varve_trimmed_segments_total 6\n",
        "varve_log_start_offset{topic=\"orders\",partition=\"1\"} 40\n",
        "varve_log_end_offset{topic=\"orders\",partition=\"1\"} 50\n",
        "varve_log_size_bytes{topic=\"orders\",partition=\"1\"} 600\n",
        "varve_log_size_bytes{topic=\"_other\"} 70\n",
        "varve_scrubbed_bytes_total 4096\n",
        "varve_scrub_passes_total 2\n",
        "varve_scrub_last_pass_seconds 5\n",
        "varve_scrub_damaged_total 1\n",
        "varve_scrub_errors_total 3\n",
        "varve_topics 3\n",
        "varve_disk_free_bytes 400\n",
        "varve_ready 1\n",
        "varve_start_timestamp_seconds 1700000000.5\n",
        "process_resident_memory_bytes 4096\n"})
    EXPECT_THAT(page, HasSubstr(line));
}

TEST(MetricsPage, ShowsRaftAndTheOtherBrokers) {
  BrokerMetrics metrics;
  MetricsInput input = Input(metrics);
  MetricsInput::BrokerPart& broker = *input.broker;
  broker.cluster.brokers = 3;
  broker.cluster.leaderless_partitions = 2;
  broker.census.leaders = 5;
  broker.census.under_replicated = 1;
  broker.totals.step_downs[static_cast<size_t>(raft::StepDown::kNoQuorum)] = 4;
  broker.totals.proposals_lost = 6;
  broker.totals.append_round_trip.Observe(150 * kMicrosecond);
  broker.journal.commit_frames.Observe(3);
  broker.links.heartbeats_in = 7;
  broker.peers = {{NodeId{2}, true, true, false, 50 * kMillisecond, -1500, 10}, {NodeId{3}}};
  const std::string page = RenderMetrics(input);
  for (const char* line :
       {"varve_cluster_brokers 3\n", "varve_leaderless_partitions 2\n",
        "varve_raft_groups{role=\"leader\"} 5\n", "varve_under_replicated_partitions 1\n",
        "varve_raft_step_downs_total{cause=\"no_quorum\"} 4\n",
        "varve_raft_proposals_total{result=\"lost\"} 6\n",
        "varve_raft_append_seconds_bucket{le=\"0.0002\"} 1\n",
        "varve_journal_commit_frames_bucket{le=\"2\"} 0\n",
        "varve_journal_commit_frames_bucket{le=\"4\"} 1\n", "varve_peer_heartbeats_in_total 7\n",
        "varve_peer_live{peer=\"2\"} 1\n", "varve_peer_clock_ahead_seconds{peer=\"2\"} -1.5\n",
        "varve_peer_lane_up{peer=\"2\",lane=\"bulk\"} 0\n",
        "varve_peer_silence_seconds{peer=\"2\"} 0.05"})
    EXPECT_THAT(page, HasSubstr(line));
  EXPECT_THAT(page, Not(HasSubstr("varve_peer_silence_seconds{peer=\"3\"}"))) << "never heard of";
}

TEST(MetricsPage, HistogramBucketsAreCumulativeAndEndInInfinity) {
  BrokerMetrics metrics;
  metrics.produce_latency.Observe(1);
  metrics.produce_latency.Observe(150 * kMicrosecond);
  metrics.produce_latency.Observe(60 * kSecond);
  const std::string page = RenderMetrics(Input(metrics));
  EXPECT_THAT(page, HasSubstr("varve_produce_seconds_bucket{le=\"0.0001\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("varve_produce_seconds_bucket{le=\"0.0002\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("varve_produce_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("varve_produce_seconds_count 3\n"));
}

std::string OtherRecordsIn(BrokerMetrics& metrics) {
  const std::string page = RenderMetrics(Input(metrics));
  const std::string name = "varve_records_in_total{topic=\"_other\",api=\"varve\"} ";
  const size_t at = page.find(name);
  if (at == std::string::npos) return "";
  return page.substr(at + name.size(), page.find('\n', at) - at - name.size());
}

// A counter that falls looks like a restart to whoever scrapes.
TEST(MetricsPage, TheOtherTopicsNeverFallWhenTopicsComeAndGo) {
  BrokerMetrics metrics;
  for (size_t i = 0; i < kMaxTopicSeries + 3; ++i)
    metrics.Topic("t" + std::to_string(100000 + i))->records_in.Add(2);
  EXPECT_EQ(OtherRecordsIn(metrics), "6");
  metrics.ForgetTopic("t100001");  // has a series of its own
  EXPECT_EQ(OtherRecordsIn(metrics), "6");
  metrics.ForgetTopic("t" + std::to_string(100000 + kMaxTopicSeries + 2));  // has none
  EXPECT_EQ(OtherRecordsIn(metrics), "6");
  metrics.Topic("a")->records_in.Add(2);  // takes the place that is free
  EXPECT_EQ(OtherRecordsIn(metrics), "6");
  metrics.Topic("b")->records_in.Add(2);
  EXPECT_EQ(OtherRecordsIn(metrics), "8");
}

TEST(MetricsPage, TopicsBeyondTheCapAreAddedUp) {
  BrokerMetrics metrics;
  for (size_t i = 0; i < kMaxTopicSeries + 3; ++i)
    metrics.Topic("t" + std::to_string(100000 + i))->records_in.Add(2);
  const std::string page = RenderMetrics(Input(metrics));
  EXPECT_THAT(page, HasSubstr("varve_records_in_total{topic=\"_other\",api=\"varve\"} 6\n"));
  size_t rows = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);)
    rows += line.starts_with("varve_records_in_total{");
  EXPECT_EQ(rows, kMaxTopicSeries + 1);
}

TEST(ProcessStats, SeesThisProcess) {
  const ProcessStats stats = ReadProcessStats();
  EXPECT_GT(stats.resident_bytes, 1u << 20);
  EXPECT_GE(stats.open_fds, 3u);
  EXPECT_GE(stats.max_fds, stats.open_fds);
  EXPECT_GE(stats.threads, 1u);
}

}  // namespace
}  // namespace varve::server
