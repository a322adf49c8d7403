#include "client/cli/perf_report.h"

#include <algorithm>
#include <utility>

#include "client/cli/quantity.h"
#include "client/cli/table.h"

namespace varve::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<const char*, double> kPercentiles[] = {
    {"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}, {"p99.9", 99.9}};

double PerSecond(const PerfReport& report, uint64_t amount) {
  return report.seconds > 0 ? static_cast<double>(amount) / report.seconds : 0;
}

// Rounded to what is significant, so that the JSON is readable.
double Micros(double nanoseconds) { return std::round(nanoseconds) / 1e3; }

Json LatencyJson(const PerfReport& report) {
  if (report.latency_meaning.empty()) return nullptr;
  Json json;
  json["meaning"] = report.latency_meaning;
  json["count"] = report.latency.count();
  json["mean"] = Micros(report.latency.mean());
  for (const auto& [name, percent] : kPercentiles)
    json[name] = Micros(static_cast<double>(report.latency.Percentile(percent)));
  json["max"] = Micros(static_cast<double>(report.latency.max()));
  return json;
}

Json ContextJson(const RunContext& context) {
  Json json;
  json["cpu"] = context.cpu_model;
  json["cores"] = context.cores;
  json["memory_bytes"] = context.memory_bytes;
  json["kernel"] = context.kernel;
  json["directory"] = context.directory.empty() ? Json(nullptr) : Json(context.directory);
  json["filesystem"] = context.filesystem.empty() ? Json(nullptr) : Json(context.filesystem);
  return json;
}

std::string RenderJson(const PerfReport& report) {
  Json json;
  json["benchmark"] = report.benchmark;
  json["command"] = report.command;
  json["started"] = report.context.started;
  json["seconds"] = report.seconds;
  json["records"] = report.records;
  json["bytes"] = report.bytes;
  json["failed"] = report.failed;
  json["records_per_second"] = PerSecond(report, report.records);
  json["bytes_per_second"] = PerSecond(report, report.bytes);
  json["latency_us"] = LatencyJson(report);
  json["cpu"]["client_seconds"] = report.client_cpu_seconds;
  json["cpu"]["broker_seconds"] =
      report.broker_cpu_seconds ? Json(*report.broker_cpu_seconds) : Json(nullptr);
  json["settings"] = report.settings;
  json["hardware"] = ContextJson(report.context);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string LatencyTable(const PerfReport& report, bool bold) {
  std::vector<Table::Column> columns = {{"LATENCY"}, {"mean", Align::kRight}};
  std::vector<std::string> cells = {"", HumanDuration(report.latency.mean())};
  for (const auto& [name, percent] : kPercentiles) {
    columns.push_back({name, Align::kRight});
    cells.push_back(HumanDuration(static_cast<double>(report.latency.Percentile(percent))));
  }
  columns.push_back({"max", Align::kRight});
  cells.push_back(HumanDuration(static_cast<double>(report.latency.max())));
  Table table(std::move(columns));
  table.AddRow(std::move(cells));
  return table.Render(bold) + "latency: " + report.latency_meaning + "\n";
}

// CPU time as seconds and as what one second of the run used.
std::string CpuText(const PerfReport& report, double seconds) {
  std::string text = Fixed(seconds, 2) + " s";
  if (report.seconds > 0) text += " (" + Fixed(seconds / report.seconds, 2) + " cores)";
  if (seconds > 0 && report.bytes > 0)
    text +=
        ", " + Fixed(static_cast<double>(report.bytes) / seconds / 1e6, 1) + " MB per CPU second";
  return text;
}

void AddFacts(const PerfReport& report, Table& facts) {
  for (const auto& [name, value] : report.settings.items()) {
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    facts.AddRow({label, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  facts.AddRow({"client CPU", CpuText(report, report.client_cpu_seconds)});
  if (report.uses_broker) {
    facts.AddRow({"broker CPU", report.broker_cpu_seconds
                                    ? CpuText(report, *report.broker_cpu_seconds)
                                    : "not read; see --broker-pid and --metrics"});
  }
  const RunContext& context = report.context;
  facts.AddRow({"hardware", context.cpu_model + ", " + std::to_string(context.cores) + " cores, " +
                                HumanSize(context.memory_bytes)});
  facts.AddRow({"kernel", context.kernel});
  if (!context.filesystem.empty())
    facts.AddRow({"file system", context.filesystem + " (" + context.directory + ")"});
  facts.AddRow({"started", context.started});
  facts.AddRow({"command", report.command});
}

}  // namespace

std::string RenderPerfReport(const PerfReport& report, OutputFormat format, bool bold) {
  if (format != OutputFormat::kTable) return RenderJson(report);
  Table result({{"PERF"},
                {report.unit, Align::kRight},
                {"failed", Align::kRight},
                {"seconds", Align::kRight},
                {report.unit + "/s", Align::kRight},
                {"MB/s", Align::kRight}});
  result.AddRow({report.benchmark, std::to_string(report.records), std::to_string(report.failed),
                 Fixed(report.seconds, 2), Fixed(PerSecond(report, report.records), 0),
                 Fixed(PerSecond(report, report.bytes) / 1e6, 1)});
  std::string text = result.Render(bold) + "\n";
  if (!report.latency_meaning.empty()) text += LatencyTable(report, bold) + "\n";
  Table facts({{"CONTEXT"}, {""}});
  AddFacts(report, facts);
  return text + facts.Render(bold);
}

}  // namespace varve::cli
