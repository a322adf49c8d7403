// What the commands of `varve perf` share.
#ifndef VARVE_CLIENT_CLI_PERF_COMMANDS_H_
#define VARVE_CLIENT_CLI_PERF_COMMANDS_H_

#include <chrono>
#include <optional>
#include <string>

#include "client/cli/command_options.h"
#include "client/cli/perf_report.h"
#include "client/cli/process_cpu.h"
#include "varve/admin.h"

namespace varve::cli {

// The options that say where the broker's CPU time and disk are seen.
struct BrokerViewOptions {
  BrokerCpuSource cpu;
  std::string directory;
};
void AddBrokerViewOptions(CLI::App& command, BrokerViewOptions& options);

// How long a measurement goes on; without either limit, 10 s.
struct PerfLimits {
  uint64_t records = 0;                  // 0: no limit
  std::chrono::nanoseconds duration{0};  // 0: no limit
  [[nodiscard]] PerfLimits OrDefault() const;
};
void AddPerfLimits(CLI::App& command, PerfLimits& limits, const std::string& what);

// CPU seconds used from Start to Finish, on both sides.
class CpuMeter {
 public:
  explicit CpuMeter(BrokerCpuSource source) : source_(std::move(source)) {}
  Status Start();
  Status Finish(PerfReport& report);

 private:
  BrokerCpuSource source_;
  double own_ = 0;
  std::optional<double> broker_;
};

// Adds what the broker says about itself and the topic.
Status DescribeTarget(Admin& admin, const GlobalOptions& global, const std::string& topic,
                      nlohmann::ordered_json& settings);

// Prints the report; OK.
CommandEnd FinishPerf(const GlobalOptions& global, const PerfReport& report);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_PERF_COMMANDS_H_
