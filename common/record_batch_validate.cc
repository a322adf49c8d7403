#include <algorithm>
#include <limits>

#include "common/bytes.h"
#include "common/error.h"
#include "common/record_batch.h"
#include "common/record_batch_layout.h"
#include "common/record_parser.h"

namespace varve {
namespace {

using internal::ParsedRecord;
using internal::ParseError;

// The records of a batch as they stream by, one record at a time. Only a window of fixed size is
// ever in memory, however long a record is.
class RecordStream {
 public:
  struct Bytes {};  // keys and values are passed over

  // For kNone `decompressor` is null and the window is all of the records.
  RecordStream(Decompressor* decompressor, std::string_view records) : decompressor_(decompressor) {
    if (decompressor_ == nullptr) {
      window_ = records;
    } else {
      buffer_ = std::make_unique_for_overwrite<char[]>(kWindowBytes);
    }
  }

  // Reads the length of the next record; the calls that follow are bounded by it.
  bool BeginRecord() {
    record_left_ = std::numeric_limits<size_t>::max();
    int32_t length = 0;
    if (!Varint(&length) || length < 0) return false;
    record_left_ = static_cast<size_t>(length);
    record_bytes_ = record_left_;
    return true;
  }
  [[nodiscard]] size_t record_bytes() const { return record_bytes_; }

  bool Byte(uint8_t* out) {
    const std::string_view ahead = Ahead();
    if (ahead.empty()) return false;
    *out = static_cast<uint8_t>(ahead.front());
    Advance(1);
    return true;
  }
  template <class Int>
  bool Varint(Int* out) {
    const size_t n = DecodeVarint(Ahead(), out);
    Advance(n);
    return n != 0;
  }
  bool Take(size_t n, Bytes*) {
    if (n > record_left_) return false;
    while (n > window_.size() - at_) {
      const size_t here = window_.size() - at_;
      n -= here;
      Advance(here);
      if (!Refill()) return false;
    }
    Advance(n);
    return true;
  }
  [[nodiscard]] size_t remaining() const { return record_left_; }
  void MarkHeaders() {}

  // Whether nothing is left, neither of the output nor of the compressed input.
  bool AtEnd() { return at_ == window_.size() && !Refill(); }
  // What the decompressor reported; OK while it is fine.
  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  static constexpr size_t kWindowBytes = 64 * limits::kKiB;
  static constexpr size_t kMostAhead = kMaxVarintBytes<int64_t>;

  // Bytes of this record at hand: enough for any varint unless record or input end before.
  std::string_view Ahead() {
    if (window_.size() - at_ < kMostAhead) [[unlikely]] {
      while (window_.size() - at_ < kMostAhead && Refill()) {
      }
    }
    return window_.substr(at_, record_left_);
  }
  void Advance(size_t n) {
    at_ += n;
    record_left_ -= n;
  }
  // Appends output behind the few bytes not yet consumed.
  bool Refill() {
    if (decompressor_ == nullptr) return false;
    const size_t rest = window_.size() - at_;
    if (rest != 0) std::memmove(buffer_.get(), window_.data() + at_, rest);
    const auto n = decompressor_->Next(buffer_.get() + rest, kWindowBytes - rest);
    window_ = std::string_view(buffer_.get(), rest + n.value_or(0));
    at_ = 0;
    if (!n.ok()) status_ = n.status();
    if (n.value_or(0) == 0) decompressor_ = nullptr;
    return n.value_or(0) != 0;
  }

