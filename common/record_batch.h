// Record batch: Kafka's format version 2, byte for byte (docs/record_batch.md).
//
// One format from the producer's memory to the disk and back: the client builds a batch
// (common/record_batch_builder.h), the broker validates it in full and stores it unchanged, readers
// iterate over it. Everything here is pure and single-threaded per object; views never own bytes.
// Part of the client library: depends on Abseil and the codecs only.
#ifndef VARVE_COMMON_RECORD_BATCH_H_
#define VARVE_COMMON_RECORD_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/compression.h"
#include "common/limits.h"
#include "common/record_view.h"
#include "common/types.h"

namespace varve {

// Fixed part of a batch, before the records.
inline constexpr size_t kBatchHeaderBytes = 61;
// Base offset and length; the length field counts what follows it.
inline constexpr size_t kBatchPrefixBytes = 12;
// The batch's CRC covers everything from here to the end.
inline constexpr size_t kBatchCrcCoversFrom = 21;
inline constexpr int8_t kBatchMagic = 2;

enum class TimestampType : uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

inline constexpr int64_t kNoProducerId = -1;
inline constexpr int16_t kNoProducerEpoch = -1;
inline constexpr int32_t kNoSequence = -1;
inline constexpr int32_t kNoLeaderEpoch = -1;

// The header fields of one batch, read in place. Copyable; valid as long as the bytes.
class RecordBatchView {
 public:
  // `bytes` must be exactly one batch: checks length and magic, nothing else. CORRUPT_BATCH for a
  // length that is not that of `bytes`, INVALID_BATCH for another magic.
  static absl::StatusOr<RecordBatchView> Parse(std::string_view bytes);
  // The batch that `bytes` begins with, of several back to back.
  static absl::StatusOr<RecordBatchView> ParsePrefix(std::string_view bytes);

  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  // The records, compressed as one blob unless codec() is kNone.
  [[nodiscard]] std::string_view records() const { return bytes_.substr(kBatchHeaderBytes); }

  [[nodiscard]] Offset base_offset() const;
  [[nodiscard]] Offset last_offset() const;
  [[nodiscard]] int32_t leader_epoch() const;
  [[nodiscard]] uint32_t crc() const;
  // Computes the CRC over the bytes and compares.
  [[nodiscard]] bool crc_ok() const;
  [[nodiscard]] uint16_t attributes() const;
  // The value of the codec bits; may be no Codec (5 to 7).
  [[nodiscard]] Codec codec() const;
  [[nodiscard]] TimestampType timestamp_type() const;
  [[nodiscard]] bool is_transactional() const;
  [[nodiscard]] bool is_control() const;
  [[nodiscard]] bool has_delete_horizon() const;
  [[nodiscard]] int32_t last_offset_delta() const;
  [[nodiscard]] WallTime base_timestamp() const;
  [[nodiscard]] WallTime max_timestamp() const;
  [[nodiscard]] int64_t producer_id() const;
  [[nodiscard]] int16_t producer_epoch() const;
  [[nodiscard]] int32_t base_sequence() const;
  [[nodiscard]] int32_t record_count() const;

