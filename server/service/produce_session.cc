#include "server/service/produce_session.h"

#include <utility>

#include "common/error.h"
#include "common/limits.h"

namespace varve::server {

LocalProduceSession::LocalProduceSession(const LocalServiceParts& parts, RequestContext context,
                                         MemoryPermit permit, ProduceEvents& events)
    : parts_(parts), context_(std::move(context)), shared_(std::make_shared<Shared>(events)) {
  shared_->permit = std::move(permit);
  parts_.metrics.produce_sessions.fetch_add(1, std::memory_order_relaxed);
}

void LocalProduceSession::Close() {
  if (std::exchange(closed_, true)) return;
  std::lock_guard lock(shared_->mutex);
  shared_->events = nullptr;
  shared_->permit = MemoryPermit();
  parts_.metrics.produce_sessions.fetch_sub(1, std::memory_order_relaxed);
}

LocalProduceSession::Slot LocalProduceSession::Shared::Take(uint64_t request_id, Lane lane,
                                                            size_t bytes, bool* overdrawn) {
  std::lock_guard lock(mutex);
  *overdrawn = credit.bytes <= 0 || credit.records <= 0;
  credit.bytes -= static_cast<int64_t>(bytes);
  credit.records -= 1;
  auto slot = std::make_shared<Waiting>(Waiting{request_id, lane, bytes, std::nullopt, {}});
  lanes[lane].push_back(slot);
  return slot;
}

// Acknowledges in the order of the lane's batches: a decided one waits for those before it.
void LocalProduceSession::Shared::Ack(const Slot& slot, ProduceResult result) {
  std::lock_guard lock(mutex);
  slot->result = std::move(result);
  slot->memory = MemoryPermit();
  const auto lane = lanes.find(slot->lane);
  auto& queue = lane->second;
  SessionCredit back;
  while (!queue.empty() && queue.front()->result) {
    back.bytes += static_cast<int64_t>(queue.front()->bytes);
    back.records += 1;
    if (events != nullptr) events->OnAck(queue.front()->request_id, *queue.front()->result);
    queue.pop_front();
  }
  if (queue.empty()) lanes.erase(lane);
  credit.bytes += back.bytes;
  credit.records += back.records;
  if (events != nullptr && back.records > 0) events->OnCredit(back);
}

// Answers are posted, so that the door is never called from within its own call.
void LocalProduceSession::Open(uint32_t handle, std::string name, Acks acks,
                               std::vector<std::string> required_features) {
  const TopicRef topic = parts_.catalogue.Find(name);
  absl::Status status = CheckFeatures(required_features);
  if (status.ok() && topics_.contains(handle))
    status = MakeError(Reason::INVALID_REQUEST, "handle ", handle, " is open already");
  if (status.ok() && topics_.size() >= kMaxOpenTopics)
    status = MakeError(Reason::OVERLOADED, "the stream has ", kMaxOpenTopics, " topics open");
  if (status.ok() && !topic) status = UnknownTopic(name);
  if (status.ok()) topics_[handle] = {topic, parts_.metrics.Topic(name)};
  const bool first = !std::exchange(credit_announced_, true);
  parts_.host.ShardOf(kMetadataGroup).Post([shared = shared_, handle, topic, status, first] {
    std::lock_guard lock(shared->mutex);
    if (shared->events == nullptr) return;
    if (first) shared->events->OnCredit(kInitialCredit);
    if (!status.ok()) return shared->events->OnOpened(handle, status);
    const uint32_t max_batch = topic->config.max_batch_bytes;
    shared->events->OnOpened(
        handle,
        ProduceEvents::Opened{
            topic->id, static_cast<uint32_t>(topic->partitions.size()),
            max_batch == 0 ? static_cast<uint32_t>(limits::kDefaultBatchBytes) : max_batch});
  });
}

void LocalProduceSession::Append(uint64_t request_id, uint32_t handle, PartitionId partition,
                                 FrameBuffer batch) {
  bool overdrawn = false;
  const Slot slot =
      shared_->Take(request_id, {handle, partition}, batch.payload_bytes(), &overdrawn);
  if (overdrawn)
    return Refuse(slot,
                  MakeError(Reason::OVERLOADED, "the stream has more under way than its credit"));
  const auto at = topics_.find(handle);
  if (at == topics_.end())
    return Refuse(slot, MakeError(Reason::INVALID_REQUEST, "handle ", handle, " was not opened"));
  const TopicEntry& topic = *at->second.topic;
  if (absl::Status unknown = CheckPartition(topic, partition); !unknown.ok())
    return Refuse(slot, std::move(unknown));
  auto memory = parts_.gate.Reserve(slot->bytes);
  if (!memory.ok()) return Refuse(slot, memory.status());
  slot->memory = std::move(*memory);
  const auto summary = CheckBatch(topic, batch.payload_view(), parts_.clock.Wall());
  if (!summary.ok()) {
    parts_.metrics.batches_refused.Add(1);
    return Refuse(slot, summary.status());
  }
  Submit(slot, at->second, partition, std::move(batch),
         static_cast<uint32_t>(summary->record_count));
}

// Posted, so that the door is never called from within its own call.
void LocalProduceSession::Refuse(const Slot& slot, absl::Status status) {
  parts_.metrics.CountError(Rpc::kProduceStream, ReasonOf(status));
  parts_.host.ShardOf(kMetadataGroup).Post([shared = shared_, slot, status = std::move(status)] {
    shared->Ack(slot, {.status = status, .partition = slot->lane.second});
  });
}

void LocalProduceSession::Submit(const Slot& slot, const Topic& topic, PartitionId partition,
                                 FrameBuffer batch, uint32_t records) {
  const GroupId group = topic.topic->partitions[partition.value()].group;
  const MonoTime began = parts_.clock.Now();
  parts_.host.With(group, [shared = shared_, group, &host = parts_.host, cells = topic.cells,
                           &metrics = parts_.metrics, &clock = parts_.clock, slot, partition,
                           batch = std::move(batch), records, began](Partition* target) mutable {
    if (target == nullptr)
      return shared->Ack(slot, {.status = host.WhyMissing(group), .partition = partition});
    target->Append(std::move(batch), records,
                   [shared, cells, &metrics, &clock, slot, partition, records,
                    began](absl::StatusOr<AppendOutcome> outcome) {
                     if (!outcome.ok()) {
                       metrics.CountError(Rpc::kProduceStream, ReasonOf(outcome.status()));
                       return shared->Ack(slot,
                                          {.status = outcome.status(), .partition = partition});
                     }
                     cells->records_in.Add(records);
                     cells->bytes_in.Add(slot->bytes);
                     cells->batches_in.Add(1);
                     metrics.produce_latency.Observe(clock.Now() - began);
                     shared->Ack(slot, {absl::OkStatus(), partition, outcome->base_offset,
                                        outcome->append_time, outcome->leader_epoch});
                   });
  });
}

absl::StatusOr<std::unique_ptr<ProduceSession>> LocalService::OpenProduce(RequestContext context,
                                                                          ProduceEvents& events) {
  auto permit = parts_.gate.Admit(context, Rpc::kProduceStream, 0);
  if (!permit.ok()) {
    parts_.metrics.CountError(Rpc::kProduceStream, ReasonOf(permit.status()));
    return permit.status();
  }
  parts_.metrics.rpc(Rpc::kProduceStream).requests.Add(1);
  return std::make_unique<LocalProduceSession>(parts_, std::move(context), std::move(*permit),
                                               events);
}

}  // namespace varve::server
