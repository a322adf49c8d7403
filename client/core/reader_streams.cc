// The streams of ReaderCore: which partition is read from which broker, and what happens when that
// ends.
#include <algorithm>
#include <utility>

#include "client/core/metadata.h"
#include "client/core/reader_core.h"
#include "client/core/status_mapping.h"

namespace varve::client {

void ReaderCore::Replace(const std::vector<Assignment>& assignments,
                         const std::vector<ReadEpoch>& epochs) {
  if (closed_) return;
  DropLinks();
  subscriptions_.clear();
  for (size_t i = 0; i < assignments.size(); ++i) {
    auto subscription = std::make_unique<Subscription>();
    subscription->partition = assignments[i].partition;
    subscription->from = assignments[i].from;
    subscription->epoch = epochs[i];
    Subscription& added = *subscription;
    subscriptions_[epochs[i]] = std::move(subscription);
    Attach(added);
  }
}

void ReaderCore::Restart(ReadEpoch old_epoch, ReadEpoch new_epoch, StartPosition to) {
  const auto at = subscriptions_.find(old_epoch);
  if (at == subscriptions_.end()) return;
  std::unique_ptr<Subscription> moved = std::move(at->second);
  subscriptions_.erase(at);
  Subscription& subscription = *moved;
  subscriptions_[new_epoch] = std::move(moved);
  subscription.epoch = new_epoch;
  subscription.from = to;
  subscription.next_offset = -1;
  subscription.ended = false;
  subscription.waiting = false;  // what it waited for was for the old epoch
  if (subscription.link != nullptr) {
    subscription.link->Seek(subscription);
  } else {
    Attach(subscription);
  }
}

void ReaderCore::Attach(Subscription& subscription) {
  if (subscription.link != nullptr || subscription.waiting || subscription.ended) return;
  const auto info = core_->metadata().Find(subscription.partition.topic);
  const uint32_t number = subscription.partition.partition;
  if (info == nullptr || number >= info->leaders.size() || info->leaders[number].empty()) {
    return SeekLeader(subscription);
  }
  const std::string& address = info->leaders[number];
  Route& route = routes_[address];
  if (route.link != nullptr) return route.link->Add(subscription);
  if (const Nanos wait = route.not_before - core_->Now(); wait > 0) {
    subscription.waiting = true;
    return AfterFor(wait, subscription.epoch, [](ReaderCore& self, Subscription& again) {
      again.waiting = false;
      self.Attach(again);
    });
  }
  route.link = std::make_shared<SubscribeLink>(*core_, address, options_.isolation, this);
  route.link->Start(
      subscription,
      std::max<int64_t>(1, static_cast<int64_t>(options_.window_bytes) - route.held_bytes),
      std::max<int64_t>(1, static_cast<int64_t>(options_.window_records) - route.held_records));
  ArmWatch();
}

void ReaderCore::SeekLeader(Subscription& subscription) {
  subscription.waiting = true;
  const Nanos delay = subscription.failures == 0 ? 0 : core_->BackoffFor(subscription.failures);
  // A broker that is cut off from the others knows of no leader for as long.
  if (subscription.failures % kFailuresPerBroker == kFailuresPerBroker - 1)
    core_->AskSomebodyElse("");
  ++subscription.failures;
  AfterFor(delay, subscription.epoch, [](ReaderCore& self, Subscription& again) {
    self.core_->metadata().Refresh(
        again.partition.topic, [weak = self.weak_from_this(), epoch = again.epoch](
                                   const Status& status, std::shared_ptr<const TopicInfo> info) {
          const std::shared_ptr<ReaderCore> alive = weak.lock();
          Subscription* found = alive ? alive->Find(epoch) : nullptr;
          if (found == nullptr) return;
          found->waiting = false;
          alive->inbox_->SetTrouble(status);
          if (!status.ok() && !status.retryable()) return alive->Fail(*found, status);
          if (info && found->partition.partition >= info->leaders.size() &&
              !info->leaders.empty()) {
            return alive->Fail(*found, Error(Reason::UNKNOWN_PARTITION, "the topic has ",
                                             info->leaders.size(), " partitions"));
          }
          alive->Attach(*found);
        });
  });
}

void ReaderCore::Fail(Subscription& subscription, const Status& status) {
  subscription.ended = true;
  InboxItem item;
  item.epoch = subscription.epoch;
  item.error = status;
  inbox_->Push(std::move(item));
  Deliver();
}

void ReaderCore::OnReceived(SubscribeLink& link, Subscription& subscription, InboxItem item,
                            int64_t high_watermark, int64_t log_start) {
  Route& route = routes_[link.address()];
  route.failures = 0;
  subscription.failures = 0;
  ArmWatch();
  if (item.batches) {
    route.held_bytes += static_cast<int64_t>(item.batches->size());
    route.held_records += item.records;
  }
  inbox_->SetTrouble(Status());
  inbox_->NoteLog(subscription.epoch, high_watermark, log_start);
  inbox_->Push(std::move(item));
  Deliver();
}

void ReaderCore::OnStale(SubscribeLink& link, int64_t bytes, int64_t records) {
  ++stale_;
  Route& route = routes_[link.address()];
  route.held_bytes += bytes;
  route.held_records += records;
  TakeBack(link.address(), bytes, records);
}

void ReaderCore::TakeBack(const std::string& address, int64_t bytes, int64_t records) {
  Route& route = routes_[address];
  route.held_bytes -= bytes;
  route.held_records -= records;
  if (route.link == nullptr) return;  // the next link begins with it
  route.link->ReturnCredit(bytes, records, static_cast<int64_t>(options_.window_bytes),
                           options_.window_records);
}

void ReaderCore::OnEnded(Subscription& subscription, const Status& status) {
  if (!status.ok() && !status.retryable()) return Fail(subscription, status);
  const std::string leader(status.Detail("leader_address"));
  core_->metadata().NoteLeader(subscription.partition.topic, subscription.partition.partition,
                               leader);
  if (!status.ok()) inbox_->SetTrouble(status);
  // A named leader is tried at once; two brokers that name each other are not tried in a loop.
  if (!leader.empty() && ++subscription.failures == 1) return Attach(subscription);
  subscription.failures = std::max(subscription.failures, 1u);
  SeekLeader(subscription);
}

void ReaderCore::OnClosed(SubscribeLink& link, const Status& status,
                          const std::vector<Subscription*>& left) {
  ++reconnects_;
  core_->Log(LogLevel::kWarning, StrCat("subscribe stream to ", std::string_view(link.address()),
                                        " ended: ", status.message()));
  inbox_->SetTrouble(status);
  Route& route = routes_[link.address()];
  if (route.link.get() == &link) {
    route.link = nullptr;
    route.not_before = core_->Now() + core_->BackoffFor(++route.failures);
  }
  for (Subscription* subscription : left) {
    core_->metadata().ForgetLeader(subscription->partition.topic,
                                   subscription->partition.partition);
    // A broker that refuses the whole stream for good refuses its partitions.
    if (!status.retryable() && status.reason() != "INTERNAL") {
      Fail(*subscription, status);
    } else {
      Attach(*subscription);
    }
  }
}

}  // namespace varve::client
