#include "server/service/subscribe_session.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"

namespace varve::server {

// Lives as long as reads are under way; speaks to the door only until Close.
class LocalSubscribeSession::Shared : public std::enable_shared_from_this<Shared> {
 public:
  Shared(const LocalServiceParts& parts, size_t message_bytes, MemoryPermit permit,
         SubscribeEvents& events)
      : parts_(parts),
        message_bytes_(message_bytes),
        permit_(std::move(permit)),
        events_(&events) {}

  void AddCredit(SessionCredit more);
  void Add(SubscribePartition partition);
  void Seek(uint32_t id, uint64_t generation, Position to);
  void Remove(uint32_t id);
  void Close();
  void ArmProgress();

 private:
  enum class Phase : uint8_t { kResolving, kReady, kReading, kWaiting };
  struct Handle {
    GroupId group;
    TopicRef topic;
    std::shared_ptr<TopicMetrics> cells;
    uint64_t generation = 0;
    uint64_t use = 0;
    Phase phase = Phase::kResolving;
    Offset next_offset;
    LogBounds bounds;
  };
  // Names one use of a handle: stale after a seek or removal, also when the client gives the number
  // to another partition, whose generations begin anew.
  struct Ticket {
    uint32_t id;
    uint64_t generation;
    uint64_t use;
  };

  Executor& home() { return parts_.host.ShardOf(kMetadataGroup); }
  Handle* Find(Ticket ticket);    // null when stale or closed; mutex_ held
  void PushReady(Ticket ticket);  // mutex_ held
  void Resolve(Ticket ticket, GroupId group, Position position);
  void OnResolved(Ticket ticket, absl::StatusOr<ResolvedOffset> found, LogBounds bounds);
  void End(Ticket ticket, absl::Status why);
  void EndPosted(Ticket ticket, absl::Status why);
  void RefusePosted(SubscribeEvents::Request request, uint32_t id, uint64_t generation,
                    absl::Status why);
  void Pump();
  void OnRead(Ticket ticket, absl::StatusOr<ReadOutcome> outcome);
  void Deliver(Ticket ticket, Handle& handle, ReadOutcome outcome);
  void AwaitMore(Ticket ticket, const Handle& handle);
  void OnProgressTimer();