  Decompressor* decompressor_;  // null once it has ended or failed
  std::unique_ptr<char[]> buffer_;
  std::string_view window_;
  size_t at_ = 0;
  size_t record_left_ = std::numeric_limits<size_t>::max();
  size_t record_bytes_ = 0;
  absl::Status status_;
};

absl::Status CheckSizeAndCrc(const RecordBatchView& batch, const BatchLimits& limits) {
  if (batch.bytes().size() > limits.max_batch_bytes) {
    return MakeError(Reason::BATCH_TOO_LARGE, "record batch of ", batch.bytes().size(),
                     " bytes; at most ", limits.max_batch_bytes, " are allowed");
  }
  if (!batch.crc_ok()) {
    return MakeError(Reason::CORRUPT_BATCH, "record batch of ", batch.bytes().size(),
                     " bytes fails its CRC");
  }
  return absl::OkStatus();
}

absl::Status CheckAttributes(const RecordBatchView& batch, const BatchLimits& limits) {
  using namespace batch_layout;  // NOLINT: the attribute bits
  constexpr uint16_t kKnown = kCodecBits | kLogAppendTimeBit | kTransactionalBit | kControlBit;
  if ((batch.attributes() & ~kKnown) != 0) {
    return MakeError(Reason::INVALID_BATCH, "record batch sets attribute bits that no client may: ",
                     batch.attributes() & ~kKnown);
  }
  if (batch.codec() > Codec::kZstd) {
    return MakeError(Reason::UNSUPPORTED_COMPRESSION, "record batch has codec number ",
                     static_cast<int>(batch.codec()));
  }
  if (batch.is_control() && !limits.accept_control) {
    return MakeError(Reason::INVALID_BATCH, "control batches are written by brokers only");
  }
  if (batch.is_transactional() && !limits.accept_transactional) {
    return MakeError(Reason::UNSUPPORTED_FEATURE, "transactional batches are not accepted here");
  }
  if (batch.timestamp_type() == TimestampType::kLogAppendTime && !limits.accept_log_append_time) {
    return MakeError(Reason::INVALID_TIMESTAMP,
                     "only the broker sets log append time; send create time");
  }
  return absl::OkStatus();
}

absl::Status CheckProducer(const RecordBatchView& batch, const BatchLimits& limits) {
  if (batch.producer_id() == kNoProducerId) {
    if (!batch.is_transactional()) return absl::OkStatus();
    return MakeError(Reason::INVALID_BATCH, "transactional batch without a producer id");
  }
  // Epoch and sequence mean nothing without a producer id; some clients send zeroes then.
  const bool sequenced = batch.base_sequence() >= 0 || batch.is_control();
  if (batch.producer_id() < 0 || batch.producer_epoch() < 0 || !sequenced) {
    return MakeError(Reason::INVALID_BATCH, "record batch of producer ", batch.producer_id(),
                     " has epoch ", batch.producer_epoch(), " and sequence ",
                     batch.base_sequence());
  }
  if (!limits.accept_producer_id) {
    return MakeError(Reason::UNSUPPORTED_FEATURE, "batches with a producer id are not accepted");
  }
  return absl::OkStatus();
}

absl::Status CheckCounts(const RecordBatchView& batch, const BatchLimits& limits) {
  const int32_t count = batch.record_count();
  if (count < 1 || batch.last_offset_delta() != count - 1) {
    return MakeError(Reason::INVALID_BATCH, "record batch counts ", count,
                     " records and has last offset delta ", batch.last_offset_delta());
  }
  if (static_cast<uint32_t>(count) > limits.max_records) {
    return MakeError(Reason::BATCH_TOO_LARGE, "record batch of ", count, " records; at most ",
                     limits.max_records, " are allowed");
  }
  if (batch.is_control() && count != 1) {
    return MakeError(Reason::INVALID_BATCH, "control batch of ", count, " records, not 1");
  }
  return absl::OkStatus();
}

// Timestamps of the records against those of the header.
class TimestampCheck {
 public:
  TimestampCheck(const RecordBatchView& batch, const BatchLimits& limits)
      : base_(batch.base_timestamp().value()),
        max_(batch.max_timestamp().value()),
        latest_(limits.latest_timestamp.value()),
        from_records_(batch.timestamp_type() == TimestampType::kCreateTime) {}

  absl::Status Add(int32_t number, int64_t delta) {
    int64_t timestamp = 0;
    if ((number == 0 && delta != 0) || __builtin_add_overflow(base_, delta, &timestamp)) {
      return MakeError(Reason::INVALID_TIMESTAMP, "record ", number, " is ", delta,
                       " ms from the base timestamp ", base_);
    }
    if (from_records_ && (timestamp < -1 || timestamp > latest_)) {
      return MakeError(Reason::INVALID_TIMESTAMP, "record ", number, " has timestamp ", timestamp,
                       "; allowed are -1 (none) to ", latest_);
    }
    largest_ = std::max(largest_, timestamp);
    return absl::OkStatus();
  }
  [[nodiscard]] absl::Status Finish() const {
    // With log append time the header holds the broker's time and overrides the records'.
    if (!from_records_ || largest_ == max_) return absl::OkStatus();
    return MakeError(Reason::INVALID_TIMESTAMP, "record batch has maximum timestamp ", max_,
                     ", its records ", largest_);
  }

