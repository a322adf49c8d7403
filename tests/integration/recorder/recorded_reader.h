// RecordedReader: a thread that reads every partition, as one process after another.
#ifndef VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_READER_H_
#define VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_READER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/integration/recorder/recorded_run.h"
#include "varve/reader.h"

namespace varve::testing {

// One process of a history that reads all partitions from given offsets on.
class ReaderProcess {
 public:
  // `from` by partition.
  ReaderProcess(RecordedRun& run, std::vector<int64_t> from);
  ReaderProcess(const ReaderProcess&) = delete;
  ReaderProcess& operator=(const ReaderProcess&) = delete;

  Status Start();
  // One poll. Its records become an operation for each of their partitions; a poll without any,
  // one for every partition. An error that ends a partition is told to the run, and the partition
  // is taken up again where it was.
  void Poll(std::chrono::milliseconds patience);
  // Reads up to the ends of now. An error when they are not reached by the deadline.
  Status ReadToEnd(std::chrono::milliseconds patience);

  [[nodiscard]] uint32_t process() const { return process_; }
  // The next offset of each partition.
  [[nodiscard]] const std::vector<int64_t>& positions() const { return positions_; }

 private:
  void Record(uint32_t partition, int64_t invoke_ns, int64_t to);
  void OnError(const Status& status);

  RecordedRun& run_;
  const uint32_t process_;
  uint64_t next_number_ = 0;
  std::vector<int64_t> positions_;
  std::vector<std::vector<history::SeenRecord>> seen_;  // of the poll at hand
  Reader reader_;
};

// Now and then the process ends, as a crashed consumer would, and another begins a little earlier.
class RecordedReader {
 public:
  explicit RecordedReader(RecordedRun& run) : run_(run) {}
  RecordedReader(const RecordedReader&) = delete;
  RecordedReader& operator=(const RecordedReader&) = delete;
  ~RecordedReader() { Stop(); }

  void Start();
  void Stop();

 private:
  void Run();

  RecordedRun& run_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_RECORDER_RECORDED_READER_H_
