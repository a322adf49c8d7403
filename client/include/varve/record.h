// Records: what a Producer sends and what a Reader returns.
#ifndef VARVE_RECORD_H_
#define VARVE_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "varve/api.h"

namespace varve {
inline namespace v0 {

// A header of a record, seen in place.
struct HeaderView {
  std::string_view key;
  std::optional<std::string_view> value;
};

// Compression of record batches. Every reader understands all of them.
enum class Compression { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

// Takes the client's clock when the record is sent.
inline constexpr int64_t kTimestampNow = -1;

// A record to send. Views: the bytes are copied before Send returns.
//   producer.Send({.topic = "orders", .key = "7", .value = "paid"}, on_delivery);
struct ProducerRecord {
  std::string_view topic;
  // Absent: by the key (murmur2, as Kafka's clients do), or without a key one partition after
  // another, a batch each.
  std::optional<uint32_t> partition = {};
  std::optional<std::string_view> key = {};
  std::optional<std::string_view> value = {};  // absent: a tombstone
  std::span<const HeaderView> headers = {};
  int64_t timestamp_ms = kTimestampNow;  // since the Unix epoch
};

// A record that was read. Views into the Records that it came from.
struct ReadRecord {
  std::string_view topic;
  uint32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = 0;  // -1: none
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;  // absent: a tombstone
  std::span<const HeaderView> headers;
};

// Records of one Poll with the bytes behind them; the records of each partition in order of offset.
// Movable; keep it, or copies of what matters, as long as the views are used. Not thread-safe
// against being moved from.
class VARVE_API Records {
 public:
  Records() = default;
  Records(Records&&) noexcept = default;
  Records& operator=(Records&&) noexcept = default;
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  [[nodiscard]] auto begin() const { return records_.begin(); }
  [[nodiscard]] auto end() const { return records_.end(); }
  [[nodiscard]] size_t size() const { return records_.size(); }
  [[nodiscard]] bool empty() const { return records_.empty(); }
  [[nodiscard]] const ReadRecord& operator[](size_t i) const { return records_[i]; }

 private:
  friend class RecordsAccess;
  std::vector<ReadRecord> records_;
  std::vector<std::shared_ptr<const void>> keep_;  // what the views point into
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_RECORD_H_
