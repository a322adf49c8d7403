#include "tests/integration/recorder/history_sink.h"

#include <chrono>
#include <utility>

namespace varve::testing {

int64_t HistoryNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

HistorySink::~HistorySink() {
  if (file_ != nullptr) std::fclose(file_);
}

bool HistorySink::Open(const std::string& path, uint64_t seed) {
  file_ = std::fopen(path.c_str(), "w");
  if (file_ == nullptr) return false;
  std::lock_guard lock(mutex_);
  lines_ = history::HeaderLine(true, seed);
  return true;
}

void HistorySink::Add(const history::Operation& operation, std::string_view key,
                      std::span<const history::SeenRecord> records) {
  const std::string line = history::OperationLine(operation, key, records);
  std::lock_guard lock(mutex_);
  lines_ += line;
  ++operations_;
}

bool HistorySink::Flush() {
  std::string lines;
  {
    std::lock_guard lock(mutex_);
    lines = std::exchange(lines_, {});
  }
  failed_ |= std::fwrite(lines.data(), 1, lines.size(), file_) != lines.size();
  failed_ |= std::fflush(file_) != 0;
  return !failed_;
}

bool HistorySink::Finish(std::span<const uint32_t> final_processes) {
  {
    std::lock_guard lock(mutex_);
    lines_ += history::EndLine(operations_, final_processes);
  }
  return Flush();
}

}  // namespace varve::testing
