// RecordedRun: what the recorder's clients share.
#ifndef VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_RUN_H_
#define VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_RUN_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/recorder/history_sink.h"
#include "varve/client.h"

namespace varve::testing {

// Thread-safe but for `keys`, which is set before the clients start.
struct RecordedRun {
  explicit RecordedRun(Client c) : client(std::move(c)) {}

  // Numbers of processes are never used again.
  uint32_t NewProcess() { return next_process++; }
  // Something that no run should meet; the first ones are kept.
  void Problem(std::string what) {
    std::lock_guard lock(mutex);
    ++problem_count;
    if (problems.size() < 10) problems.push_back(std::move(what));
  }

  Client client;
  HistorySink sink;
  std::string topic;
  std::vector<std::string> keys;                   // by partition
  std::deque<std::atomic<uint64_t>> acknowledged;  // by partition
  std::atomic<uint64_t> failed = 0;
  std::atomic<uint64_t> unknown = 0;
  std::atomic<uint64_t> records_read = 0;
  std::atomic<uint32_t> next_process = 1;
  std::mutex mutex;
  uint64_t problem_count = 0;         // under mutex
  std::vector<std::string> problems;  // under mutex
};

// A record's value as the recorder writes it: decimal, padded with spaces to `bytes`.
std::string EncodeValue(int64_t value, size_t bytes);
// kForeignValue for anything else.
int64_t DecodeValue(std::string_view bytes);

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_RUN_H_
