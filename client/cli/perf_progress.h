// PerfProgress: the line about a running measurement, each second, on standard error.
#ifndef VARVE_CLIENT_CLI_PERF_PROGRESS_H_
#define VARVE_CLIENT_CLI_PERF_PROGRESS_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "client/cli/histogram.h"

namespace varve::cli {

// What happened so far.
struct PerfSample {
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t failed = 0;
  Histogram latency;  // nanoseconds; empty: none is measured
};

// "12.0 s  412k rec/s  50.3 MB/s  p50 0.80 ms  p99 2.90 ms  max 11.0 ms  failed 0": what happened
// between two samples, `interval` apart. `unit`: what is counted.
std::string ProgressText(std::string_view unit, std::chrono::nanoseconds elapsed,
                         std::chrono::nanoseconds interval, const PerfSample& before,
                         const PerfSample& now);

// Runs a thread that takes a sample each second. On a terminal the line is rewritten in place, else
// each is a line of its own. Nothing when `quiet`.
class PerfProgress {
 public:
  PerfProgress(bool quiet, std::string label, std::string unit, std::function<PerfSample()> sample);
  ~PerfProgress();
  PerfProgress(const PerfProgress&) = delete;
  PerfProgress& operator=(const PerfProgress&) = delete;

 private:
  void Loop();

  const std::string label_;
  const std::string unit_;
  const std::function<PerfSample()> sample_;
  const bool terminal_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_PERF_PROGRESS_H_
