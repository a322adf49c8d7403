// LocalService::DeleteRecords: moves log starts up, by a Trim entry of each partition.
#include <mutex>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
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

absl::Status CheckItems(const DeleteRecordsRequest& request) {
  if (request.items.empty()) return MakeError(Reason::INVALID_REQUEST, "the request has no items");
  if (request.items.size() > limits::kMaxRequestItems)
    return MakeError(Reason::REQUEST_TOO_LARGE, "the request has ", request.items.size(),
                     " items, more than ", limits::kMaxRequestItems);
  return absl::OkStatus();
}

}  // namespace

void LocalService::DeleteRecords(RequestContext context, DeleteRecordsRequest request,
                                 Reply<DeleteRecordsReply> reply) {
  auto pending =
      Admit(context, Rpc::kDeleteRecords, 0, request.required_features, std::move(reply));
  if (!pending) return;
  Executor& home = parts_.host.ShardOf(kMetadataGroup);
  if (absl::Status refused = CheckItems(request); !refused.ok())
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
    const TopicRef topic = parts_.catalogue.Find(item.topic);
    absl::Status status;
    if (!topic)
      status = MakeError(Reason::UNKNOWN_TOPIC, "topic \"", item.topic, "\" does not exist");
    else if (item.partition.value() >= topic->partitions.size())
      status = MakeError(Reason::UNKNOWN_PARTITION, "topic \"", item.topic, "\" has ",
                         topic->partitions.size(), " partitions, not ", item.partition);
    if (!status.ok()) {
      home.Post([gathering, i, status] { gathering->Set(i, status); });
      continue;
    }
    parts_.host.With(topic->partitions[item.partition.value()].group,
                     [gathering, i, &host = parts_.host, before = item.before](Partition* found) {
                       if (found == nullptr) return gathering->Set(i, host.WhyMissing());
                       found->TrimTo(before, [gathering, i](absl::StatusOr<Offset> log_start) {
                         gathering->Set(i, std::move(log_start));
                       });
                     });
  }
}

}  // namespace varve::server
