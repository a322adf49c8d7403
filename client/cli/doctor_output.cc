#include "client/cli/doctor_output.h"

#include <algorithm>

#include "client/cli/cluster_output.h"
#include "client/cli/status_json.h"
#include "client/cli/table.h"

namespace varve::cli {
namespace {

std::string StatedBy(const Condition& condition) {
  if (condition.stated_by.empty()) return "this client";
  std::string text = condition.stated_by.size() == 1 ? "node " : "nodes ";
  for (size_t i = 0; i < condition.stated_by.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(condition.stated_by[i]);
  return text;
}

size_t Answered(const ClusterStatus& cluster) {
  return static_cast<size_t>(
      std::count_if(cluster.brokers.begin(), cluster.brokers.end(),
                    [](const BrokerStatus& broker) { return broker.status.ok(); }));
}

std::string RenderJson(const ClusterStatus& cluster, OutputFormat format) {
  if (format == OutputFormat::kJsonLines) {
    std::vector<Json> lines;
    lines.reserve(cluster.conditions.size());
    for (const Condition& condition : cluster.conditions) lines.push_back(ConditionJson(condition));
    return DumpJson(lines, format);
  }
  Json json;
  json["healthy"] = cluster.conditions.empty();
  json["brokers"] = Json::array();
  uint64_t left_out = 0;
  for (const BrokerStatus& broker : cluster.brokers) {
    json["brokers"].push_back(BrokerJson(broker, false));
    left_out += broker.conditions_total - broker.conditions.size();
  }
  json["conditions"] = Json::array();
  for (const Condition& condition : cluster.conditions)
    json["conditions"].push_back(ConditionJson(condition));
  json["conditions_left_out"] = left_out;
  return DumpJson(json, 2);
}

}  // namespace

std::string SubjectText(const Condition& condition) {
  std::string text;
  if (!condition.topic.empty()) {
    text = condition.topic + "/" + std::to_string(condition.partition);
  } else if (condition.group_id != 0) {
    text = "metadata";
  }
  if (condition.node != 0)
    text += (text.empty() ? "" : ", ") + ("node " + std::to_string(condition.node));
  return text;
}

int DoctorExitCode(const ClusterStatus& cluster) {
  return cluster.conditions.empty() ? kExitOk : kExitUnhealthy;
}

std::string RenderDoctor(const ClusterStatus& cluster, size_t shown, OutputFormat format,
                         bool colour) {
  if (format != OutputFormat::kTable) return RenderJson(cluster, format);
  const std::string brokers = std::to_string(Answered(cluster)) + " of " +
                              std::to_string(cluster.brokers.size()) + " brokers answered";
  if (cluster.conditions.empty()) return "healthy: " + brokers + ", nothing is wrong\n";
  Table table({{"SEVERITY"}, {"CODE"}, {"AGE", Align::kRight}, {"WHAT"}, {"CAUSE"}, {"SAYS"}});
  std::vector<const Condition*> advised;
  for (size_t i = 0; i < std::min(shown, cluster.conditions.size()); ++i) {
    const Condition& condition = cluster.conditions[i];
    table.AddRow({condition.severity, condition.code, AgeText(condition.age_ms),
                  SubjectText(condition), condition.cause, StatedBy(condition)});
    if (std::none_of(advised.begin(), advised.end(),
                     [&](const Condition* other) { return other->code == condition.code; }))
      advised.push_back(&condition);
  }
  std::string text = table.Render(colour);
  if (cluster.conditions.size() > shown)
    text +=
        "and " + std::to_string(cluster.conditions.size() - shown) + " more (-o json has all)\n";
  text += "\nWhat to do\n";
  Table advice({{"CODE"}, {"ADVICE"}});
  for (const Condition* condition : advised) advice.AddRow({condition->code, condition->advice});
  text += advice.Render(colour);
  return text + "\nunhealthy: " + std::to_string(cluster.conditions.size()) +
         (cluster.conditions.size() == 1 ? " condition, " : " conditions, ") + brokers + "\n";
}

}  // namespace varve::cli
