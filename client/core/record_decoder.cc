#include "client/core/record_decoder.h"

#include <deque>
#include <utility>

#include "client/core/status_mapping.h"
#include "common/record_batch.h"

namespace varve::client {
namespace {

using HeaderArena = std::deque<std::vector<HeaderView>>;

struct Sink {
  std::shared_ptr<const TopicPartition> partition;
  int64_t from;
  int64_t until;
  std::shared_ptr<HeaderArena> headers;
  Records* out;

  void Take(const RecordView& view);
  Status TakeBatch(const RecordBatchView& batch);
};

void Sink::Take(const RecordView& view) {
  const int64_t offset = view.offset.value();
  if (offset < from || offset >= until) return;
  ReadRecord& record = RecordsAccess::records(*out).emplace_back();
  record.topic = partition->topic;
  record.partition = partition->partition;
  record.offset = offset;
  record.timestamp_ms = view.timestamp.value();
  record.key = view.key;
  record.value = view.value;
  if (view.headers.empty()) return;
  if (headers == nullptr) {
    headers = std::make_shared<HeaderArena>();
    RecordsAccess::keep(*out).push_back(headers);
  }
  std::vector<HeaderView>& copy = headers->emplace_back();
  for (const RecordHeaderView& header : view.headers) copy.push_back({header.key, header.value});
  record.headers = copy;
}

Status Sink::TakeBatch(const RecordBatchView& batch) {
  if (batch.last_offset().value() < from || batch.base_offset().value() >= until) return {};
  if (!batch.crc_ok()) {
    return Error(Reason::CORRUPT_BATCH, "the batch at offset ", batch.base_offset(),
                 " fails its CRC");
  }
  if (batch.is_control()) return {};
  RecordBatchView plain = batch;
  if (batch.codec() != Codec::kNone) {
    auto bytes = DecompressRecordBatch(batch, limits::kMaxDecompressedBatchBytes);
    if (!bytes.ok()) return FromAbsl(bytes.status());
    auto kept = std::make_shared<const std::string>(std::move(bytes).value());
    auto parsed = RecordBatchView::Parse(*kept);
    if (!parsed.ok()) return FromAbsl(parsed.status());
    plain = *parsed;
    RecordsAccess::keep(*out).push_back(std::move(kept));
  }
  RecordBatchReader reader(plain);
  while (const RecordView* record = reader.Next()) Take(*record);
  return FromAbsl(reader.status());
}

}  // namespace

Status DecodeBatches(std::shared_ptr<const std::string> batches,
                     std::shared_ptr<const TopicPartition> partition, int64_t from, int64_t until,
                     Records* out) {
  RecordsAccess::keep(*out).push_back(batches);
  RecordsAccess::keep(*out).push_back(partition);
  Sink sink{std::move(partition), from, until, nullptr, out};
  std::string_view rest = *batches;
  while (!rest.empty()) {
    auto batch = RecordBatchView::ParsePrefix(rest);
    if (!batch.ok()) return FromAbsl(batch.status());
    const size_t before = RecordsAccess::records(*out).size();
    if (Status status = sink.TakeBatch(*batch); !status.ok()) {
      RecordsAccess::records(*out).resize(before);
      return status;
    }
    rest.remove_prefix(batch->bytes().size());
  }
  return {};
}

}  // namespace varve::client
