// LocalService::ListOffsets: start, end, or the first record appended at or after a time.
#include <mutex>
#include <utility>

#include "common/error.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

struct OffsetsGathering {
  std::mutex mutex;
  ListOffsetsReply reply;
  size_t left = 0;
  std::shared_ptr<PendingReply<ListOffsetsReply>> pending;

  void Set(size_t item, ListOffsetsResult result) {
    std::unique_lock lock(mutex);
    result.topic = std::move(reply.results[item].topic);
    result.partition = reply.results[item].partition;
    reply.results[item] = std::move(result);
    if (--left > 0) return;
    ListOffsetsReply out = std::move(reply);
    lock.unlock();
    pending->Answer(std::move(out));
  }
};

absl::Status CheckServing(const Partition& partition) {
  // A suspect replica that is alone shows what it knows to be committed.
  const bool shows = !partition.suspicion().ok() && !partition.out_of_service();
  if (partition.serving() || shows) return absl::OkStatus();
  return partition.WhyNotServing();
}

}  // namespace

void ResolvePosition(Partition& partition, const Position& position,
                     absl::AnyInvocable<void(absl::StatusOr<ResolvedOffset>)> done) {
  const auto answer = [&](absl::StatusOr<ResolvedOffset> resolved) {
    partition.shard().Post([done = std::move(done), resolved = std::move(resolved)]() mutable {
      done(std::move(resolved));
    });
  };
  if (absl::Status status = CheckServing(partition); !status.ok()) return answer(std::move(status));
  const LogBounds bounds = partition.bounds();
  if (std::holds_alternative<StartPosition>(position))
    return answer(ResolvedOffset{bounds.log_start, {}});
  if (std::holds_alternative<EndPosition>(position))
    return answer(ResolvedOffset{bounds.high_watermark, {}});
  if (const auto* offset = std::get_if<Offset>(&position)) {
    if (*offset < bounds.log_start || *offset > bounds.high_watermark)
      return answer(MakeError(Reason::OFFSET_OUT_OF_RANGE, "offset ", *offset,
                              " is outside the log, ", bounds.log_start, " to ",
                              bounds.high_watermark));
    return answer(ResolvedOffset{*offset, {}});
  }
  partition.FindAppendTime(std::get<TimePosition>(position).time,
                           [end = bounds.high_watermark, done = std::move(done)](
                               absl::StatusOr<std::optional<storage::TimeLookup>> found) mutable {
                             if (!found.ok()) return done(found.status());
                             if (!*found) return done(ResolvedOffset{end, {}});
                             done(ResolvedOffset{(*found)->offset, (*found)->append_time});
                           });
}

void LocalService::ListOffsets(RequestContext context, ListOffsetsRequest request,
                               Reply<ListOffsetsReply> reply) {
  auto pending = Admit(context, Rpc::kListOffsets, 0, request.required_features, std::move(reply));
  if (!pending) return;
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  if (absl::Status refused = CheckItemCount(request.items.size()); !refused.ok())
    return home.Post([pending, refused] { pending->Answer(refused); });

  auto gathering = std::make_shared<OffsetsGathering>();
  gathering->pending = std::move(pending);
  gathering->left = request.items.size();
  for (const ListOffsetsItem& item : request.items) {
    gathering->reply.results.emplace_back();
    gathering->reply.results.back().topic = item.topic;
    gathering->reply.results.back().partition = item.partition;
  }
  for (size_t i = 0; i < request.items.size(); ++i) {
    const ListOffsetsItem& item = request.items[i];
    const auto group = parts_.catalogue.FindGroup(item.topic, item.partition);
    absl::Status status = group.status();
    if (status.ok() && std::holds_alternative<Offset>(item.position))
      status =
          MakeError(Reason::INVALID_REQUEST, "ask for start, end or a time, not for an offset");
    if (!status.ok()) {
      home.Post([gathering, i, status] {
        ListOffsetsResult result;
        result.status = status;
        gathering->Set(i, std::move(result));
      });
      continue;
    }
    parts_.host.With(*group, [gathering, i, group = *group, &host = parts_.host,
                              position = item.position](Partition* partition) {
      ListOffsetsResult result;
      if (partition == nullptr) {
        result.status = host.WhyMissing(group);
        return gathering->Set(i, std::move(result));
      }
      result.leader_epoch = partition->leader_epoch();
      ResolvePosition(*partition, position,
                      [gathering, i, result](absl::StatusOr<ResolvedOffset> found) mutable {
                        result.status = found.status();
                        if (found.ok()) {
                          result.offset = found->offset;
                          result.append_time = found->append_time;
                        }
                        gathering->Set(i, std::move(result));
                      });
    });
  }
}

}  // namespace varve::server
