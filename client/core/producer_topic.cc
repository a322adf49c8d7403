#include "client/core/producer_topic.h"

#include <utility>

#include "client/core/status_mapping.h"
#include "common/murmur2.h"

namespace varve::client {

WaitingRecord WaitingRecord::Copy(const ProducerRecord& record) {
  WaitingRecord out;
  out.partition = record.partition;
  if (record.key) out.key.emplace(*record.key);
  if (record.value) out.value.emplace(*record.value);
  for (const HeaderView& header : record.headers) {
    auto& [key, value] = out.headers.emplace_back();
    key = header.key;
    if (header.value) value.emplace(*header.value);
  }
  out.timestamp_ms =
      record.timestamp_ms == kTimestampNow ? RealClock().Wall().value() : record.timestamp_ms;
  return out;
}

ProducerPartition* ProducerTopic::Choose(std::optional<uint32_t> partition,
                                         const std::optional<std::string_view>& key,
                                         Status* status) {
  const auto count = static_cast<uint32_t>(partitions_.size());
  if (partition) {
    if (*partition < count) return partitions_[*partition].get();
    *status = Error(Reason::UNKNOWN_PARTITION, "topic \"", name_, "\" has ", count,
                    " partitions, and no partition ", *partition);
    return nullptr;
  }
  if (key) return partitions_[PartitionForKey(*key, count)].get();
  return partitions_[sticky_ % count].get();
}

void ProducerTopic::CountSticky(size_t bytes, size_t batch_bytes) {
  if (sticky_bytes_.fetch_add(bytes) + bytes < batch_bytes) return;
  sticky_bytes_ = 0;
  ++sticky_;
}

ProducerTopic::Added ProducerTopic::Add(const ProducerRecord& record, MonoTime now,
                                        MonoTime deadline, size_t charged,
                                        DeliveryCallback& callback, size_t batch_bytes) {
  if (!resolved_) {
    std::lock_guard lock(mutex_);
    if (closed_) return {Error(Reason::SHUTTING_DOWN, "the producer is closed")};
    if (!resolved_) {
      WaitingRecord waiting = WaitingRecord::Copy(record);
      waiting.charged = charged;
      waiting.deadline = deadline;
      waiting.callback = std::move(callback);
      waiting_.push_back(std::move(waiting));
      return {Status(), nullptr, !std::exchange(resolving_, true)};
    }
  }
  Added added;
  ProducerPartition* partition = Choose(record.partition, record.key, &added.status);
  if (partition == nullptr) return added;
  auto [status, wake] = partition->queue.Append(record, now, charged, callback);
  if (status.ok() && !record.partition && !record.key) CountSticky(charged, batch_bytes);
  return {std::move(status), wake ? partition : nullptr, false};
}

const std::vector<std::unique_ptr<ProducerPartition>>& ProducerTopic::partitions() const {
  static const std::vector<std::unique_ptr<ProducerPartition>> none;
  return resolved_ ? partitions_ : none;
}

std::vector<ProducerPartition*> ProducerTopic::Resolve(uint32_t partitions,
                                                       const PartitionQueue::Limits& limits,
                                                       MonoTime now,
                                                       std::vector<Refused>* refused) {
  std::lock_guard lock(mutex_);
  std::vector<ProducerPartition*> wake;
  if (resolved_ || closed_) return wake;
  for (uint32_t i = 0; i < partitions; ++i) {
    partitions_.push_back(std::make_unique<ProducerPartition>(*this, i, limits));
  }
  for (WaitingRecord& waiting : waiting_) {
    Status status;
    std::vector<HeaderView> headers;
    for (const auto& [key, value] : waiting.headers) headers.push_back({key, value});
    const ProducerRecord view{name_,         waiting.partition, waiting.key,
                              waiting.value, headers,           waiting.timestamp_ms};
    ProducerPartition* partition = Choose(view.partition, view.key, &status);
    if (partition != nullptr) {
      auto appended = partition->queue.Append(view, now, waiting.charged, waiting.callback);
      if (appended.wake) wake.push_back(partition);
      status = std::move(appended.status);
      if (status.ok() && !view.partition && !view.key) {
        CountSticky(waiting.charged, limits.batch_bytes);
      }
    }
    if (!status.ok()) refused->push_back({std::move(waiting), std::move(status)});
  }
  waiting_.clear();
  resolving_ = false;
  resolved_ = true;
  return wake;
}

std::vector<WaitingRecord> ProducerTopic::TakeWaiting() {
  std::lock_guard lock(mutex_);
  std::vector<WaitingRecord> out(std::make_move_iterator(waiting_.begin()),
                                 std::make_move_iterator(waiting_.end()));
  waiting_.clear();
  resolving_ = false;
  return out;
}

std::vector<WaitingRecord> ProducerTopic::TakeExpired(MonoTime now) {
  std::lock_guard lock(mutex_);
  std::vector<WaitingRecord> out;
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    out.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  return out;
}

bool ProducerTopic::GiveUpIfIdle() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) resolving_ = false;
  return waiting_.empty();
}

std::optional<MonoTime> ProducerTopic::OldestDeadline() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  return waiting_.front().deadline;
}

void ProducerTopic::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (const auto& partition : partitions_) partition->queue.Close();
}

}  // namespace varve::client
