// RecordedWriter: one producer that sends numbered records to one partition.
#ifndef VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_WRITER_H_
#define VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_WRITER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <thread>

#include "tests/integration/recorder/recorded_run.h"
#include "varve/producer.h"

namespace varve::testing {

struct WriterOptions {
  uint32_t partition = 0;
  double records_per_second = 100;
  size_t record_bytes = 128;
  bool retry_unknown = true;
  std::chrono::milliseconds delivery_timeout{60'000};
};

// A thread sends at its pace, whatever the answers do, and waits only behind kMaxPending records
// without an answer. Every accepted record becomes one operation when its report comes.
class RecordedWriter {
 public:
  static constexpr uint64_t kMaxPending = 20'000;

  RecordedWriter(RecordedRun& run, const WriterOptions& options);
  RecordedWriter(const RecordedWriter&) = delete;
  RecordedWriter& operator=(const RecordedWriter&) = delete;
  ~RecordedWriter();

  Status Start();
  // Sends no more. Then Close waits for the reports, at most for `patience`.
  void Stop();
  void Close(std::chrono::milliseconds patience);

 private:
  void Run();
  // False when the producer does not take the record now.
  bool SendNext();
  void Report(history::Operation operation, const DeliveryReport& report);

  RecordedRun& run_;
  const WriterOptions options_;
  const uint32_t process_;
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false;  // under mutex_
  std::atomic<uint64_t> pending_ = 0;
  uint64_t next_number_ = 0;
  std::optional<Producer> producer_;
  std::thread thread_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_WRITER_H_
