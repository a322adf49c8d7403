#include "client/cli/topic_output.h"

#include <algorithm>

#include "client/cli/quantity.h"
#include "client/cli/status_json.h"
#include "client/cli/table.h"

namespace varve::cli {
namespace {

// The partition's leader knows better than the broker that answered about the topic.
void AddLeadersView(const PartitionView& view, Json* json) {
  const Json all = PartitionViewJson(view);
  if (view.leader() != nullptr)
    for (const char* known :
         {"leader_node", "leader_epoch", "log_start", "high_watermark", "size_bytes"})
      (*json)[known] = all[known];
  for (const char* more : {"log_end", "serving", "under_replicated", "configuration_change",
                           "replicas", "reported_by"})
    (*json)[more] = all[more];
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

Json TopicJson(const TopicDescription& topic, bool with_partitions, const PartitionSurvey* survey) {
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
  if (survey == nullptr) return json;
  const std::vector<PartitionView> views = JoinPartitions({topic}, *survey);
  for (size_t i = 0; i < views.size(); ++i) AddLeadersView(views[i], &json["partitions"][i]);
  return json;
}

std::string RenderJson(const std::vector<TopicDescription>& topics, OutputFormat format,
                       bool with_partitions, const PartitionSurvey* survey) {
  std::vector<Json> objects;
  objects.reserve(topics.size());
  for (const TopicDescription& topic : topics)
    objects.push_back(TopicJson(topic, with_partitions, survey));
  return DumpJson(objects, format);
}

std::string NodeText(uint32_t node) { return node == 0 ? "-" : std::to_string(node); }

std::string NodesText(const std::vector<uint32_t>& nodes) {
  std::string text;
  for (uint32_t node : nodes) text += (text.empty() ? "" : ",") + std::to_string(node);
  return text;
}

std::string SettingText(uint64_t bytes) { return bytes == 0 ? "default" : HumanSize(bytes); }

struct PartitionRow {
  PartitionDescription known;  // by the leader, if it answered
  std::string replicas, marks;
};

std::vector<PartitionRow> RowsOf(const TopicDescription& topic, const PartitionSurvey* survey) {
  std::vector<PartitionRow> rows;
  rows.reserve(topic.partitions.size());
  for (const PartitionDescription& partition : topic.partitions)
    rows.push_back({partition, NodesText(partition.replica_nodes), ""});
  if (survey == nullptr) return rows;
  const std::vector<PartitionView> views = JoinPartitions({topic}, *survey);
  for (size_t i = 0; i < views.size(); ++i) {
    rows[i].replicas = ReplicasText(views[i]);
    rows[i].marks = MarksText(views[i]);
    const PartitionStatus* leader = views[i].leader();
    if (leader == nullptr) continue;
    rows[i].known.leader_node = leader->node;
    rows[i].known.leader_epoch = static_cast<uint32_t>(leader->term);
    rows[i].known.log_start = leader->log_start;
    rows[i].known.high_watermark = leader->high_watermark;
    rows[i].known.size_bytes = leader->size_bytes;
  }
  return rows;
}

std::string PartitionTable(const std::vector<PartitionRow>& rows, bool marks, bool bold) {
  std::vector<Table::Column> columns = {{"PARTITION", Align::kRight}, {"LEADER", Align::kRight},
                                        {"EPOCH", Align::kRight},     {"START", Align::kRight},
                                        {"END", Align::kRight},       {"RECORDS", Align::kRight},
                                        {"SIZE", Align::kRight},      {"REPLICAS"}};
  if (marks) columns.push_back({"MARKS"});
  Table table(std::move(columns));
  for (const PartitionRow& row : rows) {
    const PartitionDescription& p = row.known;
    std::vector<std::string> cells = {
        std::to_string(p.partition),
        NodeText(p.leader_node),
        std::to_string(p.leader_epoch),
        std::to_string(p.log_start),
        std::to_string(p.high_watermark),
        HumanCount(static_cast<double>(std::max<int64_t>(0, p.high_watermark - p.log_start))),
        HumanSize(p.size_bytes),
        row.replicas};
    if (marks) cells.push_back(row.marks);
    table.AddRow(std::move(cells));
  }
  return table.Render(bold);
}

}  // namespace

std::string RenderTopicList(const std::vector<TopicDescription>& topics, OutputFormat format,
                            bool bold) {
  if (format != OutputFormat::kTable) return RenderJson(topics, format, false, nullptr);
  Table table(
      {{"NAME"}, {"PARTITIONS", Align::kRight}, {"REPLICATION", Align::kRight}, {"CREATED"}});
  for (const TopicDescription& topic : topics) {
    table.AddRow({topic.name, std::to_string(topic.partition_count),
                  std::to_string(topic.replication_factor), FormatTime(topic.created_ms)});
  }
  return table.Render(bold);
}

std::string RenderTopicDescriptions(const std::vector<TopicDescription>& topics,
                                    const PartitionSurvey* survey, OutputFormat format, bool bold) {
  if (format != OutputFormat::kTable) return RenderJson(topics, format, true, survey);
  std::string text;
  for (const TopicDescription& topic : topics) {
    if (!text.empty()) text += "\n";
    const std::vector<PartitionRow> rows = RowsOf(topic, survey);
    uint64_t bytes = 0;
    for (const PartitionRow& row : rows) bytes += row.known.size_bytes;
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
    text += facts.Render(bold) + "\n" + PartitionTable(rows, survey != nullptr, bold);
  }
  return text;
}

}  // namespace varve::cli
