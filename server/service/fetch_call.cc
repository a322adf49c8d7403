// LocalService::Fetch: read each partition; while there is too little, wait for more and read
// again.
#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/limits.h"
#include "server/service/batch_intake.h"
#include "server/service/local_service.h"

namespace varve::server {
namespace {

constexpr uint32_t kDefaultFetchBytes = 1 * limits::kMiB;
// An answer leaves this long before the caller's deadline, so that it still arrives.
constexpr Nanos kAnswerMargin = 50 * kMillisecond;
// Rounds of one fetch lie so far apart from the second on: many small commits must not make it read
// the same bytes for each of them.
constexpr Nanos kRoundInterval = 10 * kMillisecond;

// One fetch under way. A round reads one partition after another, so that what it holds in memory
// stays within the limit and nothing but the waiting needs a lock.
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
    home().Post([self = shared_from_this()] { self->Round(); });
    // A caller that goes away, or a deadline, leaves no waiter and no timer behind.
    pending_->WhenAnswered([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->EndWait(/*for_good=*/true);
    });
  }

 private:
  struct Waiter {
    GroupId group;
    Partition::WaiterId id;
  };

  Executor& home() { return parts_.host.ShardOf(kMetadataGroup); }

  // Reads every partition once.
  void Round() {
    round_began_ = parts_.clock.Now();
    auto permit = parts_.gate.Reserve(request_.max_bytes);
    if (!permit.ok()) return pending_->Answer(permit.status());
    memory_ = std::move(*permit);
    results_.clear();
    bytes_ = 0;
    full_ = false;
    ReadNext();
  }

  // On any shard; what fails at once takes no turn of a shard.
  void ReadNext() {
    while (results_.size() < request_.partitions.size()) {
      if (pending_->answered()) return;
      const FetchPartition& asked = request_.partitions[results_.size()];
      const auto group = parts_.catalogue.FindGroup(asked.topic, asked.partition);
      if (group.ok()) return ReadOne(*group, asked);
      Take(group.status());
    }
    EndRound();
  }

  void ReadOne(GroupId group, const FetchPartition& asked) {
    const size_t share = std::max<size_t>(request_.max_bytes / request_.partitions.size(), 1);
    const size_t wanted = asked.max_bytes == 0 ? share : asked.max_bytes;
    const size_t limit = full_ ? 0 : std::min(wanted, request_.max_bytes - bytes_);
    parts_.host.With(group, [self = shared_from_this(), limit, group,
                             from = asked.offset](Partition* partition) {
      const auto take = [self](absl::StatusOr<ReadOutcome> outcome) {
        self->Take(std::move(outcome));
        self->ReadNext();
      };
      if (partition == nullptr) return take(self->parts_.host.WhyMissing(group));
      if (limit > 0) return partition->Read(from, limit, take);
      take(ReadOutcome{{}, from, partition->bounds(), partition->leader_epoch()});
    });
  }

  // The result of the next partition. Only the first batch of all may exceed the limit.
  void Take(absl::StatusOr<ReadOutcome> outcome) {
    const FetchPartition& asked = request_.partitions[results_.size()];
    FetchResult& result = results_.emplace_back();
    result.topic = asked.topic;
    result.partition = asked.partition;
    result.next_offset = asked.offset;
    if (!outcome.ok()) {
      failed_ = true;
      result.status = outcome.status();
      return;
    }
    result.bounds = outcome->bounds;
    result.leader_epoch = outcome->leader_epoch;
    for (Entry& entry : outcome->entries) {
      const size_t bytes = entry.header.payload_bytes;
      full_ = full_ || (bytes_ > 0 && bytes_ + bytes > request_.max_bytes);
      if (full_) break;
      bytes_ += bytes;
      result.next_offset = entry.header.next_offset();
      result.entries.push_back(std::move(entry));
    }
    full_ = full_ || bytes_ >= request_.max_bytes;
  }

