// Reader: reads partitions that the program names, from where it says.
#ifndef VARVE_READER_H_
#define VARVE_READER_H_

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/api.h"
#include "varve/client.h"
#include "varve/record.h"
#include "varve/status.h"

namespace varve {
namespace client {
class ReaderCore;
}
inline namespace v0 {

// Where reading begins.
struct StartPosition {
  enum class Kind { kStart, kEnd, kOffset, kTime };
  Kind kind = Kind::kStart;
  int64_t value = 0;

  static StartPosition Start() { return {Kind::kStart, 0}; }  // the oldest record kept
  static StartPosition End() { return {Kind::kEnd, 0}; }      // records to come
  static StartPosition Offset(int64_t offset) { return {Kind::kOffset, offset}; }
  // The first record appended at or after that time.
  static StartPosition Time(int64_t append_time_ms) { return {Kind::kTime, append_time_ms}; }
};

struct TopicPartition {
  std::string topic;
  uint32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

struct Assignment {
  TopicPartition partition;
  StartPosition from;
};

struct ReaderPosition {
  TopicPartition partition;
  int64_t next_offset = -1;     // the record that Poll returns next; -1: not known yet
  int64_t high_watermark = -1;  // as last heard; -1: not known yet
  int64_t log_start = -1;
};

enum class ReadIsolation { kCommitted, kUncommitted };

struct VARVE_API ReaderOptions {
  // What may be received ahead of Poll, for each broker.
  size_t window_bytes = 8 * 1024 * 1024;
  uint32_t window_records = 1'000'000;
  // Poll returns about so much at once.
  size_t poll_bytes = 1024 * 1024;
  ReadIsolation isolation = ReadIsolation::kCommitted;

  [[nodiscard]] Status Validate() const;
};

struct ReaderStats {
  uint64_t records = 0;
  uint64_t batch_bytes = 0;
  uint64_t stale_messages = 0;  // dropped: from before a seek
  uint64_t reconnects = 0;
};

// Reads in order of offset within each partition; resumes at the next offset after a broken
// connection, without gap or duplicate. Verifies every batch's CRC. A program that does not poll
// pauses the reader: the broker sends no more than the window.
//
// Thread-safe; concurrent calls of Poll take turns. Bounded: no call waits longer than its timeout.
class VARVE_API Reader {
 public:
  static Result<Reader> Create(const Client& client, ReaderOptions options = {});
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  // Replaces what is read.
  Status Assign(std::vector<Assignment> assignments);
  // Assigns every partition of a topic.
  Status AssignTopic(std::string_view topic, StartPosition from, std::chrono::milliseconds timeout);
  // Moves one assigned partition; nothing from before the seek is returned after it. Also takes up
  // a partition again that has failed.
  Status Seek(const TopicPartition& partition, StartPosition to);

  // Records as soon as there are some; none when the time is over or the end of StopAtEnd is
  // reached. A partition that cannot go on (OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC, DATA_LOSS,
  // CORRUPT_BATCH, ...) is reported once, in its turn, with "topic" and "partition" as details; the
  // others go on. UNAVAILABLE and its like say that nothing came because of the connection, which
  // is being retried.
  Result<Records> Poll(std::chrono::milliseconds timeout);
  // Instead of Poll: `callback` gets what Poll would return, on the client's thread. It may not
  // block. An empty function ends it.
  using RecordsCallback = std::function<void(Result<Records>)>;
  void SetCallback(RecordsCallback callback);

  // Reads each partition up to the high watermark it has now and no further.
  Status StopAtEnd(std::chrono::milliseconds timeout);
  // Whether every partition has reached the end that StopAtEnd found. False without StopAtEnd.
  [[nodiscard]] bool AtStop() const;

  [[nodiscard]] std::vector<ReaderPosition> positions() const;
  [[nodiscard]] ReaderStats stats() const;
  // Ends the streams. Poll returns SHUTTING_DOWN afterwards. Never hangs.
  void Close();

 private:
  explicit Reader(std::shared_ptr<client::ReaderCore> core);
  std::shared_ptr<client::ReaderCore> core_;
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_READER_H_
