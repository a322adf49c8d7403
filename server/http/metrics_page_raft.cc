#include "server/http/metrics_page_raft.h"

#include <string>

#include "common/strings.h"

namespace varve::server {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;

void AddCluster(MetricFamilies& page, const MetricsInput::BrokerPart& broker) {
  const MetricsInput::ClusterPart& cluster = broker.cluster;
  page.Gauge("varve_node_info", "Always 1; cluster and node are the labels.", 1,
             {{"cluster", cluster.cluster.ToString()}, {"node", StrCat(cluster.node)}});
  page.Gauge("varve_cluster_brokers", "Brokers that the metadata names, as known here.",
             static_cast<double>(cluster.brokers));
  page.Gauge("varve_cluster_brokers_live", "Of these the ones whose heartbeats arrive here.",
             static_cast<double>(cluster.brokers_live));
  page.Gauge("varve_controller_is_leader", "1 while this broker takes the cluster's decisions.",
             cluster.is_controller ? 1 : 0);
  page.Gauge("varve_clock_off_seconds",
             "How far this clock is ahead of the median of at least three live brokers.",
             static_cast<double>(cluster.clock_off_ms) / 1e3);
  page.Gauge("varve_leaderless_partitions", "Partitions of topics that nobody leads, as seen here.",
             static_cast<double>(cluster.leaderless_partitions));
  page.Gauge("varve_under_replicated_partitions",
             "Partitions led here of which fewer replicas are in sync than vote.",
             static_cast<double>(broker.census.under_replicated));
  page.Gauge("varve_suspect_replicas", "Replicas here that lost what they had acknowledged.",
             static_cast<double>(broker.census.suspect));
  page.Gauge("varve_damaged_replicas", "Replicas here with entries that do not verify.",
             static_cast<double>(broker.census.damaged));
  page.Gauge("varve_shards", "Threads that run partitions.", static_cast<double>(broker.shards));
  page.Gauge("varve_shards_stalled", "Of these the ones that did not answer this scrape in time.",
             static_cast<double>(broker.shards_stalled));
}

void AddGroups(MetricFamilies& page, const PartitionCensus& census) {
  MetricFamily& groups = page.Add("varve_raft_groups", MetricType::Gauge,
                                  "Replicas here, by what they are; metadata included.");
  MetricFamilies::AddGauge(groups, static_cast<double>(census.leaders), {{"role", "leader"}});
  MetricFamilies::AddGauge(groups, static_cast<double>(census.followers), {{"role", "follower"}});
  MetricFamilies::AddGauge(groups, static_cast<double>(census.learners), {{"role", "learner"}});
  MetricFamilies::AddGauge(groups, static_cast<double>(census.candidates), {{"role", "candidate"}});
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    page.Gauge(name, help, static_cast<double>(value));
  };
  gauge("varve_raft_groups_without_leader", "Replicas here that know of no leader.",
        census.without_leader);
  gauge("varve_raft_groups_asleep", "Replicas here in which nothing happens.", census.asleep);
  gauge("varve_raft_term_max", "Newest term of the replicas here.", census.newest_term.value());
  gauge("varve_raft_uncommitted_entries",
        "Entries of partitions led here that wait for a majority.", census.uncommitted_entries);
  gauge("varve_raft_uncommitted_bytes", "Bytes of proposals led here that are not answered.",
        census.uncommitted_bytes);
  gauge("varve_raft_follower_lag_entries", "Entries that followers of partitions led here lack.",
        census.follower_lag_entries);
  gauge("varve_raft_follower_lag_entries_max", "Of these the most that a single follower lacks.",
        census.follower_lag_entries_max);
  gauge("varve_raft_installs_under_way", "Followers of partitions led here that get a whole log.",
        census.installs_under_way);
  gauge("varve_raft_configuration_changes",
        "Partitions led here whose change of members is under way.", census.configuration_changes);
}

