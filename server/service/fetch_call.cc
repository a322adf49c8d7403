// LocalService::Fetch: read each partition; when there is too little, wait for more, then read once
// more.
#include <algorithm>
#include <atomic>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/service/batch_intake.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

constexpr uint32_t kDefaultFetchBytes = 1 * limits::kMiB;
// An answer leaves this long before the caller's deadline, so that it still arrives.
constexpr Nanos kAnswerMargin = 50 * kMillisecond;

// One fetch under way. All fields but those guarded are constant after Begin.
class FetchCall : public std::enable_shared_from_this<FetchCall> {
 public:
  FetchCall(const LocalServiceParts& parts, FetchRequest request,
            std::shared_ptr<PendingReply<FetchReply>> pending)
      : parts_(parts), request_(std::move(request)), pending_(std::move(pending)) {
    if (request_.max_bytes == 0) request_.max_bytes = kDefaultFetchBytes;
    request_.max_bytes = std::min<uint32_t>(request_.max_bytes, limits::kMaxFetchBytes);
  }

  void Begin(MonoTime deadline) {
    give_up_ =
        std::min(parts_.clock.Now() + static_cast<Nanos>(request_.max_wait_ms) * kMillisecond,
                 deadline - kAnswerMargin);
    Round();
  }

 private:
  // Reads every partition once; a fetch has at most two rounds.
  void Round() {
    {
      std::lock_guard lock(mutex_);
      results_.assign(request_.partitions.size(), {});
      left_ = request_.partitions.size();
      bytes_ = 0;
    }
    // The whole limit may be needed by the first partition that has data; the next ones share what
    // is left.
    for (size_t i = 0; i < request_.partitions.size(); ++i) ReadOne(i);
  }

  void ReadOne(size_t i) {
    const FetchPartition& asked = request_.partitions[i];
    const TopicRef topic = parts_.catalogue.Find(asked.topic);
    absl::Status status;
    if (!topic)
      status = MakeError(Reason::UNKNOWN_TOPIC, "topic \"", asked.topic, "\" does not exist");
    else if (asked.partition.value() >= topic->partitions.size())
      status = MakeError(Reason::UNKNOWN_PARTITION, "topic \"", asked.topic, "\" has ",
                         topic->partitions.size(), " partitions, not ", asked.partition);
    if (!status.ok()) {
      return parts_.host.ShardOf(kMetadataGroup).Post([self = shared_from_this(), i, status] {
        self->Set(i, status);
      });
    }
    const size_t share = request_.max_bytes / request_.partitions.size();
    const size_t limit = asked.max_bytes == 0
                             ? std::max<size_t>(share, 1)
                             : std::min<size_t>(asked.max_bytes, request_.max_bytes);
    parts_.host.With(topic->partitions[asked.partition.value()].group,
                     [self = shared_from_this(), i, limit](Partition* partition) {
                       if (partition == nullptr)
                         return self->Set(i, self->parts_.host.WhyMissing());
                       partition->Read(self->request_.partitions[i].offset, limit,
                                       [self, i](absl::StatusOr<ReadOutcome> outcome) {
                                         self->Set(i, std::move(outcome));
                                       });
                     });
  }

  void Set(size_t i, absl::StatusOr<ReadOutcome> outcome) {
    FetchResult result;
    result.topic = request_.partitions[i].topic;
    result.partition = request_.partitions[i].partition;
    result.next_offset = request_.partitions[i].offset;
    size_t bytes = 0;
    if (outcome.ok()) {
      for (const Entry& entry : outcome->entries) bytes += entry.header.payload_bytes;
      result.next_offset = outcome->next_offset;
      result.bounds = outcome->bounds;
      result.leader_epoch = outcome->leader_epoch;
      result.entries = std::move(outcome->entries);
    } else {
      result.status = outcome.status();
    }
    std::unique_lock lock(mutex_);
    failed_ = failed_ || !result.status.ok();
    results_[i] = std::move(result);
    bytes_ += bytes;
    if (--left_ > 0) return;
    const bool enough = failed_ || bytes_ >= request_.min_bytes || waited_ ||
                        request_.max_wait_ms == 0 || parts_.clock.Now() >= give_up_;
    lock.unlock();
    if (enough) return Finish();
    Wait();
  }

