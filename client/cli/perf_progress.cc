#include "client/cli/perf_progress.h"

#include <utility>

#include "client/cli/quantity.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsOf(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e9; }

}  // namespace

std::string ProgressText(std::string_view unit, std::chrono::nanoseconds elapsed,
                         std::chrono::nanoseconds interval, const PerfSample& before,
                         const PerfSample& now) {
  const double seconds = std::max(SecondsOf(interval), 1e-9);
  std::string text =
      Fixed(SecondsOf(elapsed), 1) + " s  " +
      HumanCount(std::round(static_cast<double>(now.records - before.records) / seconds)) + " " +
      std::string(unit) + "/s  " +
      Fixed(static_cast<double>(now.bytes - before.bytes) / seconds / 1e6, 1) + " MB/s";
  const Histogram latency = now.latency.Since(before.latency);
  if (latency.count() > 0) {
    for (const auto& [name, percent] : {std::pair("p50", 50.0), std::pair("p99", 99.0)})
      text += std::string("  ") + name + " " +
              HumanDuration(static_cast<double>(latency.Percentile(percent)));
    text += "  max " + HumanDuration(static_cast<double>(latency.max()));
  }
  return text + "  failed " + std::to_string(now.failed - before.failed);
}

PerfProgress::PerfProgress(bool quiet, std::string label, std::string unit,
                           std::function<PerfSample()> sample)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      sample_(std::move(sample)),
      terminal_(IsTerminal(2)) {
  if (!quiet) thread_ = std::thread([this] { Loop(); });
}

PerfProgress::~PerfProgress() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PerfProgress::Loop() {
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  PerfSample before = sample_();
  bool shown = false;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_until(lock, last + std::chrono::seconds(1), [this] { return stop_; })) {
    const Clock::time_point now = Clock::now();
    PerfSample sample = sample_();
    const std::string text =
        label_ + "  " + ProgressText(unit_, now - begin, now - last, before, sample);
    WriteErr(terminal_ ? "\r" + text + "\033[K" : text + "\n");
    shown = true;
    before = std::move(sample);
    last = now;
  }
  if (shown && terminal_) WriteErr("\r\033[K");
}

}  // namespace varve::cli