  void EndRound() {
    // A round that brought nothing new was woken for what the partitions' own limits leave out.
    const bool in_vain = bytes_before_ && bytes_ <= *bytes_before_;
    const bool enough = failed_ || bytes_ >= request_.min_bytes || full_ || in_vain ||
                        request_.max_wait_ms == 0 || parts_.clock.Now() >= give_up_;
    if (enough) return Finish();
    bytes_before_ = bytes_;
    Wait();
  }

  // One waiter per partition and a timer; the first of them starts the next round.
  void Wait() {
    struct Place {
      GroupId group;
      Offset beyond;
    };
    // A wake may begin the next round while this still runs: take what it needs first.
    std::vector<Place> places;
    for (const FetchResult& result : results_)
      if (const TopicRef topic = parts_.catalogue.Find(result.topic);
          topic && result.partition.value() < topic->partitions.size())
        places.push_back({topic->partitions[result.partition.value()].group, result.next_offset});
    // Read again when there is enough: a fetch that waits holds nothing.
    results_.clear();
    memory_ = MemoryPermit();
    {
      std::lock_guard lock(mutex_);
      if (over_) return;
      waiting_ = true;
      timer_ = home().RunAt(give_up_, [self = shared_from_this()] { self->Wake(); });
    }
    for (const Place& place : places)
      parts_.host.With(place.group, [self = shared_from_this(), place](Partition* partition) {
        if (partition == nullptr) return self->Wake();
        std::lock_guard lock(self->mutex_);
        if (!self->waiting_) return;
        self->waiters_.push_back(
            {place.group, partition->AwaitAbove(place.beyond, [self] { self->Wake(); })});
      });
  }

  void Wake() {
    if (!EndWait(/*for_good=*/false)) return;
    const MonoTime next = std::min(round_began_ + kRoundInterval, give_up_);
    if (!woken_ || parts_.clock.Now() >= next) {
      woken_ = true;
      return Round();
    }
    home().RunAt(next, [self = shared_from_this()] {
      if (!self->pending_->answered()) self->Round();
    });
  }

  // True for the one who ended it. Takes back the timer and the waiters: a fetch that was woken
  // must not stay in memory for the rest of its time.
  bool EndWait(bool for_good) {
    std::vector<Waiter> waiters;
    TimerId timer;
    {
      std::lock_guard lock(mutex_);
      over_ = over_ || for_good;
      if (!std::exchange(waiting_, false)) return false;
      waiters = std::exchange(waiters_, {});
      timer = timer_;
    }
    home().Cancel(timer);
    for (const Waiter& waiter : waiters)
      parts_.host.With(waiter.group, [id = waiter.id](Partition* partition) {
        if (partition != nullptr) partition->CancelWait(id);
      });
    return true;
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
  // Of the round under way: each step of it is posted by the one before.
  MemoryPermit memory_;
  std::vector<FetchResult> results_;
  size_t bytes_ = 0;
  bool full_ = false;
  bool failed_ = false;
  bool woken_ = false;
  std::optional<size_t> bytes_before_;  // read by the round before
  MonoTime round_began_;
  std::mutex mutex_;  // guards what follows
  bool waiting_ = false;
  bool over_ = false;  // answered: there is nothing to wait for
  TimerId timer_;
  std::vector<Waiter> waiters_;
};

}  // namespace

void LocalService::Fetch(RequestContext context, FetchRequest request, Reply<FetchReply> reply) {
  auto pending = Admit(context, Rpc::kFetch, 0, request.required_features, std::move(reply));
  if (!pending) return;
  if (absl::Status status = CheckItemCount(request.partitions.size()); !status.ok()) {
    return parts_.host.ShardOf(kMetadataGroup).Post([pending, status] { pending->Answer(status); });
  }
  std::make_shared<FetchCall>(parts_, std::move(request), std::move(pending))
      ->Begin(context.deadline);
}

}  // namespace varve::server
