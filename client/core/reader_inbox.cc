#include "client/core/reader_inbox.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "client/core/record_decoder.h"
#include "client/core/status_mapping.h"

namespace varve::client {

std::vector<ReadEpoch> ReaderInbox::Assign(const std::vector<Assignment>& assignments) {
  Lock lock(mutex_);
  for (auto at = places_.begin(); at != places_.end();) {
    Drop(lock, at->first);
    at = places_.erase(at);
  }
  std::vector<ReadEpoch> epochs;
  for (const Assignment& assignment : assignments) {
    Place place;
    place.partition = std::make_shared<const TopicPartition>(assignment.partition);
    epochs.push_back(next_epoch_);
    places_[next_epoch_++] = std::move(place);
  }
  stopping_ = false;
  deferred_ = {};
  changed_.notify_all();
  return epochs;
}

std::optional<std::pair<ReadEpoch, ReadEpoch>> ReaderInbox::Restart(
    const TopicPartition& partition) {
  Lock lock(mutex_);
  for (const auto& [epoch, place] : places_) {
    if (*place.partition != partition) continue;
    const std::pair out{epoch, next_epoch_++};
    Place moved = place;
    moved.next_offset = -1;
    Drop(lock, epoch);
    places_.erase(out.first);
    places_[out.second] = std::move(moved);
    return out;
  }
  return std::nullopt;
}

// Removes what an epoch has in the inbox, and gives back its credit.
void ReaderInbox::Drop(Lock&, ReadEpoch epoch) {
  std::erase_if(items_, [&](const InboxItem& item) {
    if (item.epoch != epoch) return false;
    if (item.batches) {
      return_credit_(item.address, static_cast<int64_t>(item.batches->size()), item.records);
    }
    return true;
  });
}

std::vector<ReaderPosition> ReaderInbox::positions() const {
  std::lock_guard lock(mutex_);
  std::vector<ReaderPosition> out;
  for (const auto& [epoch, place] : places_) {
    out.push_back({*place.partition, place.next_offset, place.high_watermark, place.log_start});
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.partition < b.partition; });
  return out;
}

void ReaderInbox::StopAt(const TopicPartition& partition, int64_t offset) {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (auto& [epoch, place] : places_) {
    if (*place.partition == partition) place.stop_at = offset;
  }
  changed_.notify_all();
}

bool ReaderInbox::AtStopLocked() const {
  return stopping_ && std::all_of(places_.begin(), places_.end(), [](const auto& item) {
           const Place& place = item.second;
           return place.stop_at >= 0 && place.next_offset >= place.stop_at;
         });
}

bool ReaderInbox::AtStop() const {
  std::lock_guard lock(mutex_);
  return AtStopLocked();
}

void ReaderInbox::Push(InboxItem item) {
  std::lock_guard lock(mutex_);
  const bool news_only = item.batches == nullptr && item.error.ok();
  if (places_.count(item.epoch) == 0) {
    if (item.batches) {
      return_credit_(item.address, static_cast<int64_t>(item.batches->size()), item.records);
    }
    return;
  }
  // News replaces older news, so that a program that does not poll costs nothing.
  if (news_only && !items_.empty() && items_.back().epoch == item.epoch &&
      items_.back().batches == nullptr && items_.back().error.ok()) {
    items_.back() = std::move(item);
  } else {
    items_.push_back(std::move(item));
  }
  changed_.notify_all();
}

void ReaderInbox::NoteLog(ReadEpoch epoch, int64_t high_watermark, int64_t log_start) {
  std::lock_guard lock(mutex_);
  const auto at = places_.find(epoch);
  if (at == places_.end()) return;
  at->second.high_watermark = high_watermark;
  if (log_start >= 0) at->second.log_start = log_start;
}

void ReaderInbox::SetTrouble(Status trouble) {
  std::lock_guard lock(mutex_);
  trouble_ = std::move(trouble);
}

void ReaderInbox::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  items_.clear();
  changed_.notify_all();
}

bool ReaderInbox::HasItems() const {
  std::lock_guard lock(mutex_);
  return !items_.empty() || !deferred_.ok();
}

uint64_t ReaderInbox::records_returned() const {
  std::lock_guard lock(mutex_);
  return records_;
}

uint64_t ReaderInbox::bytes_returned() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

Status ReaderInbox::WithPartition(const Status& status, const TopicPartition& partition) const {
  return WithDetails(
      status, {{"topic", partition.topic}, {"partition", std::to_string(partition.partition)}});
}

Status ReaderInbox::TakeOne(Lock& lock, Records* out, size_t* bytes) {
  const InboxItem item = std::move(items_.front());
  items_.pop_front();
  const auto at = places_.find(item.epoch);
  if (at == places_.end()) return {};
  Place& place = at->second;
  if (!item.error.ok()) return WithPartition(item.error, *place.partition);
  const int64_t until = place.stop_at >= 0 ? place.stop_at : std::numeric_limits<int64_t>::max();
  if (item.batches == nullptr) {
    place.next_offset = std::max(place.next_offset, item.next_offset);
    return {};
  }
  const std::shared_ptr<const TopicPartition> partition = place.partition;
  const int64_t from = place.next_offset;
  lock.unlock();  // decoding takes long, and only pollers change positions
  const auto size = static_cast<int64_t>(item.batches->size());
  const size_t before = out->size();
  const Status status = DecodeBatches(item.batches, partition, from, until, out);
  return_credit_(item.address, size, item.records);
  if (!status.ok()) on_bad_data_(item.epoch);
  lock.lock();
  const auto again = places_.find(item.epoch);
  if (again == places_.end()) {  // a seek came between
    RecordsAccess::records(*out).resize(before);
    return {};
  }
  *bytes += static_cast<size_t>(size);
  records_ += out->size() - before;
  bytes_ += static_cast<uint64_t>(size);
  if (status.ok()) {
    again->second.next_offset = std::min(item.next_offset, until);
    return {};
  }
  if (out->size() > before) again->second.next_offset = (*out)[out->size() - 1].offset + 1;
  Drop(lock, item.epoch);
  return WithPartition(status, *partition);
}

Result<Records> ReaderInbox::Poll(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::unique_lock turn(poll_mutex_);
  Lock lock(mutex_);
  Records out;
  size_t bytes = 0;
  while (true) {
    if (closed_) return Error(Reason::SHUTTING_DOWN, "the reader is closed");
    if (!deferred_.ok()) return std::exchange(deferred_, Status());
    while (!items_.empty() && bytes < poll_bytes_ && deferred_.ok() && !closed_) {
      deferred_ = TakeOne(lock, &out, &bytes);
    }
    if (!out.empty()) return out;
    if (!deferred_.ok()) continue;
    bytes = 0;
    if (AtStopLocked()) return out;
    const auto more = [&] {
      return closed_ || !items_.empty() || !deferred_.ok() || AtStopLocked();
    };
    if (!changed_.wait_until(lock, deadline, more)) {
      if (!trouble_.ok()) return trouble_;
      return out;
    }
  }
}

}  // namespace varve::client
