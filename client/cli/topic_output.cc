#include "client/cli/topic_output.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/cli/quantity.h"
#include "client/cli/table.h"

namespace varve::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string Dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json PartitionJson(const PartitionDescription& partition) {
  Json json;
  json["partition"] = partition.partition;
  json["group_id"] = partition.group_id;
  json["leader_node"] = partition.leader_node == 0 ? Json(nullptr) : Json(partition.leader_node);
  json["leader_epoch"] = partition.leader_epoch;
  json["replica_nodes"] = partition.replica_nodes;
  json["log_start"] = partition.log_start;
  json["high_watermark"] = partition.high_watermark;
  json["size_bytes"] = partition.size_bytes;
  return json;
}

Json TopicJson(const TopicDescription& topic, bool with_partitions) {
  Json json;
  json["name"] = topic.name;
  json["id"] = topic.id;
  json["partition_count"] = topic.partition_count;
  json["replication_factor"] = topic.replication_factor;
  if (!topic.state.empty()) json["state"] = topic.state;  // brokers leave it out of lists
  json["created"] = FormatTime(topic.created_ms);
  json["max_batch_bytes"] = topic.settings.max_batch_bytes;
  json["segment_bytes"] = topic.settings.segment_bytes;
  if (!with_partitions) return json;
  json["settings"] = Json::object();
  for (const TopicSetting& setting : topic.named_settings)
    json["settings"][setting.name] = setting.value;
  json["partitions"] = Json::array();
  for (const PartitionDescription& partition : topic.partitions)
    json["partitions"].push_back(PartitionJson(partition));
  return json;
}

std::string RenderJson(const std::vector<TopicDescription>& topics, bool lines,
                       bool with_partitions) {
  Json array = Json::array();
  std::string text;
  for (const TopicDescription& topic : topics) {
    Json json = TopicJson(topic, with_partitions);
    if (lines) {
      text += Dump(json, -1);
    } else {
      array.push_back(std::move(json));
    }
  }
  return lines ? text : Dump(array, 2);
}

std::string NodeText(uint32_t node) { return node == 0 ? "-" : std::to_string(node); }

std::string NodesText(const std::vector<uint32_t>& nodes) {
  std::string text;
  for (uint32_t node : nodes) text += (text.empty() ? "" : ",") + std::to_string(node);
  return text;
}

std::string SettingText(uint64_t bytes) { return bytes == 0 ? "default" : HumanSize(bytes); }

std::string PartitionTable(const TopicDescription& topic, bool bold) {
  Table table({{"PARTITION", Align::kRight},
               {"LEADER", Align::kRight},
               {"EPOCH", Align::kRight},
               {"START", Align::kRight},
               {"END", Align::kRight},
               {"RECORDS", Align::kRight},
               {"SIZE", Align::kRight},
               {"REPLICAS"}});
  for (const PartitionDescription& p : topic.partitions) {
    table.AddRow(
        {std::to_string(p.partition), NodeText(p.leader_node), std::to_string(p.leader_epoch),
         std::to_string(p.log_start), std::to_string(p.high_watermark),
         HumanCount(static_cast<double>(std::max<int64_t>(0, p.high_watermark - p.log_start))),
         HumanSize(p.size_bytes), NodesText(p.replica_nodes)});
  }
  return table.Render(bold);
}

}  // namespace

std::string RenderTopicList(const std::vector<TopicDescription>& topics, OutputFormat format,
                            bool bold) {
  if (format != OutputFormat::kTable)
    return RenderJson(topics, format == OutputFormat::kJsonLines, false);
  Table table(
      {{"NAME"}, {"PARTITIONS", Align::kRight}, {"REPLICATION", Align::kRight}, {"CREATED"}});
  for (const TopicDescription& topic : topics) {
    table.AddRow({topic.name, std::to_string(topic.partition_count),
                  std::to_string(topic.replication_factor), FormatTime(topic.created_ms)});
  }
  return table.Render(bold);
}

std::string RenderTopicDescriptions(const std::vector<TopicDescription>& topics,
                                    OutputFormat format, bool bold) {
  if (format != OutputFormat::kTable)
    return RenderJson(topics, format == OutputFormat::kJsonLines, true);
  std::string text;
  for (const TopicDescription& topic : topics) {
    if (!text.empty()) text += "\n";
    uint64_t bytes = 0;
    for (const PartitionDescription& partition : topic.partitions) bytes += partition.size_bytes;
    Table facts({{"TOPIC"}, {topic.name}});
    facts.AddRow({"id", topic.id});
    facts.AddRow({"state", topic.state});
    facts.AddRow({"created", FormatTime(topic.created_ms)});
    facts.AddRow({"partitions", std::to_string(topic.partition_count)});
    facts.AddRow({"replication factor", std::to_string(topic.replication_factor)});
    facts.AddRow({"max batch bytes", SettingText(topic.settings.max_batch_bytes)});
    facts.AddRow({"segment bytes", SettingText(topic.settings.segment_bytes)});
    for (const TopicSetting& setting : topic.named_settings)
      if (!setting.is_default) facts.AddRow({setting.name, setting.value});
    facts.AddRow({"size", HumanSize(bytes)});
    text += facts.Render(bold) + "\n" + PartitionTable(topic, bold);
  }
  return text;
}

}  // namespace varve::cli
