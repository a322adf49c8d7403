// PerfReport: what a measurement found, with everything needed to judge and repeat it.
#ifndef VARVE_CLIENT_CLI_PERF_REPORT_H_
#define VARVE_CLIENT_CLI_PERF_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "client/cli/command.h"
#include "client/cli/histogram.h"
#include "client/cli/run_context.h"

namespace varve::cli {

struct PerfReport {
  std::string benchmark;         // "produce"
  std::string command;           // to run it again
  std::string unit = "records";  // what `records` counts, for people
  double seconds = 0;            // that `records` and `bytes` took
  uint64_t records = 0;
  uint64_t bytes = 0;  // of keys and values, or written
  uint64_t failed = 0;
  std::string latency_meaning;  // empty: no latency was measured
  Histogram latency;            // nanoseconds
  bool uses_broker = true;
  double client_cpu_seconds = 0;
  std::optional<double> broker_cpu_seconds;
  // What was set, and what the broker says about itself: names to strings or numbers, in order.
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  RunContext context;
};

// Tables for people, or one JSON object (docs/cli.md).
std::string RenderPerfReport(const PerfReport& report, OutputFormat format, bool bold);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_PERF_REPORT_H_