void AddCounts(MetricFamilies& page, const PartitionTotals& totals) {
  page.Counter("varve_raft_elections_total", "Elections that replicas here began.",
               totals.elections);
  page.Counter("varve_raft_leader_changes_total",
               "Times that a replica here saw another leader than before.", totals.leader_changes);
  MetricFamily& steps = page.Add("varve_raft_step_downs_total", MetricType::Counter,
                                 "Leaderships that ended here, by cause.");
  for (size_t i = 0; i < totals.step_downs.size(); ++i)
    MetricFamilies::AddCounter(steps, static_cast<double>(totals.step_downs[i]),
                               {{"cause", std::string(raft::kStepDownNames[i])}});
  MetricFamily& proposals = page.Add("varve_raft_proposals_total", MetricType::Counter,
                                     "Proposals to partitions led here, by what became of them.");
  const auto add = [&](uint64_t count, const char* result) {
    MetricFamilies::AddCounter(proposals, static_cast<double>(count), {{"result", result}});
  };
  add(totals.proposals_committed, "committed");
  add(totals.proposals_refused, "refused");
  add(totals.proposals_lost, "lost");
  add(totals.proposals_unknown, "unknown");
  page.Counter("varve_raft_rejected_appends_total",
               "Appends to followers whose logs differ there or end before.",
               totals.rejected_appends);
  page.Counter("varve_raft_refused_messages_total", "Messages that no correct replica sends.",
               totals.refused_messages);
  page.Counter("varve_raft_deaf_messages_total",
               "Messages of processes that were gone, not listened to.", totals.deaf_messages);
  page.Counter("varve_raft_installs_offered_total", "Whole logs offered to followers.",
               totals.installs_offered);
  page.Counter("varve_raft_installs_begun_total", "Whole logs that replicas here began to fetch.",
               totals.installs_begun);
  page.Counter("varve_raft_installs_taken_total", "Of these the ones that replaced a log.",
               totals.installs_taken);
  page.Counter("varve_raft_installs_failed_total", "Of these the ones that broke off.",
               totals.installs_failed);
  page.Counter("varve_segments_repaired_total", "Damaged segments fetched from another replica.",
               totals.segments_repaired);
}

void AddLinkCounts(MetricFamilies& page, const raft::PeerHubStats& links) {
  page.Counter("varve_peer_heartbeats_out_total", "Heartbeats sent to other brokers.",
               links.heartbeats_out);
  page.Counter("varve_peer_heartbeats_in_total", "Heartbeats of other brokers.",
               links.heartbeats_in);
  page.Counter("varve_peer_packets_out_total", "Packets sent to other brokers.", links.packets_out);
  page.Counter("varve_peer_packets_in_total", "Packets of other brokers.", links.packets_in);
  page.Counter("varve_peer_bytes_out_total", "Bytes of packets to other brokers.", links.bytes_out);
  page.Counter("varve_peer_bytes_in_total", "Bytes of packets of other brokers.", links.bytes_in);
  page.Counter("varve_peer_messages_out_total", "Messages in packets to other brokers.",
               links.messages_out);
  page.Counter("varve_peer_messages_dropped_total",
               "Messages to brokers that are away or take no more.", links.messages_dropped);
  page.Counter("varve_peer_packets_refused_total", "Packets that could not be read.",
               links.packets_refused);
}

}  // namespace

void AddRaft(MetricFamilies& page, const MetricsInput::BrokerPart& broker) {
  AddCluster(page, broker);
  AddGroups(page, broker.census);
  AddCounts(page, broker.totals);
  page.Histogram("varve_raft_append_seconds",
                 "From an append to a follower's word that it is durable there.",
                 broker.totals.append_round_trip, kNanosPerSecond);
  page.Histogram("varve_raft_commit_seconds", "From the proposal of a batch to its commit.",
                 broker.totals.commit_latency, kNanosPerSecond);
}

void AddPeers(MetricFamilies& page, const MetricsInput::BrokerPart& broker) {
  AddLinkCounts(page, broker.links);
  const auto add = [&](const char* name, const char* help, auto value) {
    MetricFamily& family = page.Add(name, MetricType::Gauge, help);
    for (const MetricsInput::PeerRow& peer : broker.peers)
      MetricFamilies::AddGauge(family, value(peer), {{"peer", StrCat(peer.node)}});
  };
  using Row = MetricsInput::PeerRow;
  add("varve_peer_live", "1 while heartbeats of the broker arrive.",
      [](const Row& peer) { return peer.live ? 1.0 : 0.0; });
  add("varve_peer_clock_ahead_seconds", "How far the broker's clock is ahead of this one.",
      [](const Row& peer) { return static_cast<double>(peer.clock_ahead_ms) / 1e3; });
  add("varve_peer_waiting_bytes", "Bytes of entries that wait for the broker.",
      [](const Row& peer) { return static_cast<double>(peer.waiting_bytes); });
  MetricFamily& silence = page.Add("varve_peer_silence_seconds", MetricType::Gauge,
                                   "Since the broker's last heartbeat; absent before the first.");
  for (const Row& peer : broker.peers)
    if (peer.silence)
      MetricFamilies::AddGauge(silence, static_cast<double>(*peer.silence) / kNanosPerSecond,
                               {{"peer", StrCat(peer.node)}});
  MetricFamily& lanes = page.Add("varve_peer_lane_up", MetricType::Gauge,
                                 "1 while the connection to the broker is up, by lane.");
  for (const Row& peer : broker.peers) {
    MetricFamilies::AddGauge(lanes, peer.control_up ? 1 : 0,
                             {{"peer", StrCat(peer.node)}, {"lane", "control"}});
    MetricFamilies::AddGauge(lanes, peer.bulk_up ? 1 : 0,
                             {{"peer", StrCat(peer.node)}, {"lane", "bulk"}});
  }
}

}  // namespace varve::server
