#include "client/cli/perf_commands.h"

#include <unistd.h>

#include "client/cli/terminal.h"

namespace varve::cli {

void AddBrokerViewOptions(CLI::App& command, BrokerViewOptions& options) {
  command
      .add_option("--broker-pid", options.cpu.pid,
                  "Broker's process on this machine: its CPU time goes into the report")
      ->type_name("PID")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--metrics", options.cpu.metrics_url,
                  "Broker's metrics page: its process_cpu_seconds_total goes into the report")
      ->type_name("URL");
  command
      .add_option("--broker-dir", options.directory,
                  "Broker's data directory on this machine: its file system goes into the report")
      ->type_name("DIR");
}

PerfLimits PerfLimits::OrDefault() const {
  if (records > 0 || duration.count() > 0) return *this;
  return {.records = 0, .duration = std::chrono::seconds(10)};
}

void AddPerfLimits(CLI::App& command, PerfLimits& limits, const std::string& what) {
  command.add_option("--records", limits.records, "Stop after so many " + what)->type_name("N");
  AddDuration(command, "--duration", limits.duration,
              "Stop after this time; 10s when no limit is given");
}

Status CpuMeter::Start() {
  Result<std::optional<double>> broker = BrokerCpuSeconds(source_);
  if (!broker.ok()) return broker.status();
  broker_ = *broker;
  own_ = OwnCpuSeconds();
  return Status();
}

Status CpuMeter::Finish(PerfReport& report) {
  report.client_cpu_seconds = OwnCpuSeconds() - own_;
  Result<std::optional<double>> broker = BrokerCpuSeconds(source_);
  if (!broker.ok()) return broker.status();
  if (broker_ && *broker) report.broker_cpu_seconds = **broker - *broker_;
  return Status();
}

Status DescribeTarget(Admin& admin, const GlobalOptions& global, const std::string& topic,
                      nlohmann::ordered_json& settings) {
  const Result<Features> features = admin.GetFeatures();
  if (!features.ok()) return features.status();
  const Result<TopicDescription> description = admin.GetTopic(topic);
  if (!description.ok()) return description.status();
  settings["server"] = global.server;
  settings["broker_version"] = features->version;
  settings["topic"] = topic;
  settings["partitions"] = description->partition_count;
  settings["replication_factor"] = description->replication_factor;
  settings["acks"] = "all: a majority has synced the record to disk (fdatasync)";
  return Status();
}

CommandEnd FinishPerf(const GlobalOptions& global, const PerfReport& report) {
  return WriteOut(RenderPerfReport(report, global.output, UseColour(STDOUT_FILENO)));
}

void AddPerfCommands(CLI::App& root, CommandContext& context) {
  CLI::App* perf = root.add_subcommand("perf", "Measure producing, consuming and the disk");
  perf->require_subcommand(1);
  AddPerfProduce(*perf, context);
  AddPerfConsume(*perf, context);
  AddPerfFsync(*perf, context);
}

}  // namespace varve::cli