 private:
  const int64_t base_;
  const int64_t max_;
  const int64_t latest_;
  const bool from_records_;
  int64_t largest_ = std::numeric_limits<int64_t>::min();
};

absl::Status BadRecord(const RecordStream& stream, int32_t number, std::string_view why) {
  if (!stream.status().ok()) return stream.status();
  return MakeError(Reason::INVALID_BATCH, "record ", number, " of the batch: ", why);
}

absl::Status CheckRecords(const RecordBatchView& batch, const BatchLimits& limits,
                          RecordStream* stream, BatchSummary* summary) {
  TimestampCheck timestamps(batch, limits);
  ParsedRecord<RecordStream::Bytes> record;
  const int32_t count = batch.record_count();
  for (int32_t i = 0; i < count; ++i) {
    if (!stream->BeginRecord()) return BadRecord(*stream, i, "it has no valid length");
    if (ParseError error = internal::ParseRecord(stream, &record)) {
      return BadRecord(*stream, i, error);
    }
    if (record.offset_delta != i) return BadRecord(*stream, i, "its offset delta is not its place");
    VARVE_RETURN_IF_ERROR(timestamps.Add(i, record.timestamp_delta));
    summary->largest_record_bytes = std::max(summary->largest_record_bytes, stream->record_bytes());
    if (!record.key) ++summary->null_keys;
  }
  if (!stream->AtEnd()) return BadRecord(*stream, count, "more bytes than records");
  VARVE_RETURN_IF_ERROR(stream->status());
  return timestamps.Finish();
}

BatchSummary SummaryOf(const RecordBatchView& batch) {
  BatchSummary out;
  out.record_count = batch.record_count();
  out.last_offset_delta = batch.last_offset_delta();
  out.base_timestamp = batch.base_timestamp();
  out.max_timestamp = batch.max_timestamp();
  out.codec = batch.codec();
  out.timestamp_type = batch.timestamp_type();
  out.producer_id = batch.producer_id();
  out.producer_epoch = batch.producer_epoch();
  out.base_sequence = batch.base_sequence();
  out.transactional = batch.is_transactional();
  out.control = batch.is_control();
  return out;
}

}  // namespace

absl::StatusOr<BatchSummary> ValidateRecordBatch(std::string_view bytes,
                                                 const BatchLimits& limits) {
  VARVE_ASSIGN_OR_RETURN(const RecordBatchView batch, RecordBatchView::Parse(bytes));
  VARVE_RETURN_IF_ERROR(CheckSizeAndCrc(batch, limits));
  VARVE_RETURN_IF_ERROR(CheckAttributes(batch, limits));
  VARVE_RETURN_IF_ERROR(CheckProducer(batch, limits));
  VARVE_RETURN_IF_ERROR(CheckCounts(batch, limits));
  BatchSummary summary = SummaryOf(batch);
  if (batch.codec() == Codec::kNone) {
    summary.decompressed_bytes = batch.records().size();
    if (summary.decompressed_bytes > limits.max_decompressed_bytes) {
      return MakeError(Reason::BATCH_TOO_LARGE, "records of ", summary.decompressed_bytes,
                       " bytes; at most ", limits.max_decompressed_bytes, " are allowed");
    }
    RecordStream stream(nullptr, batch.records());
    VARVE_RETURN_IF_ERROR(CheckRecords(batch, limits, &stream, &summary));
    return summary;
  }
  VARVE_ASSIGN_OR_RETURN(const auto decompressor, MakeDecompressor(batch.codec(), batch.records(),
                                                                   limits.max_decompressed_bytes));
  RecordStream stream(decompressor.get(), {});
  VARVE_RETURN_IF_ERROR(CheckRecords(batch, limits, &stream, &summary));
  summary.decompressed_bytes = decompressor->produced();
  return summary;
}

}  // namespace varve
