// The sending side of ProducerCore: which batch goes where, when, and what happens when it fails.
#include <algorithm>
#include <utility>

#include "client/core/metadata.h"
#include "client/core/producer_core.h"
#include "client/core/status_mapping.h"

namespace varve::client {
namespace {

// Below both, the producer counts as idle and lingering would only add latency.
constexpr size_t kIdleBytes = 64 * limits::kKiB;
constexpr size_t kIdleBatches = 8;

}  // namespace

bool ProducerCore::SendNow(const PartitionQueue::Waiting& waiting) const {
  const bool idle = in_flight_bytes_ < kIdleBytes && in_flight_batches_ < kIdleBatches;
  const Nanos linger = options_.linger.count() * kMicrosecond;
  return idle || waiting.full || flushing_ > 0 || core_->Now() - waiting.created >= linger;
}

void ProducerCore::Dispatch(ProducerPartition& partition) {
  if (partition.waiting || partition.link != nullptr) return;
  if (partition.current == nullptr) {
    const PartitionQueue::Waiting waiting = partition.queue.Look();
    if (!waiting.any) return;
    ArmDeadline(partition, waiting.deadline);
    if (!SendNow(waiting) && partition.queue.Linger()) return Linger(partition, waiting.created);
  }
  const auto info = core_->metadata().Find(partition.topic.name());
  if (info == nullptr || partition.number >= info->leaders.size() ||
      info->leaders[partition.number].empty()) {
    return SeekLeader(partition);
  }
  Route& route = RouteTo(info->leaders[partition.number]);
  if (route.link == nullptr) {
    if (const Nanos wait = route.not_before - core_->Now(); wait > 0) return Pause(partition, wait);
    route.link = std::make_shared<ProduceLink>(*core_, info->leaders[partition.number], this);
    route.link->Start();
  }
  partition.waiting = true;
  route.link->Enqueue(partition);
  ArmWatch();
}

void ProducerCore::Linger(ProducerPartition& partition, MonoTime created) {
  if (!std::exchange(partition.lingering, true)) lingering_.push_back(&partition);
  if (std::exchange(partition.linger_armed, true)) return;
  After(created + options_.linger.count() * kMicrosecond - core_->Now(),
        [&partition](ProducerCore& self) {
          partition.linger_armed = false;
          self.Dispatch(partition);
        });
}

void ProducerCore::WakeLingering() {
  while (!lingering_.empty() && in_flight_bytes_ < kIdleBytes &&
         in_flight_batches_ < kIdleBatches) {
    ProducerPartition* partition = lingering_.back();
    lingering_.pop_back();
    partition->lingering = false;
    Dispatch(*partition);
  }
}

void ProducerCore::FlushLingering() {
  const std::vector<ProducerPartition*> lingering = std::exchange(lingering_, {});
  for (ProducerPartition* partition : lingering) {
    partition->lingering = false;
    Dispatch(*partition);
  }
}

// The pause grows with the failures of this partition; then the cluster is asked.
void ProducerCore::SeekLeader(ProducerPartition& partition) {
  partition.waiting = true;
  const Nanos delay = partition.failures == 0 ? 0 : core_->BackoffFor(partition.failures);
  // A broker that is cut off from the others knows of no leader for as long.
  if (partition.failures % kFailuresPerBroker == kFailuresPerBroker - 1) core_->AskSomebodyElse("");
  ++partition.failures;
  After(delay, [&partition](ProducerCore& self) {
    self.core_->metadata().Refresh(
        partition.topic.name(), [weak = self.weak_from_this(), &partition](
                                    const Status& status, std::shared_ptr<const TopicInfo>) {
          const std::shared_ptr<ProducerCore> alive = weak.lock();
          if (alive == nullptr) return;
          partition.waiting = false;
          if (!status.ok() && !status.retryable()) {
            return alive->FailAll(partition, WithOutcome(status, RequestOutcome::kNotApplied));
          }
          alive->Dispatch(partition);
        });
  });
}

void ProducerCore::Pause(ProducerPartition& partition, Nanos delay) {
  partition.waiting = true;
  After(delay, [&partition](ProducerCore& self) {
    partition.waiting = false;
    self.Dispatch(partition);
  });
}

ProducerBatch* ProducerCore::BatchToSend(ProduceLink& link, ProducerPartition& partition) {
  if (partition.current == nullptr) partition.current = partition.queue.Take();
  ProducerBatch* batch = partition.current.get();
  if (batch == nullptr) {  // expired meanwhile
    partition.queue.Look();
    return nullptr;
  }
  if (Status status = batch->Build(); !status.ok()) {
    Complete(partition, std::move(partition.current), {status});
    Post([&partition](ProducerCore& self) { self.Dispatch(partition); });
    return nullptr;
  }
  partition.link = &link;
  in_flight_bytes_ += batch->bytes->size();
  ++in_flight_batches_;
  ++batches_;
  bytes_sent_ += batch->bytes->size();
  if (batch->failures > 0) ++resent_;
  if (std::exchange(batch->doubtful, false)) duplicates_ += batch->records;
  return batch;
}

// The batch under way has an answer, or will have none.
void ProducerCore::Land(ProducerPartition& partition) {
  partition.link = nullptr;
  in_flight_bytes_ -= partition.current->bytes->size();
  --in_flight_batches_;
}

void ProducerCore::OnAck(ProducerPartition& partition, Ack ack) {
  if (ack.status.ok()) RouteTo(partition.link->address()).failures = 0;
  Land(partition);
  if (ack.status.ok()) {
    partition.failures = 0;
    Complete(partition, std::move(partition.current), ack);
    Dispatch(partition);
  } else {
    RetryOrFail(partition, ack.status);
  }
  WakeLingering();
}

void ProducerCore::RetryOrFail(ProducerPartition& partition, const Status& status) {
  ProducerBatch& batch = *partition.current;
  ++batch.failures;
  const bool unknown = status.outcome() == RequestOutcome::kUnknown;
  if (!status.retryable() || (unknown && !options_.retry_unknown)) {
    // That this attempt did nothing says nothing about one before it.
    const Status fate =
        batch.maybe_applied ? WithOutcome(status, RequestOutcome::kUnknown) : status;
    Complete(partition, std::move(partition.current), {fate});
    return Dispatch(partition);
  }
  batch.maybe_applied |= unknown;
  batch.doubtful = unknown;
  if (status.reason() == "NOT_LEADER" || status.reason() == "LEADER_UNKNOWN" ||
      status.reason() == "SHUTTING_DOWN" || status.reason() == "PROPOSAL_LOST") {
    const std::string leader(status.Detail("leader_address"));
    core_->metadata().NoteLeader(partition.topic.name(), partition.number, leader);
    // A named leader is tried at once; two brokers that name each other are not tried in a loop.
    if (!leader.empty() && ++partition.failures == 1) return Dispatch(partition);
    return SeekLeader(partition);
  }
  Pause(partition, core_->BackoffFor(++partition.failures));
}

void ProducerCore::OnRefused(ProducerPartition& partition, const Status& status) {
  partition.waiting = false;
  if (!status.retryable()) {
    return FailAll(partition, WithOutcome(status, RequestOutcome::kNotApplied));
  }
  core_->metadata().ForgetLeader(partition.topic.name(), partition.number);
  ++partition.failures;
  SeekLeader(partition);
}

void ProducerCore::OnMoved(ProduceLink& link, const std::string& leader,
                           const std::vector<ProducerPartition*>& unsent) {
  Route& route = RouteTo(link.address());
  if (route.link.get() == &link) {
    draining_.push_back(std::move(route.link));
    route.link = nullptr;
    route.not_before = core_->Now() + core_->BackoffFor(++route.failures);
  }
  for (ProducerPartition* partition : unsent) {
    partition->waiting = false;
    core_->metadata().NoteLeader(partition->topic.name(), partition->number, leader);
    Dispatch(*partition);
  }
}

void ProducerCore::OnClosed(ProduceLink& link, const Status& status,
                            const std::vector<ProducerPartition*>& in_flight,
                            const std::vector<ProducerPartition*>& unsent) {
  ++reconnects_;
  core_->Log(LogLevel::kWarning, StrCat("produce stream to ", std::string_view(link.address()),
                                        " ended: ", status.message()));
  Route& route = RouteTo(link.address());
  if (route.link.get() == &link) {
    route.link = nullptr;
    route.not_before = core_->Now() + core_->BackoffFor(++route.failures);
  }
  std::erase_if(draining_, [&](const auto& other) { return other.get() == &link; });
  const Status lost =
      Error(Reason::OUTCOME_UNKNOWN, "the connection to ", std::string_view(link.address()),
            " broke before the answer: ", status.message());
  for (ProducerPartition* partition : in_flight) {
    Land(*partition);
    core_->metadata().ForgetLeader(partition->topic.name(), partition->number);
    RetryOrFail(*partition, lost);
  }
  for (ProducerPartition* partition : unsent) {
    partition->waiting = false;
    core_->metadata().ForgetLeader(partition->topic.name(), partition->number);
    // A broker that refuses the whole stream for good refuses its records.
    if (!status.retryable() && status.reason() != "INTERNAL") {
      FailAll(*partition, WithOutcome(status, RequestOutcome::kNotApplied));
    } else {
      Dispatch(*partition);
    }
  }
}

void ProducerCore::ArmDeadline(ProducerPartition& partition, MonoTime deadline) {
  if (std::exchange(partition.deadline_armed, true)) return;
  After(deadline - core_->Now(), [&partition](ProducerCore& self) {
    partition.deadline_armed = false;
    self.Expire(partition);
  });
}

void ProducerCore::Expire(ProducerPartition& partition) {
  const MonoTime now = core_->Now();
  const Status late = Error(Reason::DEADLINE_EXCEEDED, "not delivered within ",
                            options_.delivery_timeout.count(), " ms");
  const Status never_sent = WithOutcome(late, RequestOutcome::kNotApplied);
  if (partition.current != nullptr && partition.current->deadline <= now) {
    const bool unknown = partition.link != nullptr || partition.current->maybe_applied;
    if (partition.link != nullptr) {
      partition.link->Forget(partition);
      Land(partition);
    }
    Complete(partition, std::move(partition.current), {unknown ? late : never_sent});
  }
  if (partition.current == nullptr) {
    while (auto batch = partition.queue.TakeExpired(now)) {
      Complete(partition, std::move(batch), {never_sent});
    }
  }
  if (partition.current != nullptr) {
    ArmDeadline(partition, partition.current->deadline);
  } else if (const auto waiting = partition.queue.Look(); waiting.any) {
    ArmDeadline(partition, waiting.deadline);
    Dispatch(partition);
  }
}

void ProducerCore::Complete(ProducerPartition& partition, std::unique_ptr<ProducerBatch> batch,
                            const Ack& ack) {
  DeliveryReport report{partition.topic.name(), partition.number, -1, ack.append_time_ms,
                        ack.status};
  for (size_t i = 0; i < batch->callbacks.size(); ++i) {
    if (!batch->callbacks[i]) continue;
    if (ack.status.ok()) report.offset = ack.base_offset + static_cast<int64_t>(i);
    batch->callbacks[i](report);
  }
  Finished(batch->records, batch->charged, ack.status.ok());
}

void ProducerCore::FailAll(ProducerPartition& partition, const Status& status) {
  if (partition.current != nullptr) {
    const bool unknown = partition.link != nullptr || partition.current->maybe_applied;
    if (partition.link != nullptr) {
      partition.link->Forget(partition);
      Land(partition);
    }
    Complete(partition, std::move(partition.current),
             {unknown ? WithOutcome(status, RequestOutcome::kUnknown)
                      : WithOutcome(status, RequestOutcome::kNotApplied)});
  }
  while (auto batch = partition.queue.Take()) {
    Complete(partition, std::move(batch), {WithOutcome(status, RequestOutcome::kNotApplied)});
  }
  partition.queue.Look();
}

}  // namespace varve::client
