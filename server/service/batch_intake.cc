#include "server/service/batch_intake.h"

#include <string>

#include "common/error.h"
#include "common/limits.h"
#include "common/murmur2.h"
#include "common/record_batch_builder.h"

namespace varve::server {
namespace {

// A record timestamp may be ahead of the broker's clock by so much: beyond it is a unit mistake.
constexpr int64_t kMaxTimestampAheadMs = 3'600'000;

size_t MaxBatchBytes(const TopicEntry& topic) {
  return topic.config.max_batch_bytes == 0 ? limits::kDefaultBatchBytes
                                           : topic.config.max_batch_bytes;
}

std::optional<std::string_view> View(const std::optional<std::string>& s) {
  if (!s) return std::nullopt;
  return std::string_view(*s);
}

// What a record takes in plain form: also one of no bytes takes room in memory and on the wire.
size_t PlainBytes(const RecordView& record) {
  constexpr size_t kOverhead = 32;
  size_t bytes =
      kOverhead + (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
  for (const RecordHeaderView& header : record.headers)
    bytes += kOverhead + header.key.size() + (header.value ? header.value->size() : 0);
  return bytes;
}

PlainRecord ToPlain(const RecordView& record) {
  PlainRecord out;
  out.offset = record.offset;
  out.timestamp_ms = record.timestamp.value();
  if (record.key) out.key = std::string(*record.key);
  if (record.value) out.value = std::string(*record.value);
  for (const RecordHeaderView& header : record.headers)
    out.headers.emplace_back(
        std::string(header.key),
        header.value ? std::optional(std::string(*header.value)) : std::nullopt);
  return out;
}

}  // namespace

absl::StatusOr<BatchSummary> CheckBatch(const TopicEntry& topic, std::string_view batch,
                                        WallTime now) {
  BatchLimits limits;
  limits.max_batch_bytes = MaxBatchBytes(topic);
  limits.latest_timestamp = now + kMaxTimestampAheadMs;
  return ValidateRecordBatch(batch, limits);
}

absl::StatusOr<FrameBuffer> BuildBatch(const TopicEntry& topic,
                                       const std::vector<PlainRecord>& records, WallTime now) {
  if (records.empty()) return MakeError(Reason::INVALID_REQUEST, "the item holds no records");
  RecordBatchBuilder builder;
  std::vector<RecordHeaderView> headers;
  for (const PlainRecord& record : records) {
    headers.clear();
    for (const auto& [key, value] : record.headers) headers.push_back({key, View(value)});
    const WallTime timestamp = record.timestamp_ms == 0 ? now : WallTime(record.timestamp_ms);
    VARVE_RETURN_IF_ERROR(builder.Add(timestamp, View(record.key), View(record.value), headers));
    if (builder.uncompressed_bytes() > MaxBatchBytes(topic))
      return MakeError(Reason::BATCH_TOO_LARGE, "the records make a batch of more than ",
                       MaxBatchBytes(topic), " bytes");
  }
  VARVE_ASSIGN_OR_RETURN(const std::string batch, builder.Build());
  VARVE_RETURN_IF_ERROR(CheckBatch(topic, batch, now).status());
  return FrameBuffer::Copy(batch);
}

PartitionId ChoosePartition(const TopicEntry& topic, const std::vector<PlainRecord>& records,
                            uint64_t sticky) {
  const auto count = static_cast<uint32_t>(topic.partitions.size());
  if (!records.empty() && records.front().key)
    return PartitionId(PartitionForKey(*records.front().key, count));
  return PartitionId(static_cast<uint32_t>(sticky % count));
}

absl::StatusOr<std::vector<PlainRecord>> DecodePlainRecords(const std::vector<Entry>& entries,
                                                            Offset from, size_t max_bytes,
                                                            Offset* next_offset) {
  std::vector<PlainRecord> out;
  size_t bytes = 0;
  for (const Entry& entry : entries) {
    VARVE_ASSIGN_OR_RETURN(const RecordBatchView view, RecordBatchView::Parse(entry.payload()));
    RecordBatchReader reader(view);
    while (const RecordView* record = reader.Next()) {
      if (record->offset < from) continue;
      // At least one record, else at most the bytes asked for: the answer is a message of its own.
      const size_t size = PlainBytes(*record);
      if (!out.empty() && bytes + size > max_bytes) return out;
      bytes += size;
      out.push_back(ToPlain(*record));
      *next_offset = record->offset + 1;
    }
    if (!reader.status().ok())
      return MakeError(Reason::DATA_LOSS, "a stored batch at offset ", entry.header.base_offset,
                       " does not decode: ", MessageOf(reader.status()));
    *next_offset = entry.header.next_offset();
  }
  return out;
}

}  // namespace varve::server
