#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/record_batch.h"
#include "common/record_batch_layout.h"
#include "common/record_parser.h"

namespace varve {
namespace {

constexpr size_t kFirstBufferBytes = 64 * limits::kKiB;

absl::Status BadRecord(int32_t number, std::string_view why) {
  return MakeError(Reason::INVALID_BATCH, "record ", number, " of the batch: ", why);
}

}  // namespace

RecordBatchReader::RecordBatchReader(const RecordBatchView& batch, size_t max_decompressed_bytes)
    : batch_(batch) {
  if (batch.record_count() < 0) {
    status_ =
        MakeError(Reason::INVALID_BATCH, "record batch counts ", batch.record_count(), " records");
    return;
  }
  // Compaction may leave a bare header, with the codec bits that it had.
  if (batch.codec() == Codec::kNone || batch.records().empty()) {
    window_ = batch.records();
    return;
  }
  auto decompressor = MakeDecompressor(batch.codec(), batch.records(), max_decompressed_bytes);
  if (decompressor.ok()) {
    decompressor_ = *std::move(decompressor);
  } else {
    status_ = decompressor.status();
  }
}

RecordBatchReader::~RecordBatchReader() = default;
RecordBatchReader::RecordBatchReader(RecordBatchReader&&) noexcept = default;
RecordBatchReader& RecordBatchReader::operator=(RecordBatchReader&&) noexcept = default;

const RecordView* RecordBatchReader::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);  // a decompressor's error says more than ours
  return nullptr;
}

const RecordView* RecordBatchReader::Finish() {
  if (!pending().empty() || Refill())
    return Fail(BadRecord(next_record_, "more bytes than records"));
  return nullptr;
}

bool RecordBatchReader::Refill() {
  if (decompressor_ == nullptr) return false;
  const size_t rest = pending().size();
  if (buffer_capacity_ - rest < buffer_capacity_ / 2 || buffer_capacity_ == 0) {
    // A record larger than the buffer so far: twice as much as has really arrived.
    const size_t capacity = std::max(kFirstBufferBytes, buffer_capacity_ * 2);
    auto larger = std::make_unique_for_overwrite<char[]>(capacity);
    if (rest != 0) std::memcpy(larger.get(), pending().data(), rest);
    buffer_ = std::move(larger);
    buffer_capacity_ = capacity;
  } else if (rest != 0) {
    std::memmove(buffer_.get(), pending().data(), rest);
  }
  const auto n = decompressor_->Next(buffer_.get() + rest, buffer_capacity_ - rest);
  window_ = std::string_view(buffer_.get(), rest + n.value_or(0));
  at_ = 0;
  if (!n.ok()) status_ = n.status();
  if (n.value_or(0) == 0) decompressor_ = nullptr;
  return n.value_or(0) != 0;
}

std::string_view RecordBatchReader::TakeRecord() {
  int32_t length = 0;
  size_t prefix = DecodeVarint(pending(), &length);
  while (prefix == 0 && pending().size() < kMaxVarintBytes<int32_t> && Refill()) {
    prefix = DecodeVarint(pending(), &length);
  }
  if (prefix == 0 || length < 0) {
    Fail(BadRecord(next_record_, "it has no valid length"));
    return {};
  }
  const size_t whole = prefix + static_cast<size_t>(length);
  while (pending().size() < whole && Refill()) {
  }
  if (pending().size() < whole) {
    Fail(BadRecord(next_record_, "it is cut short"));
    return {};
  }
  const std::string_view record = pending().substr(prefix, static_cast<size_t>(length));
  at_ += whole;
  return record;
}

const RecordView* RecordBatchReader::Next() {
  if (!status_.ok()) return nullptr;
  if (next_record_ == batch_.record_count()) return Finish();
  const std::string_view bytes = TakeRecord();
  if (!status_.ok()) return nullptr;
  internal::RecordBytes source(bytes);
  internal::ParsedRecord<std::string_view> parsed;
  if (internal::ParseError error = internal::ParseRecord(&source, &parsed)) {
    return Fail(BadRecord(next_record_, error));
  }
  if (parsed.offset_delta <= last_delta_ || parsed.offset_delta > batch_.last_offset_delta()) {
    return Fail(BadRecord(next_record_, "its offset delta is out of order"));
  }
  int64_t timestamp = 0;
  if (__builtin_add_overflow(batch_.base_timestamp().value(), parsed.timestamp_delta, &timestamp)) {
    return Fail(MakeError(Reason::INVALID_TIMESTAMP, "record ", next_record_, " is ",
                          parsed.timestamp_delta, " ms from its base timestamp"));
  }
  const bool append_time = batch_.timestamp_type() == TimestampType::kLogAppendTime;
  last_delta_ = parsed.offset_delta;
  ++next_record_;
  // Unsigned, so that a hostile base offset wraps instead of being undefined.
  record_.offset = Offset{static_cast<int64_t>(static_cast<uint64_t>(batch_.base_offset().value()) +
                                               static_cast<uint64_t>(parsed.offset_delta))};
  record_.timestamp = append_time ? batch_.max_timestamp() : WallTime{timestamp};
  record_.key = parsed.key;
  record_.value = parsed.value;
  record_.headers = RecordHeaders(source.headers(), parsed.header_count);
  return &record_;
}

absl::StatusOr<std::string> DecompressRecordBatch(const RecordBatchView& batch,
                                                  size_t max_decompressed_bytes) {
  using namespace batch_layout;  // NOLINT: positions of the fields that change
  if (batch.codec() == Codec::kNone) return std::string(batch.bytes());
  std::string records;
  if (!batch.records().empty()) {
    VARVE_ASSIGN_OR_RETURN(records,
                           Decompress(batch.codec(), batch.records(), max_decompressed_bytes));
  }
  if (records.size() > std::numeric_limits<int32_t>::max() - kBatchHeaderBytes) {
    return MakeError(Reason::BATCH_TOO_LARGE, "records of ", records.size(), " bytes");
  }
  std::string out(batch.bytes().substr(0, kBatchHeaderBytes));
  out += records;
  StoreBig(out.data() + kLengthAt, static_cast<int32_t>(out.size() - kBatchPrefixBytes));
  StoreBig(out.data() + kAttributesAt, static_cast<uint16_t>(batch.attributes() & ~kCodecBits));
  StoreBig(out.data() + kCrcAt, Crc32c(std::string_view(out).substr(kBatchCrcCoversFrom)));
  return out;
}

}  // namespace varve
