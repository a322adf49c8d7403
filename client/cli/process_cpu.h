// CPU seconds of this process and of the broker, for reports of `varve perf`.
#ifndef VARVE_CLIENT_CLI_PROCESS_CPU_H_
#define VARVE_CLIENT_CLI_PROCESS_CPU_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

// User and system time of this process.
double OwnCpuSeconds();

// Where the broker's CPU time is read: its process on this machine, or its metrics page.
struct BrokerCpuSource {
  int64_t pid = 0;          // 0: none
  std::string metrics_url;  // "http://host:port/metrics"; empty: none
};
// Absent when there is no source. LOCAL_ERROR when the process or page cannot be read. Takes at
// most a few seconds.
Result<std::optional<double>> BrokerCpuSeconds(const BrokerCpuSource& source);

// The value of a metric without labels in a Prometheus text page.
std::optional<double> MetricIn(std::string_view page, std::string_view name);
// utime and stime of the text of /proc/PID/stat, in clock ticks. The name may hold blanks and ')'.
std::optional<uint64_t> CpuTicksIn(std::string_view stat);

struct HttpAddress {
  std::string host;
  std::string port;
  std::string path;
};
// "http://host[:port][/path]"; IPv6 in brackets. Nothing for other schemes.
std::optional<HttpAddress> ParseHttpUrl(std::string_view url);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_PROCESS_CPU_H_