 private:
  explicit RecordBatchView(std::string_view bytes) : bytes_(bytes) {}
  std::string_view bytes_;
};

// Writes the two fields that the batch's CRC leaves out. `batch` has at least kBatchHeaderBytes.
void StampBatch(char* batch, Offset base_offset, int32_t leader_epoch);

// What a validator accepts. The default is what a broker takes from a client without transactions.
struct BatchLimits {
  size_t max_batch_bytes = limits::kDefaultBatchBytes;
  size_t max_decompressed_bytes = limits::kMaxDecompressedBatchBytes;
  uint32_t max_records = limits::kMaxBatchRecords;
  // Record timestamps above this are refused: the broker's clock plus what it tolerates.
  WallTime latest_timestamp{std::numeric_limits<int64_t>::max()};
  bool accept_producer_id = false;
  bool accept_transactional = false;
  bool accept_control = false;
  bool accept_log_append_time = false;
};

// What validation learnt. Decompressed bytes are those of the records, without the header.
struct BatchSummary {
  int32_t record_count = 0;
  int32_t last_offset_delta = 0;
  WallTime base_timestamp;
  WallTime max_timestamp;
  Codec codec = Codec::kNone;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  size_t decompressed_bytes = 0;
  size_t largest_record_bytes = 0;
  uint32_t null_keys = 0;
  int64_t producer_id = kNoProducerId;
  int16_t producer_epoch = kNoProducerEpoch;
  int32_t base_sequence = kNoSequence;
  bool transactional = false;
  bool control = false;
};

// Validates a batch in full, hostile bytes included: length, magic, CRC, attributes, counts, every
// record to its last byte, offset deltas 0..count-1, timestamps, nothing left over. Decompresses
// through a window of fixed size; records of any size pass through it. Base offset and leader epoch
// are not looked at. Errors:
//   CORRUPT_BATCH            length or CRC wrong: damaged on the way
//   INVALID_BATCH            breaks the format, or a control batch that is not accepted
//   UNSUPPORTED_FEATURE      a producer id or the transactional attribute that is not accepted
//   INVALID_TIMESTAMP        a record above latest_timestamp or below -1, a base or maximum that is
//   not
//                            that of the records, log append time that is not accepted
//   UNSUPPORTED_COMPRESSION  codec bits 5 to 7, or a zstd window beyond 8 MiB
//   BATCH_TOO_LARGE          bytes, records or decompressed bytes beyond the limits
absl::StatusOr<BatchSummary> ValidateRecordBatch(std::string_view batch, const BatchLimits& limits);

// Iterates over the records of a batch, decompressing as it goes:
//   RecordBatchReader reader(view);
//   while (const RecordView* record = reader.Next()) Use(*record);
//   VARVE_RETURN_IF_ERROR(reader.status());
// Safe on bytes that were never validated; then status() says what broke, with the reasons of
// ValidateRecordBatch. Offset deltas need only ascend up to last_offset_delta, so that batches
// thinned by compaction, down to none, are read as well. The CRC is not computed. The batch's bytes
// must outlive the reader. Uncompressed records are views into the batch; compressed ones are valid
// until the next call of Next. Holds the largest record and the Decompressor's memory. Neither
// copyable nor thread-safe.
class RecordBatchReader {
 public:
  explicit RecordBatchReader(const RecordBatchView& batch,
                             size_t max_decompressed_bytes = limits::kMaxDecompressedBatchBytes);
  ~RecordBatchReader();
  RecordBatchReader(RecordBatchReader&&) noexcept;
  RecordBatchReader& operator=(RecordBatchReader&&) noexcept;

  // The next record, or null at the end and after an error.
  const RecordView* Next();
  // OK until an error; OK at the end only if count and length of the batch came out exactly.
  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  const RecordView* Fail(absl::Status status);
  const RecordView* Finish();
  // The next whole record without its length, in pending(); empty and !status_.ok() on an error.
  std::string_view TakeRecord();
  // More decompressed bytes behind pending(); false at their end and on an error.
  bool Refill();
  [[nodiscard]] std::string_view pending() const { return window_.substr(at_); }

  RecordBatchView batch_;
  std::unique_ptr<Decompressor> decompressor_;  // null for kNone, and once the output has ended
  std::unique_ptr<char[]> buffer_;              // what window_ views unless the codec is kNone
  size_t buffer_capacity_ = 0;
  std::string_view window_;
  size_t at_ = 0;  // consumed bytes of window_
  int32_t next_record_ = 0;
  int32_t last_delta_ = -1;
  absl::Status status_;
  RecordView record_;
};

// The same batch with its records decompressed and codec kNone: views of its records stay valid as
// long as the returned string. Header fields other than length, codec and CRC are kept. Errors as
// of ValidateRecordBatch, of decompression only.
absl::StatusOr<std::string> DecompressRecordBatch(const RecordBatchView& batch,
                                                  size_t max_decompressed_bytes);

}  // namespace varve

#endif  // VARVE_COMMON_RECORD_BATCH_H_
