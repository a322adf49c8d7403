// Builds record batches as Kafka's clients do: offsets from 0, no leader epoch, records compressed
// as one blob. Part of the client library.
#ifndef VARVE_COMMON_RECORD_BATCH_BUILDER_H_
#define VARVE_COMMON_RECORD_BATCH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/compression.h"
#include "common/record_batch.h"
#include "common/record_view.h"
#include "common/types.h"

namespace varve {

struct BatchOptions {
  Codec codec = Codec::kNone;
  int level = kDefaultCompressionLevel;
  int64_t producer_id = kNoProducerId;
  int16_t producer_epoch = kNoProducerEpoch;
  int32_t base_sequence = kNoSequence;
  bool transactional = false;
  bool control = false;
};

// Collects records and makes one batch of them; may be used again after Build. Owns its bytes; not
// thread-safe.
class RecordBatchBuilder {
 public:
  explicit RecordBatchBuilder(const BatchOptions& options = {});

  // Appends a record; its bytes are copied. The timestamp is in ms since the epoch, -1 for none.
  // The first record's is the base timestamp. BATCH_TOO_LARGE when the batch cannot take it (its
  // count or length would pass the format's or the limits' bounds), INVALID_BATCH for more headers
  // than limits::kMaxRecordHeaders; nothing is appended then.
  absl::Status Add(WallTime timestamp, std::optional<std::string_view> key,
                   std::optional<std::string_view> value,
                   std::span<const RecordHeaderView> headers = {});
  absl::Status Add(const Record& record);

  // An upper bound of what Add of such a record adds to uncompressed_bytes().
  static size_t RecordBound(std::optional<std::string_view> key,
                            std::optional<std::string_view> value,
                            std::span<const RecordHeaderView> headers = {});

  [[nodiscard]] bool empty() const { return record_count_ == 0; }
  [[nodiscard]] int32_t record_count() const { return record_count_; }
  // Exact size of the batch without compression.
  [[nodiscard]] size_t uncompressed_bytes() const { return bytes_.size(); }
  // What Build would probably return, judged by the ratio of this builder's batch before; equal to
  // uncompressed_bytes() for the first.
  [[nodiscard]] size_t estimated_bytes() const;
  [[nodiscard]] WallTime base_timestamp() const { return base_timestamp_; }
  [[nodiscard]] WallTime max_timestamp() const { return max_timestamp_; }

  // Producer fields of the batch that is being built; a producer learns its sequence late.
  void SetProducer(int64_t producer_id, int16_t producer_epoch, int32_t base_sequence);

  // The finished batch; the builder is empty afterwards. INVALID_BATCH when there is no record.
  absl::StatusOr<std::string> Build();

 private:
  void WriteHeader(char* batch, size_t batch_bytes) const;
  void Reset();

  BatchOptions options_;
  std::string bytes_;  // room for the header, then the encoded records
  int32_t record_count_ = 0;
  WallTime base_timestamp_;
  WallTime max_timestamp_;
  double ratio_ = 1.0;  // batch bytes per uncompressed byte, of the last Build
};

}  // namespace varve

#endif  // VARVE_COMMON_RECORD_BATCH_BUILDER_H_
