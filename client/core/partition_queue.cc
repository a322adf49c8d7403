#include "client/core/partition_queue.h"

#include "client/core/status_mapping.h"

namespace varve::client {
namespace {

std::vector<RecordHeaderView> ToCommon(std::span<const HeaderView> headers) {
  std::vector<RecordHeaderView> out;
  out.reserve(headers.size());
  for (const HeaderView& header : headers) out.push_back({header.key, header.value});
  return out;
}

}  // namespace

size_t RecordBound(const ProducerRecord& record) {
  size_t bound = RecordBatchBuilder::RecordBound(record.key, record.value);
  for (const HeaderView& header : record.headers) {
    bound += 2 * kMaxVarintBytes<int32_t> + header.key.size() +
             (header.value ? header.value->size() : 0);
  }
  return bound + kMaxVarintBytes<int32_t>;
}

Status ProducerBatch::Build() {
  if (bytes != nullptr) return {};
  auto built = builder.Build();
  if (!built.ok()) return FromAbsl(built.status());
  bytes = std::make_shared<const std::string>(std::move(built).value());
  return {};
}

PartitionQueue::Appended PartitionQueue::Append(const ProducerRecord& record, MonoTime now,
                                                size_t charged, DeliveryCallback& callback) {
  const size_t bound = RecordBound(record);
  if (bound + kBatchHeaderBytes > limits_.batch_max_bytes) {
    return {Error(Reason::BATCH_TOO_LARGE, "a record of about ", bound,
                  " bytes; a batch takes at most ", limits_.batch_max_bytes),
            false};
  }
  const WallTime timestamp =
      record.timestamp_ms == kTimestampNow ? RealClock().Wall() : WallTime{record.timestamp_ms};
  std::vector<RecordHeaderView> headers;
  if (!record.headers.empty()) headers = ToCommon(record.headers);

  std::lock_guard lock(mutex_);
  if (closed_) return {Error(Reason::SHUTTING_DOWN, "the producer is closed"), false};
  const auto fits = [&] {
    return !batches_.empty() && batches_.back()->records < limits::kMaxBatchRecords &&
           batches_.back()->builder.uncompressed_bytes() + bound <= limits_.batch_max_bytes;
  };
  const bool fresh = !fits();
  if (fresh) {
    auto batch = std::make_unique<ProducerBatch>(limits_.batch);
    batch->created = now;
    batch->deadline = now + limits_.delivery_timeout;
    batches_.push_back(std::move(batch));
  }
  ProducerBatch& batch = *batches_.back();
  if (absl::Status status = batch.builder.Add(timestamp, record.key, record.value, headers);
      !status.ok()) {
    if (fresh) batches_.pop_back();
    return {FromAbsl(status), false};
  }
  if (callback) {
    batch.callbacks.resize(batch.records);  // records before it that have none
    batch.callbacks.push_back(std::move(callback));
  }
  ++batch.records;
  batch.charged += charged;
  const bool wake = asleep_ || (lingering_ && FullLocked());
  if (wake) asleep_ = lingering_ = false;
  return {Status(), wake};
}

bool PartitionQueue::FullLocked() const {
  return !batches_.empty() &&
         (batches_.size() > 1 ||
          batches_.front()->builder.uncompressed_bytes() >= limits_.batch_bytes);
}

PartitionQueue::Waiting PartitionQueue::Look() {
  std::lock_guard lock(mutex_);
  lingering_ = false;
  if (batches_.empty()) {
    asleep_ = true;
    return {};
  }
  return {true, FullLocked(), batches_.front()->created, batches_.front()->deadline};
}

bool PartitionQueue::Linger() {
  std::lock_guard lock(mutex_);
  if (FullLocked()) return false;
  lingering_ = true;
  return true;
}

std::unique_ptr<ProducerBatch> PartitionQueue::TakeLocked() {
  if (batches_.empty()) return nullptr;
  std::unique_ptr<ProducerBatch> batch = std::move(batches_.front());
  batches_.pop_front();
  return batch;
}

std::unique_ptr<ProducerBatch> PartitionQueue::Take() {
  std::lock_guard lock(mutex_);
  return TakeLocked();
}

std::unique_ptr<ProducerBatch> PartitionQueue::TakeExpired(MonoTime now) {
  std::lock_guard lock(mutex_);
  if (batches_.empty() || batches_.front()->deadline > now) return nullptr;
  return TakeLocked();
}

void PartitionQueue::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
}

}  // namespace varve::client
