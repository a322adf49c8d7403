#include "client/cli/cluster_output.h"

#include <algorithm>
#include <map>

#include "client/cli/quantity.h"
#include "client/cli/status_json.h"
#include "client/cli/table.h"

namespace varve::cli {
namespace {

std::string NodeText(uint32_t node) { return node == 0 ? "-" : std::to_string(node); }

std::string SyncText(const ReplicaStatus& replica) {
  if (replica.membership == "missing") return "missing";
  std::string text = replica.state == "leader" ? "leader"
                     : replica.in_sync         ? "in sync"
                     : replica.live            ? "behind"
                                               : "silent";
  if (replica.membership != "voter") text += " " + replica.membership;
  return text;
}

// The rows of every replica as the leader knows it.
std::string ReplicaTable(const PartitionStatus& leader, bool bold) {
  Table table({{"NODE", Align::kRight},
               {"EPOCH", Align::kRight},
               {"MEMBER"},
               {"STATE"},
               {"SYNC"},
               {"MATCH", Align::kRight},
               {"COMMIT", Align::kRight},
               {"LAG", Align::kRight},
               {"LAG SIZE", Align::kRight},
               {"BEHIND", Align::kRight}});
  for (const ReplicaStatus& replica : leader.replicas)
    table.AddRow({std::to_string(replica.node), std::to_string(replica.epoch), replica.membership,
                  replica.state, SyncText(replica), std::to_string(replica.match_index),
                  std::to_string(replica.commit_index), std::to_string(replica.lag_entries),
                  HumanSize(replica.lag_bytes), AgeText(replica.behind_ms)});
  return table.Render(bold);
}

std::string OwnTable(const PartitionReport& report, bool bold) {
  Table table({{"ANSWERED BY", Align::kRight},
               {"ROLE"},
               {"TERM", Align::kRight},
               {"FOLLOWS", Align::kRight},
               {"START", Align::kRight},
               {"HIGH WATERMARK", Align::kRight},
               {"END", Align::kRight},
               {"DURABLE", Align::kRight},
               {"LAST", Align::kRight},
               {"DAMAGED", Align::kRight}});
  for (const PartitionStatus& own : report.replicas)
    table.AddRow({std::to_string(own.node), own.role, std::to_string(own.term),
                  NodeText(own.leader_node), std::to_string(own.log_start),
                  std::to_string(own.high_watermark), std::to_string(own.log_end),
                  std::to_string(own.durable_index), std::to_string(own.last_index),
                  std::to_string(own.damaged_ranges)});
  return table.Render(bold);
}

std::string ConditionsText(const std::vector<Condition>& conditions) {
  if (conditions.empty()) return "none";
  std::map<std::string, size_t> counts;
  for (const Condition& condition : conditions) ++counts[condition.code];
  std::string text;
  for (const auto& [code, count] : counts)
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + code;
  return text + "; see varve doctor";
}

Table BrokerTable(const ClusterStatus& cluster) {
  Table table({{"NODE", Align::kRight},
               {"ADDRESS"},
               {"STATE"},
               {"LEADERS", Align::kRight},
               {"REPLICAS", Align::kRight},
               {"SIZE", Align::kRight},
               {"DISK"},
               {"UP", Align::kRight},
               {"VERSION"},
               {"CONDITIONS", Align::kRight}});
  for (const BrokerStatus& broker : cluster.brokers) {
    const std::string node = std::to_string(broker.node);
    if (!broker.status.ok()) {
      table.AddRow({node, broker.address, "does not answer", "-", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    const bool controller = broker.node == cluster.controller_node;
    table.AddRow({node, broker.address, broker.state + (controller ? ", controller" : ""),
                  std::to_string(broker.leaders), std::to_string(broker.replicas),
                  HumanSize(broker.data_bytes), broker.directory_state, AgeText(broker.uptime_ms),
                  broker.version, std::to_string(broker.conditions_total)});
  }
  return table;
}

size_t Count(const std::vector<PartitionView>& partitions, bool (PartitionView::*is)() const) {
  return static_cast<size_t>(std::count_if(partitions.begin(), partitions.end(),
                                           [&](const PartitionView& p) { return (p.*is)(); }));
}

}  // namespace

std::string AgeText(uint64_t ms) {
  constexpr std::pair<uint64_t, const char*> kUnits[] = {
      {86'400'000, " d"}, {3'600'000, " h"}, {60'000, " min"}, {1'000, " s"}};
  for (const auto& [unit, name] : kUnits)
    if (ms >= 2 * unit || (unit == 1'000 && ms >= unit)) return std::to_string(ms / unit) + name;
  return std::to_string(ms) + " ms";
}

std::vector<PartitionView> JoinPartitions(const std::vector<TopicDescription>& topics,
                                          const PartitionSurvey& survey) {
  std::map<std::pair<std::string, uint32_t>, const PartitionReport*> reports;
  for (const PartitionReport& report : survey.partitions)
    reports[{report.topic, report.partition}] = &report;
  std::vector<PartitionView> out;
  for (const TopicDescription& topic : topics) {
    for (const PartitionDescription& partition : topic.partitions) {
      PartitionView& view = out.emplace_back();
      view.topic = topic.name;
      view.placed = partition;
      const auto at = reports.find({topic.name, partition.partition});
      if (at != reports.end()) view.report = *at->second;
    }
  }
  return out;
}

std::string ReplicasText(const PartitionView& partition) {
  const PartitionStatus* leader = partition.leader();
  std::string text;
  if (leader == nullptr) {
    std::vector<uint32_t> nodes = partition.placed.replica_nodes;
    std::sort(nodes.begin(), nodes.end());
    for (const uint32_t node : nodes) {
      const auto own =
          std::find_if(partition.report.replicas.begin(), partition.report.replicas.end(),
                       [&](const PartitionStatus& p) { return p.node == node; });
      text += (text.empty() ? "" : ", ") + std::to_string(node) + " " +
              (own == partition.report.replicas.end() ? "silent" : own->role);
    }
    return text;
  }
  for (const ReplicaStatus& replica : leader->replicas) {
    text += (text.empty() ? "" : ", ") + std::to_string(replica.node) + " " + SyncText(replica);
    if (replica.lag_entries > 0 && !replica.in_sync)
      text += " -" + std::to_string(replica.lag_entries) + " " + replica.state;
  }
  return text;
}

std::string MarksText(const PartitionView& partition) {
  const PartitionStatus* leader = partition.leader();
  if (leader == nullptr) return "leaderless";
  std::string text;
  const auto add = [&](const std::string& mark) { text += (text.empty() ? "" : ", ") + mark; };
  if (!leader->serving) add("not serving");
  if (leader->under_replicated) add("under-replicated");
  if (leader->configuration_change != "none") add(leader->configuration_change);
  for (const PartitionStatus& own : partition.report.replicas) {
    if (own.role == "suspect") add("suspect on " + std::to_string(own.node));
    if (own.damaged_ranges > 0) add("damaged on " + std::to_string(own.node));
  }
  return text;
}

std::string RenderCluster(const ClusterStatus& cluster, const PartitionReport& metadata,
                          const std::vector<PartitionView>& partitions, OutputFormat format,
                          bool bold) {
  const size_t leaderless = Count(partitions, &PartitionView::leaderless);
  const size_t under = Count(partitions, &PartitionView::under_replicated);
  if (format != OutputFormat::kTable) {
    Json json;
    json["cluster_id"] = cluster.cluster_id;
    json["controller_node"] = NodeJson(cluster.controller_node);
    json["brokers"] = Json::array();
    for (const BrokerStatus& broker : cluster.brokers)
      json["brokers"].push_back(BrokerJson(broker, false));
    json["partitions"] = {
        {"total", partitions.size()}, {"leaderless", leaderless}, {"under_replicated", under}};
    PartitionView view;
    view.placed.group_id = metadata.group_id;
    view.report = metadata;
    json["metadata"] = PartitionViewJson(view);
    json["metadata"].erase("topic");
    json["metadata"].erase("replica_nodes");
    json["conditions"] = Json::array();
    for (const Condition& condition : cluster.conditions)
      json["conditions"].push_back(ConditionJson(condition));
    return DumpJson(json, format == OutputFormat::kJson ? 2 : -1);
  }
  Table facts({{"CLUSTER"}, {cluster.cluster_id}});
  facts.AddRow({"controller", cluster.controller_node == 0
                                  ? "none known"
                                  : "node " + std::to_string(cluster.controller_node)});
  facts.AddRow({"partitions", std::to_string(partitions.size())});
  facts.AddRow({"leaderless", std::to_string(leaderless)});
  facts.AddRow({"under-replicated", std::to_string(under)});
  facts.AddRow({"conditions", ConditionsText(cluster.conditions)});
  std::string text = facts.Render(bold) + "\n" + BrokerTable(cluster).Render(bold);
  if (const PartitionStatus* leader = metadata.leader(); leader != nullptr)
    text += "\nmetadata group, term " + std::to_string(leader->term) + "\n" +
            ReplicaTable(*leader, bold);
  return text;
}

std::string RenderBrokerList(const ClusterStatus& cluster, OutputFormat format, bool bold) {
  if (format == OutputFormat::kTable) return BrokerTable(cluster).Render(bold);
  std::vector<Json> brokers;
  brokers.reserve(cluster.brokers.size());
  for (const BrokerStatus& broker : cluster.brokers) brokers.push_back(BrokerJson(broker, false));
  return DumpJson(brokers, format);
}

std::string RenderBroker(const ClusterStatus& cluster, const BrokerStatus& broker,
                         OutputFormat format, bool bold) {
  if (format != OutputFormat::kTable)
    return DumpJson(BrokerJson(broker, true), format == OutputFormat::kJson ? 2 : -1);
  Table facts({{"BROKER"}, {std::to_string(broker.node)}});
  facts.AddRow({"address", broker.address});
  if (!broker.status.ok()) {
    facts.AddRow({"state", "does not answer: " + std::string(broker.status.message())});
    return facts.Render(bold);
  }
  facts.AddRow({"peer address", broker.peer_address.empty() ? "-" : broker.peer_address});
  facts.AddRow({"state", broker.state});
  facts.AddRow({"controller", broker.node == cluster.controller_node ? "yes" : "no"});
  facts.AddRow({"version", broker.version});
  facts.AddRow({"up", AgeText(broker.uptime_ms)});
  facts.AddRow({"process epoch", std::to_string(broker.process_epoch)});
  facts.AddRow({"data directory", broker.directory_id + ", " + broker.directory_state});
  facts.AddRow({"leaders", std::to_string(broker.leaders)});
  facts.AddRow({"replicas", std::to_string(broker.replicas)});
  facts.AddRow({"size", HumanSize(broker.data_bytes)});
  facts.AddRow({"conditions", ConditionsText(broker.conditions)});
  if (broker.peers.empty()) return facts.Render(bold);
  Table peers({{"PEER", Align::kRight},
               {"ADDRESS"},
               {"LIVE"},
               {"SILENT", Align::kRight},
               {"CLOCK AHEAD", Align::kRight}});
  for (const PeerStatus& peer : broker.peers)
    peers.AddRow({std::to_string(peer.node), peer.address, peer.live ? "yes" : "no",
                  peer.heard ? AgeText(peer.silent_ms) : "never heard",
                  peer.heard ? std::to_string(peer.clock_ahead_ms) + " ms" : "-"});
  return facts.Render(bold) + "\n" + peers.Render(bold);
}

std::string RenderPartitionList(const std::vector<PartitionView>& partitions, OutputFormat format,
                                bool bold) {
  if (format != OutputFormat::kTable) {
    std::vector<Json> objects;
    objects.reserve(partitions.size());
    for (const PartitionView& partition : partitions)
      objects.push_back(PartitionViewJson(partition));
    return DumpJson(objects, format);
  }
  Table table({{"TOPIC"},
               {"PARTITION", Align::kRight},
               {"LEADER", Align::kRight},
               {"EPOCH", Align::kRight},
               {"START", Align::kRight},
               {"END", Align::kRight},
               {"REPLICAS"},
               {"MARKS"}});
  for (const PartitionView& partition : partitions) {
    const PartitionStatus* leader = partition.leader();
    const auto of = [&](auto member) {
      return leader == nullptr ? std::string("-") : std::to_string(leader->*member);
    };
    table.AddRow({partition.topic, std::to_string(partition.placed.partition),
                  of(&PartitionStatus::node), of(&PartitionStatus::term),
                  of(&PartitionStatus::log_start), of(&PartitionStatus::high_watermark),
                  ReplicasText(partition), MarksText(partition)});
  }
  return table.Render(bold);
}

std::string RenderPartition(const PartitionView& partition, OutputFormat format, bool bold) {
  if (format != OutputFormat::kTable)
    return DumpJson(PartitionViewJson(partition), format == OutputFormat::kJson ? 2 : -1);
  const PartitionStatus* leader = partition.leader();
  Table facts(
      {{"PARTITION"}, {partition.topic + "/" + std::to_string(partition.placed.partition)}});
  facts.AddRow({"group", std::to_string(partition.placed.group_id)});
  facts.AddRow({"leader", leader == nullptr ? "none" : "node " + std::to_string(leader->node)});
  if (leader != nullptr) {
    facts.AddRow({"leader epoch", std::to_string(leader->term)});
    facts.AddRow({"log start", std::to_string(leader->log_start)});
    facts.AddRow({"high watermark", std::to_string(leader->high_watermark)});
    facts.AddRow({"log end", std::to_string(leader->log_end)});
    facts.AddRow({"size", HumanSize(leader->size_bytes)});
    facts.AddRow({"configuration change", leader->configuration_change});
  }
  const std::string marks = MarksText(partition);
  facts.AddRow({"marks", marks.empty() ? "none" : marks});
  std::string text = facts.Render(bold);
  if (leader != nullptr) text += "\n" + ReplicaTable(*leader, bold);
  if (!partition.report.replicas.empty()) text += "\n" + OwnTable(partition.report, bold);
  return text;
}

}  // namespace varve::cli
