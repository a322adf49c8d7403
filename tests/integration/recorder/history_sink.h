// HistorySink: where the clients of a run write down their operations.
#ifndef VARVE_TESTS_INTEGRATION_RECORDER_HISTORY_SINK_H_
#define VARVE_TESTS_INTEGRATION_RECORDER_HISTORY_SINK_H_

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/history/history.h"

namespace varve::testing {

// The clock of a history: monotonic, the same in all processes of the machine.
int64_t HistoryNow();

// Thread-safe. Add only copies into memory; Flush writes to the file.
class HistorySink {
 public:
  HistorySink() = default;
  HistorySink(const HistorySink&) = delete;
  HistorySink& operator=(const HistorySink&) = delete;
  ~HistorySink();

  // False when the file cannot be made; errno says why.
  bool Open(const std::string& path, uint64_t seed);
  void Add(const history::Operation& operation, std::string_view key,
           std::span<const history::SeenRecord> records = {});
  // Writes what was added and hands it to the system. False when that fails, now or before.
  bool Flush();
  // Writes the end. False when anything of the history could not be written.
  bool Finish(std::span<const uint32_t> final_processes);

 private:
  std::FILE* file_ = nullptr;
  bool failed_ = false;
  std::mutex mutex_;
  std::string lines_;        // under mutex_
  uint64_t operations_ = 0;  // under mutex_
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_RECORDER_HISTORY_SINK_H_
