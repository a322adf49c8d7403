// LocalService::Produce: validate each item here, append on its shard, answer when all are decided.
#include <atomic>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/service/batch_intake.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

size_t BytesOf(const ProduceRequest& request) {
  size_t bytes = 0;
  for (const ProduceItem& item : request.items) {
    if (const auto* batch = std::get_if<FrameBuffer>(&item.data)) {
      bytes += batch->payload_bytes();
      continue;
    }
    for (const PlainRecord& record : std::get<std::vector<PlainRecord>>(item.data)) {
      bytes += sizeof record + (record.key ? record.key->size() : 0) +
               (record.value ? record.value->size() : 0);
      for (const auto& [key, value] : record.headers)
        bytes += sizeof record.headers.front() + key.size() + (value ? value->size() : 0);
    }
  }
  return bytes;
}

// The results of one request, filled in from several shards.
struct Gathering {
  std::mutex mutex;
  ProduceReply reply;
  size_t left = 0;
  std::shared_ptr<PendingReply<ProduceReply>> pending;

  void Set(size_t item, ProduceResult result) {
    std::unique_lock lock(mutex);
    reply.results[item] = std::move(result);
    if (--left > 0) return;
    ProduceReply out = std::move(reply);
    lock.unlock();
    pending->Answer(std::move(out));
  }
};

struct ReadyItem {
  PartitionId partition;
  FrameBuffer batch;
  uint32_t records = 0;
};

absl::StatusOr<ReadyItem> Prepare(const TopicEntry& topic, ProduceItem item, WallTime now,
                                  uint64_t sticky) {
  ReadyItem out;
  if (auto* records = std::get_if<std::vector<PlainRecord>>(&item.data)) {
    out.partition = item.partition ? *item.partition : ChoosePartition(topic, *records, sticky);
    VARVE_ASSIGN_OR_RETURN(out.batch, BuildBatch(topic, *records, now));
    out.records = static_cast<uint32_t>(records->size());
  } else {
    if (!item.partition)
      return MakeError(Reason::INVALID_REQUEST,
                       "an item with an opaque batch must name its partition");
    out.partition = *item.partition;
    out.batch = std::move(std::get<FrameBuffer>(item.data));
  }
  VARVE_RETURN_IF_ERROR(CheckPartition(topic, out.partition));
  if (out.records == 0) {
    VARVE_ASSIGN_OR_RETURN(const BatchSummary summary,
                           CheckBatch(topic, out.batch.payload_view(), now));
    out.records = static_cast<uint32_t>(summary.record_count);
  }
  return out;
}

}  // namespace

void LocalService::Produce(RequestContext context, ProduceRequest request,
                           Reply<ProduceReply> reply) {
  auto pending =
      Admit(context, Rpc::kProduce, BytesOf(request), request.required_features, std::move(reply));
  if (!pending) return;
  const auto refuse = [&](absl::Status status) {
    parts_.host.ShardOf(kMetadataGroup).Post([pending, status = std::move(status)] {
      pending->Answer(status);
    });
  };
  if (absl::Status status = CheckItemCount(request.items.size()); !status.ok())
    return refuse(std::move(status));
  const TopicRef topic = parts_.catalogue.Find(request.topic);
  if (!topic) return refuse(UnknownTopic(request.topic));

  auto cells = parts_.metrics.Topic(topic->name);
  auto gathering = std::make_shared<Gathering>();
  gathering->pending = std::move(pending);
  gathering->left = request.items.size();
  gathering->reply.results.resize(request.items.size());
  const MonoTime began = parts_.clock.Now();
  const uint64_t sticky = static_cast<uint64_t>(began.value()) / kMillisecond;
  for (size_t i = 0; i < request.items.size(); ++i) {
    // Decompressing takes time: nobody waits for it after the deadline, or when the caller is gone.
    if (gathering->pending->answered()) return;
    auto item = Prepare(*topic, std::move(request.items[i]), parts_.clock.Wall(), sticky);
    if (!item.ok()) {
      parts_.metrics.batches_refused.Add(1);
      parts_.host.ShardOf(kMetadataGroup).Post([gathering, i, status = item.status()] {
        gathering->Set(i, {.status = status});
      });
      continue;
    }
    const GroupId group = topic->partitions[item->partition.value()].group;
    parts_.host.With(group, [this, gathering, i, cells, began, group,
                             item = std::move(*item)](Partition* partition) mutable {
      const PartitionId number = item.partition;
      if (partition == nullptr)
        return gathering->Set(i, {.status = parts_.host.WhyMissing(group), .partition = number});
      const uint64_t bytes = item.batch.payload_bytes();
      const uint32_t records = item.records;
      partition->Append(std::move(item.batch), records,
                        [this, gathering, i, cells, began, bytes, records,
                         number](absl::StatusOr<AppendOutcome> outcome) {
                          if (!outcome.ok())
                            return gathering->Set(
                                i, {.status = outcome.status(), .partition = number});
                          cells->records_in.Add(records);
                          cells->bytes_in.Add(bytes);
                          cells->batches_in.Add(1);
                          parts_.metrics.produce_latency.Observe(parts_.clock.Now() - began);
                          gathering->Set(i, {absl::OkStatus(), number, outcome->base_offset,
                                             outcome->append_time, outcome->leader_epoch});
                        });
    });
  }
}

}  // namespace varve::server