  // One waiter per partition and a timer; the first of them starts the second round.
  void Wait() {
    waited_ = true;
    // A wake may begin the second round while this loop still runs: take what it needs first.
    struct Place {
      GroupId group;
      Offset beyond;
    };
    std::vector<Place> places;
    for (size_t i = 0; i < request_.partitions.size(); ++i) {
      const TopicRef topic = parts_.catalogue.Find(request_.partitions[i].topic);
      const uint32_t number = request_.partitions[i].partition.value();
      if (topic && number < topic->partitions.size())
        places.push_back({topic->partitions[number].group, results_[i].next_offset});
    }
    auto woken = std::make_shared<std::atomic<bool>>(false);
    const auto wake = [self = shared_from_this(), woken] {
      if (!woken->exchange(true)) self->Round();
    };
    parts_.host.ShardOf(kMetadataGroup).RunAt(give_up_, wake);
    for (const Place& place : places) {
      parts_.host.With(place.group, [self = shared_from_this(), wake, place](Partition* partition) {
        if (partition == nullptr) return wake();
        self->KeepWaiter(partition, place.beyond, wake);
      });
    }
  }

  // On the partition's shard. A waiter that outlives the fetch is cancelled by its timer.
  void KeepWaiter(Partition* partition, Offset beyond, absl::AnyInvocable<void()> wake) {
    const auto waiter = partition->AwaitAbove(beyond, std::move(wake));
    partition->shard().RunAt(give_up_, [&host = parts_.host, group = partition->group(), waiter] {
      if (Partition* p = host.Find(group)) p->CancelWait(waiter);
    });
  }

  void Finish() {
    FetchReply reply;
    reply.results = std::move(results_);
    if (request_.plain_records) {
      for (size_t i = 0; i < reply.results.size(); ++i) {
        FetchResult& result = reply.results[i];
        auto records = DecodePlainRecords(result.entries, request_.partitions[i].offset,
                                          request_.max_bytes, &result.next_offset);
        result.entries.clear();
        if (records.ok())
          result.records = std::move(*records);
        else
          result.status = records.status();
      }
    }
    Count(reply);
    pending_->Answer(std::move(reply));
  }

  void Count(const FetchReply& reply) {
    for (const FetchResult& result : reply.results) {
      if (result.entries.empty() && result.records.empty()) continue;
      auto cells = parts_.metrics.Topic(result.topic);
      for (const Entry& entry : result.entries) {
        cells->bytes_out.Add(entry.header.payload_bytes);
        cells->records_out.Add(
            static_cast<uint64_t>(entry.header.next_offset() - entry.header.base_offset));
      }
      cells->records_out.Add(result.records.size());
    }
  }

  const LocalServiceParts& parts_;
  FetchRequest request_;
  const std::shared_ptr<PendingReply<FetchReply>> pending_;
  MonoTime give_up_;
  std::mutex mutex_;  // guards results_, left_, bytes_, failed_ while a round is under way
  std::vector<FetchResult> results_;
  size_t left_ = 0;
  size_t bytes_ = 0;
  bool failed_ = false;
  bool waited_ = false;  // between rounds nothing else runs
};

}  // namespace

void LocalService::Fetch(RequestContext context, FetchRequest request, Reply<FetchReply> reply) {
  auto pending = Admit(context, Rpc::kFetch, 0, request.required_features, std::move(reply));
  if (!pending) return;
  absl::Status status;
  if (request.partitions.empty())
    status = MakeError(Reason::INVALID_REQUEST, "the request names no partition");
  else if (request.partitions.size() > limits::kMaxRequestItems)
    status = MakeError(Reason::REQUEST_TOO_LARGE, "the request names ", request.partitions.size(),
                       " partitions, more than ", limits::kMaxRequestItems);
  if (!status.ok()) {
    return parts_.host.ShardOf(kMetadataGroup).Post([pending, status] { pending->Answer(status); });
  }
  std::make_shared<FetchCall>(parts_, std::move(request), std::move(pending))
      ->Begin(context.deadline);
}

}  // namespace varve::server