  const LocalServiceParts& parts_;
  const size_t message_bytes_;
  std::mutex mutex_;  // guards all below; held while calling events
  MemoryPermit permit_;
  SubscribeEvents* events_;
  SessionCredit credit_;
  std::map<uint32_t, Handle> handles_;
  uint64_t last_use_ = 0;
  std::deque<Ticket> ready_;  // stale ones among them
  bool reading_ = false;
  TimerId progress_timer_;
};

LocalSubscribeSession::Shared::Handle* LocalSubscribeSession::Shared::Find(Ticket ticket) {
  if (events_ == nullptr) return nullptr;
  const auto at = handles_.find(ticket.id);
  return at == handles_.end() || at->second.use != ticket.use ? nullptr : &at->second;
}

// Each use has at most one ticket here. A client that seeks without ever reading makes them stale:
// they go before they are many.
void LocalSubscribeSession::Shared::PushReady(Ticket ticket) {
  if (ready_.size() > 2 * handles_.size() + 64)
    std::erase_if(ready_, [&](const Ticket& t) { return Find(t) == nullptr; });
  ready_.push_back(ticket);
}

// --- From the door
// --------------------------------------------------------------------------------

void LocalSubscribeSession::Shared::AddCredit(SessionCredit more) {
  {
    std::lock_guard lock(mutex_);
    // A client that grants without end gains nothing: the sum stays far from overflow.
    constexpr int64_t kCeiling = int64_t{1} << 40;
    credit_.bytes =
        std::min(kCeiling, credit_.bytes + std::clamp<int64_t>(more.bytes, 0, kCeiling));
    credit_.records =
        std::min(kCeiling, credit_.records + std::clamp<int64_t>(more.records, 0, kCeiling));
  }
  Pump();
}

void LocalSubscribeSession::Shared::Add(SubscribePartition partition) {
  const TopicRef topic = parts_.catalogue.Find(partition.topic);
  std::unique_lock lock(mutex_);
  const Ticket ticket{partition.handle, 0, ++last_use_};
  absl::Status status;
  if (handles_.contains(partition.handle)) {
    lock.unlock();
    return RefusePosted(
        SubscribeEvents::Request::kAdd, partition.handle, 0,
        MakeError(Reason::INVALID_REQUEST, "handle ", partition.handle, " is in use"));
  }
  if (handles_.size() >= kMaxPartitions)
    status =
        MakeError(Reason::OVERLOADED, "the stream has ", kMaxPartitions, " partitions already");
  else
    status = topic ? CheckPartition(*topic, partition.partition) : UnknownTopic(partition.topic);
  if (!status.ok()) {
    lock.unlock();
    return home().Post([self = shared_from_this(), ticket, status = std::move(status)] {
      std::lock_guard relock(self->mutex_);
      if (self->events_ != nullptr)
        self->events_->OnEnd(ticket.id, ticket.generation, Offset{}, status);
    });
  }
  Handle handle;
  handle.use = ticket.use;
  handle.group = topic->partitions[partition.partition.value()].group;
  handle.topic = topic;
  handle.cells = parts_.metrics.Topic(topic->name);
  const GroupId group = handle.group;
  handles_.emplace(partition.handle, std::move(handle));
  lock.unlock();
  Resolve(ticket, group, partition.from);
}

void LocalSubscribeSession::Shared::Seek(uint32_t id, uint64_t generation, Position to) {
  std::unique_lock lock(mutex_);
  const auto at = handles_.find(id);
  absl::Status status;
  if (at == handles_.end())
    status = MakeError(Reason::INVALID_REQUEST, "handle ", id, " is not in use");
  else if (generation <= at->second.generation)
    status = MakeError(Reason::INVALID_REQUEST, "generation ", generation, " is not above ",
                       at->second.generation);
  if (!status.ok()) {
    lock.unlock();
    return RefusePosted(SubscribeEvents::Request::kSeek, id, generation, std::move(status));
  }
  at->second.generation = generation;
  at->second.use = ++last_use_;
  at->second.phase = Phase::kResolving;
  const GroupId group = at->second.group;
  const Ticket ticket{id, generation, at->second.use};
  lock.unlock();
  Resolve(ticket, group, std::move(to));
}

void LocalSubscribeSession::Shared::Remove(uint32_t id) {
  std::unique_lock lock(mutex_);
  const auto at = handles_.find(id);
  if (at == handles_.end()) return;
  const Ticket ticket{id, at->second.generation, at->second.use};
  lock.unlock();
  home().Post([self = shared_from_this(), ticket] { self->EndPosted(ticket, absl::OkStatus()); });
}

void LocalSubscribeSession::Shared::Close() {
  std::lock_guard lock(mutex_);
  if (events_ == nullptr) return;
  events_ = nullptr;
  handles_.clear();
  ready_.clear();
  permit_ = MemoryPermit();
  home().Cancel(progress_timer_);
}

// --- On shards
// ------------------------------------------------------------------------------------

void LocalSubscribeSession::Shared::Resolve(Ticket ticket, GroupId group, Position position) {
  parts_.host.With(group, [self = shared_from_this(), ticket, group,
                           position = std::move(position)](Partition* partition) {
    if (partition == nullptr) return self->EndPosted(ticket, self->parts_.host.WhyMissing(group));
    const LogBounds bounds = partition->bounds();
    ResolvePosition(*partition, position,
                    [self, ticket, bounds](absl::StatusOr<ResolvedOffset> found) {
                      self->OnResolved(ticket, std::move(found), bounds);
                    });
  });
}

void LocalSubscribeSession::Shared::OnResolved(Ticket ticket, absl::StatusOr<ResolvedOffset> found,
                                               LogBounds bounds) {
  if (!found.ok()) return EndPosted(ticket, found.status());
  {
    std::lock_guard lock(mutex_);
    Handle* handle = Find(ticket);
    if (handle == nullptr) return;
    handle->next_offset = found->offset;
    handle->bounds = bounds;
    handle->phase = Phase::kReady;
    PushReady(ticket);
    events_->OnOpened(ticket.id, ticket.generation, {handle->topic->id, found->offset, bounds});
  }
  Pump();
}

void LocalSubscribeSession::Shared::EndPosted(Ticket ticket, absl::Status why) {
  std::lock_guard lock(mutex_);
  if (Find(ticket) != nullptr) End(ticket, std::move(why));
}

// Posted, so that the door is never called from within its own call.
void LocalSubscribeSession::Shared::RefusePosted(SubscribeEvents::Request request, uint32_t id,
                                                 uint64_t generation, absl::Status why) {
  parts_.metrics.CountError(Rpc::kSubscribe, ReasonOf(why));
  home().Post([self = shared_from_this(), request, id, generation, why = std::move(why)] {
    std::lock_guard lock(self->mutex_);
    if (self->events_ != nullptr) self->events_->OnRefused(request, id, generation, why);
  });
}

void LocalSubscribeSession::Shared::End(Ticket ticket, absl::Status why) {
  const auto node = handles_.extract(ticket.id);
  if (!why.ok()) parts_.metrics.CountError(Rpc::kSubscribe, ReasonOf(why));
  events_->OnEnd(ticket.id, ticket.generation, node.mapped().next_offset, std::move(why));
}

// Begins the next read if credit, data and the turn are there. Any thread; mutex_ not held.
void LocalSubscribeSession::Shared::Pump() {
  std::unique_lock lock(mutex_);
  while (!reading_ && credit_.bytes > 0 && credit_.records > 0 && !ready_.empty()) {
    const Ticket ticket = ready_.front();
    ready_.pop_front();
    Handle* handle = Find(ticket);
    if (handle == nullptr || handle->phase != Phase::kReady) continue;
    handle->phase = Phase::kReading;
    reading_ = true;
    parts_.host.With(handle->group, [self = shared_from_this(), ticket, group = handle->group,
                                     from = handle->next_offset](Partition* partition) {
      if (partition == nullptr) return self->OnRead(ticket, self->parts_.host.WhyMissing(group));
      partition->Read(from, self->message_bytes_,
                      [self, ticket](absl::StatusOr<ReadOutcome> outcome) {
                        self->OnRead(ticket, std::move(outcome));
                      });
    });
  }
}

void LocalSubscribeSession::Shared::OnRead(Ticket ticket, absl::StatusOr<ReadOutcome> outcome) {
  {
    std::lock_guard lock(mutex_);
    reading_ = false;
    if (Handle* handle = Find(ticket); handle != nullptr) {
      if (!outcome.ok())
        End(ticket, outcome.status());
      else
        Deliver(ticket, *handle, std::move(*outcome));
    }
  }
  Pump();
}

void LocalSubscribeSession::Shared::Deliver(Ticket ticket, Handle& handle, ReadOutcome outcome) {
  handle.bounds = outcome.bounds;
  if (outcome.entries.empty()) {
    handle.phase = Phase::kWaiting;
    events_->OnProgress(ticket.id, ticket.generation, handle.next_offset, handle.bounds);
    return AwaitMore(ticket, handle);
  }
  SubscribeEvents::Data data;
  int64_t bytes = 0;
  for (const Entry& entry : outcome.entries) {
    bytes += entry.header.payload_bytes;
    data.records += static_cast<uint32_t>(entry.header.next_offset() - entry.header.base_offset);
  }
  credit_.bytes -= bytes;
  credit_.records -= data.records;
  handle.cells->bytes_out.Add(static_cast<uint64_t>(bytes));
  handle.cells->records_out.Add(data.records);
  handle.next_offset = outcome.next_offset;
  handle.phase = Phase::kReady;
  PushReady(ticket);
  data.entries = std::move(outcome.entries);
  data.next_offset = outcome.next_offset;
  data.high_watermark = outcome.bounds.high_watermark;
  data.leader_epoch = outcome.leader_epoch;
  events_->OnData(ticket.id, ticket.generation, std::move(data));
}

void LocalSubscribeSession::Shared::AwaitMore(Ticket ticket, const Handle& handle) {
  // A weak reference: an idle partition must not keep a closed session alive.
  parts_.host.With(handle.group, [weak = weak_from_this(), ticket,
                                  beyond = handle.next_offset](Partition* partition) {
    const auto wake = [weak, ticket] {
      auto self = weak.lock();
      if (!self) return;
      {
        std::lock_guard lock(self->mutex_);
        Handle* waiting = self->Find(ticket);
        if (waiting == nullptr || waiting->phase != Phase::kWaiting) return;
        waiting->phase = Phase::kReady;
        self->PushReady(ticket);
      }
      self->Pump();
    };
    if (partition == nullptr) return wake();
    partition->AwaitAbove(beyond, wake);
  });
}

void LocalSubscribeSession::Shared::ArmProgress() {
  const TimerId timer =
      home().RunAt(parts_.clock.Now() + kProgressInterval, [weak = weak_from_this()] {
        if (auto self = weak.lock()) self->OnProgressTimer();
      });
  std::lock_guard lock(mutex_);
  progress_timer_ = timer;
}

void LocalSubscribeSession::Shared::OnProgressTimer() {
  {
    std::lock_guard lock(mutex_);
    if (events_ == nullptr) return;
    for (const auto& [id, handle] : handles_)
      if (handle.phase == Phase::kWaiting)
        events_->OnProgress(id, handle.generation, handle.next_offset, handle.bounds);
  }
  ArmProgress();
}

// --- Session
// --------------------------------------------------------------------------------------

LocalSubscribeSession::LocalSubscribeSession(const LocalServiceParts& parts,
                                             SubscribeOptions options, MemoryPermit permit,
                                             SubscribeEvents& events) {
  const size_t asked = options.max_message_bytes == 0 ? limits::kMaxSubscribeMessageBytes
                                                      : options.max_message_bytes;
  shared_ = std::make_shared<Shared>(parts, std::min<size_t>(asked, limits::kMaxFetchBytes),
                                     std::move(permit), events);
  shared_->ArmProgress();
}

void LocalSubscribeSession::AddCredit(SessionCredit more) { shared_->AddCredit(more); }
void LocalSubscribeSession::Add(SubscribePartition partition) {
  shared_->Add(std::move(partition));
}
void LocalSubscribeSession::Seek(uint32_t handle, uint64_t generation, Position to) {
  shared_->Seek(handle, generation, std::move(to));
}
void LocalSubscribeSession::Remove(uint32_t handle) { shared_->Remove(handle); }
void LocalSubscribeSession::Close() { shared_->Close(); }

absl::StatusOr<std::unique_ptr<SubscribeSession>> LocalService::OpenSubscribe(
    RequestContext context, SubscribeOptions options, SubscribeEvents& events) {
  auto permit = parts_.gate.Admit(context, Rpc::kSubscribe, 0);
  absl::Status status = permit.ok() ? CheckFeatures(options.required_features) : permit.status();
  if (!status.ok()) {
    parts_.metrics.CountError(Rpc::kSubscribe, ReasonOf(status));
    return status;
  }
  parts_.metrics.rpc(Rpc::kSubscribe).requests.Add(1);
  return std::make_unique<LocalSubscribeSession>(parts_, std::move(options), std::move(*permit),
                                                 events);
}

}  // namespace varve::server
