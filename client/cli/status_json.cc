#include "client/cli/status_json.h"

namespace varve::cli {

std::string DumpJson(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string DumpJson(const std::vector<Json>& objects, OutputFormat format) {
  if (format == OutputFormat::kJson) {
    Json array = Json::array();
    for (const Json& object : objects) array.push_back(object);
    return DumpJson(array, 2);
  }
  std::string text;
  for (const Json& object : objects) text += DumpJson(object, -1);
  return text;
}

Json NodeJson(uint32_t node) { return node == 0 ? Json(nullptr) : Json(node); }

Json ConditionJson(const Condition& condition) {
  Json json;
  json["code"] = condition.code;
  json["severity"] = condition.severity;
  json["age_ms"] = condition.age_ms;
  json["cause"] = condition.cause;
  json["advice"] = condition.advice;
  json["node"] = NodeJson(condition.node);
  json["topic"] = condition.topic.empty() ? Json(nullptr) : Json(condition.topic);
  json["partition"] = condition.topic.empty() ? Json(nullptr) : Json(condition.partition);
  json["group_id"] = condition.group_id == 0 ? Json(nullptr) : Json(condition.group_id);
  json["stated_by"] = condition.stated_by;
  return json;
}

Json BrokerJson(const BrokerStatus& broker, bool with_peers) {
  Json json;
  json["node"] = broker.node;
  json["address"] = broker.address;
  json["answered"] = broker.status.ok();
  if (!broker.status.ok()) {
    json["error"] = {{"reason", std::string(broker.status.reason())},
                     {"message", std::string(broker.status.message())}};
    return json;
  }
  json["peer_address"] = broker.peer_address;
  json["state"] = broker.state;
  json["version"] = broker.version;
  json["uptime_ms"] = broker.uptime_ms;
  json["process_epoch"] = broker.process_epoch;
  json["directory_id"] = broker.directory_id;
  json["directory_state"] = broker.directory_state;
  json["controller_node"] = NodeJson(broker.controller_node);
  json["replicas"] = broker.replicas;
  json["leaders"] = broker.leaders;
  json["data_bytes"] = broker.data_bytes;
  json["conditions_total"] = broker.conditions_total;
  if (!with_peers) return json;
  json["peers"] = Json::array();
  for (const PeerStatus& peer : broker.peers) {
    Json row = {{"node", peer.node}, {"address", peer.address}, {"live", peer.live}};
    row["silent_ms"] = peer.heard ? Json(peer.silent_ms) : Json(nullptr);
    row["clock_ahead_ms"] = peer.heard ? Json(peer.clock_ahead_ms) : Json(nullptr);
    json["peers"].push_back(std::move(row));
  }
  json["conditions"] = Json::array();
  for (const Condition& condition : broker.conditions)
    json["conditions"].push_back(ConditionJson(condition));
  return json;
}

Json ReplicaJson(const ReplicaStatus& replica) {
  return {{"node", replica.node},
          {"epoch", replica.epoch},
          {"membership", replica.membership},
          {"state", replica.state},
          {"live", replica.live},
          {"in_sync", replica.in_sync},
          {"match_index", replica.match_index},
          {"commit_index", replica.commit_index},
          {"lag_entries", replica.lag_entries},
          {"lag_bytes", replica.lag_bytes},
          {"behind_ms", replica.behind_ms},
          {"stalled_ms", replica.stalled_ms},
          {"full", replica.full}};
}

Json PartitionViewJson(const PartitionView& partition) {
  const PartitionStatus* leader = partition.leader();
  Json json;
  json["topic"] = partition.topic;
  json["partition"] = partition.placed.partition;
  json["group_id"] = partition.placed.group_id;
  json["leader_node"] = NodeJson(leader == nullptr ? 0 : leader->node);
  json["leader_epoch"] = leader == nullptr ? Json(nullptr) : Json(leader->term);
  json["serving"] = leader != nullptr && leader->serving;
  json["under_replicated"] = partition.under_replicated();
  json["replica_nodes"] = partition.placed.replica_nodes;
  json["log_start"] = leader == nullptr ? Json(nullptr) : Json(leader->log_start);
  json["high_watermark"] = leader == nullptr ? Json(nullptr) : Json(leader->high_watermark);
  json["log_end"] = leader == nullptr ? Json(nullptr) : Json(leader->log_end);
  json["size_bytes"] = leader == nullptr ? Json(nullptr) : Json(leader->size_bytes);
  json["configuration_change"] =
      leader == nullptr ? Json(nullptr) : Json(leader->configuration_change);
  json["replicas"] = Json::array();
  if (leader != nullptr)
    for (const ReplicaStatus& replica : leader->replicas)
      json["replicas"].push_back(ReplicaJson(replica));
  json["reported_by"] = Json::array();
  for (const PartitionStatus& own : partition.report.replicas)
    json["reported_by"].push_back({{"node", own.node},
                                   {"epoch", own.epoch},
                                   {"role", own.role},
                                   {"term", own.term},
                                   {"leader_node", NodeJson(own.leader_node)},
                                   {"log_start", own.log_start},
                                   {"high_watermark", own.high_watermark},
                                   {"log_end", own.log_end},
                                   {"commit_index", own.commit_index},
                                   {"durable_index", own.durable_index},
                                   {"last_index", own.last_index},
                                   {"size_bytes", own.size_bytes},
                                   {"damaged_ranges", own.damaged_ranges}});
  return json;
}

}  // namespace varve::cli
