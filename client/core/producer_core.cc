#include "client/core/producer_core.h"

#include <algorithm>
#include <utility>

#include "client/core/metadata.h"
#include "client/core/status_mapping.h"

namespace varve::client {
namespace {

// What a record costs in memory besides its encoded bytes.
constexpr size_t kRecordOverhead = sizeof(DeliveryCallback);

// Incompressible records grow a little under a codec; the batch must still fit.
size_t UncompressedLimit(size_t batch_max_bytes, Compression compression) {
  if (compression == Compression::kNone) return batch_max_bytes;
  return batch_max_bytes - batch_max_bytes / 64 - 1024;
}

}  // namespace

ProducerCore::ProducerCore(std::shared_ptr<ClientCore> core, ProducerOptions options)
    : core_(std::move(core)),
      options_(std::move(options)),
      delivery_timeout_(options_.delivery_timeout.count() * kMillisecond),
      budget_(options_.buffer_bytes) {}

void ProducerCore::Post(std::function<void(ProducerCore&)> task) {
  core_->executor().Post([weak = weak_from_this(), task = std::move(task)] {
    if (const std::shared_ptr<ProducerCore> self = weak.lock()) task(*self);
  });
}

void ProducerCore::After(Nanos delay, std::function<void(ProducerCore&)> task) {
  core_->RunAfter(delay, [weak = weak_from_this(), task = std::move(task)] {
    if (const std::shared_ptr<ProducerCore> self = weak.lock()) task(*self);
  });
}

Status ProducerCore::Reserve(size_t bytes) {
  if (budget_.TryTake(bytes)) return {};
  const bool may_block = options_.when_full == WhenFull::kBlock && !InExecutor();
  if (may_block && budget_.Take(bytes, options_.delivery_timeout)) return {};
  if (closed_) return Error(Reason::SHUTTING_DOWN, "the producer is closed");
  return Error(Reason::OVERLOADED, "the producer's ", options_.buffer_bytes,
               " bytes of buffer are full");
}

ProducerTopic* ProducerCore::TopicNamed(std::string_view name) {
  {
    std::shared_lock lock(topics_mutex_);
    if (const auto at = topics_.find(name); at != topics_.end()) return at->second.get();
  }
  std::unique_lock lock(topics_mutex_);
  if (closed_) return nullptr;
  std::unique_ptr<ProducerTopic>& topic = topics_[std::string(name)];
  if (topic == nullptr) {
    topic = std::make_unique<ProducerTopic>(std::string(name),
                                            static_cast<uint32_t>(SystemRandom()->Below(1 << 20)));
  }
  return topic.get();
}

Status ProducerCore::Send(const ProducerRecord& record, DeliveryCallback callback) {
  if (closed_) return Error(Reason::SHUTTING_DOWN, "the producer is closed");
  if (record.topic.empty() || record.topic.size() > limits::kMaxTopicNameBytes) {
    return Error(Reason::INVALID_REQUEST, "topic: needs 1 to ", limits::kMaxTopicNameBytes,
                 " bytes");
  }
  const size_t bytes = RecordBound(record) + kRecordOverhead;
  if (bytes > options_.batch_max_bytes) {
    return Error(Reason::BATCH_TOO_LARGE, "a record of about ", bytes,
                 " bytes; a batch takes at most ", options_.batch_max_bytes);
  }
  ProducerTopic* topic = TopicNamed(record.topic);
  if (topic == nullptr) return Error(Reason::SHUTTING_DOWN, "the producer is closed");
  if (Status status = Reserve(bytes); !status.ok()) return status;
  const MonoTime now = core_->Now();
  ++outstanding_;  // before the sender may report it
  ProducerTopic::Added added =
      topic->Add(record, now, now + delivery_timeout_, bytes, callback, options_.batch_bytes);
  if (!added.status.ok()) {
    budget_.Release(bytes);
    Finished(1, 0, false);
    return added.status;
  }
  ++accepted_;
  if (added.resolve) {
    Post([topic](ProducerCore& self) { self.ResolveTopic(*topic, 0); });
  } else if (added.wake != nullptr) {
    Post([partition = added.wake](ProducerCore& self) { self.Dispatch(*partition); });
  }
  return {};
}

void ProducerCore::Finished(size_t records, size_t bytes, bool delivered) {
  if (bytes > 0) {
    budget_.Release(bytes);
    (delivered ? delivered_ : failed_) += records;
  }
  if (outstanding_.fetch_sub(records) == records) {
    std::lock_guard lock(done_mutex_);
    all_done_.notify_all();
  }
}

Status ProducerCore::Flush(std::chrono::milliseconds timeout) {
  if (InExecutor()) {
    return Error(Reason::INVALID_REQUEST, "Flush waits; it cannot be called from a callback");
  }
  ++flushing_;
  Post([](ProducerCore& self) { self.FlushLingering(); });
  std::unique_lock lock(done_mutex_);
  const bool done = all_done_.wait_for(lock, timeout, [&] { return outstanding_ == 0; });
  --flushing_;
  if (done) return {};
  return Error(Reason::DEADLINE_EXCEEDED, outstanding_.load(),
               " records are still on their way after ", timeout.count(), " ms");
}

Status ProducerCore::Close(std::chrono::milliseconds timeout) {
  {
    std::unique_lock lock(topics_mutex_);
    if (closed_.exchange(true)) return {};
  }
  budget_.Close();
  const Status why = Error(Reason::DEADLINE_EXCEEDED, "the producer was closed");
  if (InExecutor()) {
    Shutdown(why, nullptr);
    return {};
  }
  Status status = Flush(timeout);
  // Owned by the task until it has run, but no longer: this object, and with it perhaps the
  // executor, should end on the caller's thread.
  core_->executor().Post([self = shared_from_this(), why]() mutable {
    ProducerCore& producer = *self;
    producer.Shutdown(why, std::move(self));
  });
  // The executor is late only while a callback blocks it; then what is left is abandoned.
  constexpr std::chrono::milliseconds kGrace{200};
  std::unique_lock lock(done_mutex_);
  all_done_.wait_for(lock, kGrace, [&] { return shut_down_; });
  return status;
}

void ProducerCore::Shutdown(const Status& why, std::shared_ptr<ProducerCore> self) {
  std::vector<ProducerTopic*> topics;
  {
    std::shared_lock lock(topics_mutex_);
    for (const auto& [name, topic] : topics_) topics.push_back(topic.get());
  }
  for (ProducerTopic* topic : topics) {
    topic->Close();
    for (WaitingRecord& record : topic->TakeWaiting()) FailWaiting(*topic, record, why);
    for (const auto& partition : topic->partitions()) FailAll(*partition, why);
  }
  for (auto& [address, route] : routes_) {
    if (route.link) route.link->Abandon();
  }
  for (const auto& link : draining_) link->Abandon();
  // Whoever waits owns this object as well, and cannot go on before the lock is free.
  std::unique_lock lock(done_mutex_);
  shut_down_ = true;
  all_done_.notify_all();
  if (self.use_count() > 1) self.reset();
  lock.unlock();
}

ProducerStats ProducerCore::stats() const {
  ProducerStats out;
  out.records_accepted = accepted_;
  out.records_delivered = delivered_;
  out.records_failed = failed_;
  out.batches_sent = batches_;
  out.batches_resent = resent_;
  out.batch_bytes_sent = bytes_sent_;
  out.possible_duplicates = duplicates_;
  out.reconnects = reconnects_;
  out.buffered_bytes = budget_.used();
  return out;
}

void ProducerCore::ResolveTopic(ProducerTopic& topic, uint32_t failures) {
  ExpireWaiting(topic);
  core_->metadata().Refresh(
      topic.name(), [weak = weak_from_this(), &topic, failures](
                        const Status& status, std::shared_ptr<const TopicInfo> info) {
        const std::shared_ptr<ProducerCore> self = weak.lock();
        if (self == nullptr) return;
        const auto partitions = info ? static_cast<uint32_t>(info->leaders.size()) : 0;
        self->OnTopicAnswer(topic, failures, status, partitions, info ? info->max_batch_bytes : 0);
      });
}

void ProducerCore::OnTopicAnswer(ProducerTopic& topic, uint32_t failures, const Status& status,
                                 uint32_t partitions, size_t max_batch_bytes) {
  if (!status.ok() && !status.retryable()) {
    for (WaitingRecord& record : topic.TakeWaiting()) FailWaiting(topic, record, status);
    return;
  }
  if (!status.ok() || partitions == 0) {
    if (!status.ok()) core_->Log(LogLevel::kWarning, status.ToString());
    if (topic.GiveUpIfIdle()) return;  // all expired
    return After(core_->BackoffFor(failures + 1), [&topic, failures](ProducerCore& self) {
      self.ResolveTopic(topic, failures + 1);
    });
  }
  if (max_batch_bytes == 0) max_batch_bytes = limits::kDefaultBatchBytes;
  PartitionQueue::Limits limits;
  limits.batch_bytes = options_.batch_bytes;
  limits.batch_max_bytes =
      UncompressedLimit(std::min(options_.batch_max_bytes, max_batch_bytes), options_.compression);
  limits.delivery_timeout = delivery_timeout_;
  limits.batch.codec = static_cast<Codec>(options_.compression);
  std::vector<ProducerTopic::Refused> refused;
  const std::vector<ProducerPartition*> wake =
      topic.Resolve(partitions, limits, core_->Now(), &refused);
  for (auto& [record, why] : refused) FailWaiting(topic, record, why);
  for (ProducerPartition* partition : wake) Dispatch(*partition);
}

void ProducerCore::ExpireWaiting(ProducerTopic& topic) {
  const Status why =
      WithOutcome(Error(Reason::DEADLINE_EXCEEDED, "topic \"", std::string_view(topic.name()),
                        "\" was not found out about within the delivery timeout"),
                  RequestOutcome::kNotApplied);
  const MonoTime now = core_->Now();
  for (WaitingRecord& record : topic.TakeExpired(now)) FailWaiting(topic, record, why);
  const auto oldest = topic.OldestDeadline();
  if (!oldest || std::exchange(topic.expiry_armed, true)) return;
  After(*oldest - now, [&topic](ProducerCore& self) {
    topic.expiry_armed = false;
    self.ExpireWaiting(topic);
  });
}

void ProducerCore::FailWaiting(ProducerTopic& topic, WaitingRecord& record, const Status& status) {
  if (record.callback) {
    record.callback({topic.name(), record.partition.value_or(0), -1, -1,
                     WithOutcome(status, RequestOutcome::kNotApplied)});
  }
  Finished(1, record.charged, false);
}

}  // namespace varve::client
