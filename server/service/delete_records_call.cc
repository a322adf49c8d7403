// LocalService::DeleteRecords: moves log starts up, by a Trim entry of each partition.
#include <mutex>
#include <utility>

#include "common/error.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

struct DeletionsGathering {
  std::mutex mutex;
  DeleteRecordsReply reply;
  size_t left = 0;
  std::shared_ptr<PendingReply<DeleteRecordsReply>> pending;

  void Set(size_t item, absl::StatusOr<Offset> log_start) {
    std::unique_lock lock(mutex);
    DeleteRecordsResult& result = reply.results[item];
    result.status = log_start.status();
    if (log_start.ok()) result.log_start = *log_start;
    if (--left > 0) return;
    DeleteRecordsReply out = std::move(reply);
    lock.unlock();
    pending->Answer(std::move(out));
  }
};

}  // namespace

void LocalService::DeleteRecords(RequestContext context, DeleteRecordsRequest request,
                                 Reply<DeleteRecordsReply> reply) {
  auto pending =
      Admit(context, Rpc::kDeleteRecords, 0, request.required_features, std::move(reply));
  if (!pending) return;
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  if (absl::Status refused = CheckItemCount(request.items.size()); !refused.ok())
    return home.Post([pending, refused] { pending->Answer(refused); });
  auto gathering = std::make_shared<DeletionsGathering>();
  gathering->pending = std::move(pending);
  gathering->left = request.items.size();
  for (const DeleteRecordsItem& item : request.items) {
    gathering->reply.results.emplace_back();
    gathering->reply.results.back().topic = item.topic;
    gathering->reply.results.back().partition = item.partition;
  }
  for (size_t i = 0; i < request.items.size(); ++i) {
    const DeleteRecordsItem& item = request.items[i];
    const auto group = parts_.catalogue.FindGroup(item.topic, item.partition);
    if (!group.ok()) {
      home.Post([gathering, i, status = group.status()] { gathering->Set(i, status); });
      continue;
    }
    parts_.host.With(*group, [gathering, i, group = *group, &host = parts_.host,
                              before = item.before](Partition* found) {
      if (found == nullptr) return gathering->Set(i, host.WhyMissing(group));
      found->TrimTo(before, [gathering, i](absl::StatusOr<Offset> log_start) {
        gathering->Set(i, std::move(log_start));
      });
    });
  }
}

}  // namespace varve::server
