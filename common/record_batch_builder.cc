#include "common/record_batch_builder.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/record_batch_layout.h"
#include "common/varint.h"

namespace varve {
namespace {

using Nullable = std::optional<std::string_view>;

size_t NullableBytes(const Nullable& bytes) {
  if (!bytes) return 1;  // the varint -1
  return VarintBytes(static_cast<int64_t>(bytes->size())) + bytes->size();
}

// Headers with their count.
size_t HeadersBytes(std::span<const RecordHeaderView> headers) {
  size_t total = VarintBytes(static_cast<int64_t>(headers.size()));
  for (const RecordHeaderView& header : headers) {
    total += NullableBytes(header.key) + NullableBytes(header.value);
  }
  return total;
}

char* PutNullable(const Nullable& bytes, char* at) {
  if (!bytes) return EncodeVarint(at, int32_t{-1});
  at = EncodeVarint(at, static_cast<int32_t>(bytes->size()));
  if (!bytes->empty()) std::memcpy(at, bytes->data(), bytes->size());
  return at + bytes->size();
}

}  // namespace

RecordBatchBuilder::RecordBatchBuilder(const BatchOptions& options) : options_(options) { Reset(); }

void RecordBatchBuilder::Reset() {
  bytes_.resize(kBatchHeaderBytes);
  record_count_ = 0;
  base_timestamp_ = WallTime{};
  max_timestamp_ = WallTime{};
}

size_t RecordBatchBuilder::RecordBound(Nullable key, Nullable value,
                                       std::span<const RecordHeaderView> headers) {
  constexpr size_t kFixedBound =
      2 * kMaxVarintBytes<int32_t> + kMaxVarintBytes<int64_t> + 1;  // length, deltas, attributes
  return kFixedBound + NullableBytes(key) + NullableBytes(value) + HeadersBytes(headers);
}

absl::Status RecordBatchBuilder::Add(WallTime timestamp, Nullable key, Nullable value,
                                     std::span<const RecordHeaderView> headers) {
  if (headers.size() > limits::kMaxRecordHeaders) {
    return MakeError(Reason::INVALID_BATCH, "record of ", headers.size(), " headers; at most ",
                     limits::kMaxRecordHeaders, " are allowed");
  }
  constexpr size_t kMostBytes = std::numeric_limits<int32_t>::max();
  const size_t bound = RecordBound(key, value, headers);
  if (bound > kMostBytes || bytes_.size() > kMostBytes - bound ||
      static_cast<uint32_t>(record_count_) >= limits::kMaxBatchRecords) {
    return MakeError(Reason::BATCH_TOO_LARGE, "no room in a batch of ", record_count_,
                     " records and ", bytes_.size(), " bytes for ", bound, " more");
  }
  const WallTime base = empty() ? timestamp : base_timestamp_;
  int64_t delta = 0;
  if (__builtin_sub_overflow(timestamp.value(), base.value(), &delta)) {
    return MakeError(Reason::INVALID_BATCH, "timestamps ", base, " and ", timestamp,
                     " do not fit one batch");
  }
  const size_t body = 1 + VarintBytes(delta) + VarintBytes(record_count_) + NullableBytes(key) +
                      NullableBytes(value) + HeadersBytes(headers);
  const auto length = static_cast<int32_t>(body);
  const size_t begin = bytes_.size();
  bytes_.resize(begin + VarintBytes(length) + body);
  char* at = EncodeVarint(bytes_.data() + begin, length);
  *at++ = 0;  // attributes
  at = EncodeVarint(at, delta);
  at = EncodeVarint(at, record_count_);
  at = PutNullable(key, at);
  at = PutNullable(value, at);
  at = EncodeVarint(at, static_cast<int32_t>(headers.size()));
  for (const RecordHeaderView& header : headers) {
    at = PutNullable(header.value, PutNullable(header.key, at));
  }
  max_timestamp_ = empty() ? timestamp : std::max(max_timestamp_, timestamp);
  base_timestamp_ = base;
  ++record_count_;
  return absl::OkStatus();
}

absl::Status RecordBatchBuilder::Add(const Record& record) {
  std::vector<RecordHeaderView> headers;
  headers.reserve(record.headers.size());
  for (const RecordHeader& header : record.headers) {
    headers.push_back({header.key, header.value ? Nullable(*header.value) : std::nullopt});
  }
  return Add(record.timestamp, record.key ? Nullable(*record.key) : std::nullopt,
             record.value ? Nullable(*record.value) : std::nullopt, headers);
}

size_t RecordBatchBuilder::estimated_bytes() const {
  return std::max(kBatchHeaderBytes,
                  static_cast<size_t>(static_cast<double>(bytes_.size()) * ratio_));
}

void RecordBatchBuilder::SetProducer(int64_t producer_id, int16_t producer_epoch,
                                     int32_t base_sequence) {
  options_.producer_id = producer_id;
  options_.producer_epoch = producer_epoch;
  options_.base_sequence = base_sequence;
}

void RecordBatchBuilder::WriteHeader(char* batch, size_t batch_bytes) const {
  using namespace batch_layout;  // NOLINT: positions and bits
  auto attributes = static_cast<uint16_t>(options_.codec);
  if (options_.transactional) attributes |= kTransactionalBit;
  if (options_.control) attributes |= kControlBit;
  StampBatch(batch, Offset{0}, kNoLeaderEpoch);
  StoreBig(batch + kLengthAt, static_cast<int32_t>(batch_bytes - kBatchPrefixBytes));
  StoreBig(batch + kMagicAt, kBatchMagic);
  StoreBig(batch + kAttributesAt, attributes);
  StoreBig(batch + kLastOffsetDeltaAt, record_count_ - 1);
  StoreBig(batch + kBaseTimestampAt, base_timestamp_.value());
  StoreBig(batch + kMaxTimestampAt, max_timestamp_.value());
  StoreBig(batch + kProducerIdAt, options_.producer_id);
  StoreBig(batch + kProducerEpochAt, options_.producer_epoch);
  StoreBig(batch + kBaseSequenceAt, options_.base_sequence);
  StoreBig(batch + kRecordCountAt, record_count_);
  const std::string_view covered(batch + kBatchCrcCoversFrom, batch_bytes - kBatchCrcCoversFrom);
  StoreBig(batch + kCrcAt, Crc32c(covered));
}

absl::StatusOr<std::string> RecordBatchBuilder::Build() {
  if (empty()) return MakeError(Reason::INVALID_BATCH, "a batch needs at least one record");
  const size_t uncompressed = bytes_.size();
  std::string out;
  if (options_.codec == Codec::kNone) {
    out = std::move(bytes_);
  } else {
    VARVE_ASSIGN_OR_RETURN(
        const std::string records,
        Compress(options_.codec, std::string_view(bytes_).substr(kBatchHeaderBytes),
                 options_.level));
    if (records.size() > std::numeric_limits<int32_t>::max() - kBatchHeaderBytes) {
      return MakeError(Reason::BATCH_TOO_LARGE, "records of ", records.size(), " bytes");
    }
    out.reserve(kBatchHeaderBytes + records.size());
    out.resize(kBatchHeaderBytes);
    out += records;
  }
  WriteHeader(out.data(), out.size());
  ratio_ = static_cast<double>(out.size()) / static_cast<double>(uncompressed);
  Reset();
  return out;
}

}  // namespace varve
