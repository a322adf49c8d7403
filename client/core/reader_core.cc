#include "client/core/reader_core.h"

#include <utility>

#include "client/core/blocking.h"
#include "client/core/status_mapping.h"

namespace varve::client {

ReaderCore::ReaderCore(std::shared_ptr<ClientCore> core, ReaderOptions options)
    : core_(std::move(core)), options_(std::move(options)) {}

void ReaderCore::Start() {
  inbox_ = std::make_unique<ReaderInbox>(
      options_.poll_bytes,
      [weak = weak_from_this()](const std::string& address, int64_t bytes, int64_t records) {
        if (const std::shared_ptr<ReaderCore> self = weak.lock()) {
          self->Post([address, bytes, records](ReaderCore& core) {
            core.TakeBack(address, bytes, records);
          });
        }
      });
  inbox_->OnBadData([weak = weak_from_this()](ReadEpoch epoch) {
    if (const std::shared_ptr<ReaderCore> self = weak.lock()) {
      self->Post([epoch](ReaderCore& core) {
        Subscription* subscription = core.Find(epoch);
        if (subscription == nullptr) return;
        if (subscription->link) subscription->link->Remove(*subscription);
        subscription->ended = true;
      });
    }
  });
}

void ReaderCore::DropLinks() {
  for (auto& [address, route] : routes_) {
    if (route.link) route.link->Abandon();
    route.link = nullptr;
  }
}

void ReaderCore::Post(std::function<void(ReaderCore&)> task) {
  core_->executor().Post([weak = weak_from_this(), task = std::move(task)] {
    if (const std::shared_ptr<ReaderCore> self = weak.lock()) task(*self);
  });
}

void ReaderCore::After(Nanos delay, std::function<void(ReaderCore&)> task) {
  core_->RunAfter(delay, [weak = weak_from_this(), task = std::move(task)] {
    if (const std::shared_ptr<ReaderCore> self = weak.lock()) task(*self);
  });
}

void ReaderCore::AfterFor(Nanos delay, ReadEpoch epoch,
                          std::function<void(ReaderCore&, Subscription&)> task) {
  After(delay, [epoch, task = std::move(task)](ReaderCore& self) {
    if (Subscription* subscription = self.Find(epoch)) task(self, *subscription);
  });
}

Subscription* ReaderCore::Find(ReadEpoch epoch) {
  const auto at = subscriptions_.find(epoch);
  return at == subscriptions_.end() ? nullptr : at->second.get();
}

void ReaderCore::Assign(std::vector<Assignment> assignments) {
  std::vector<ReadEpoch> epochs = inbox_->Assign(assignments);
  Post([assignments = std::move(assignments), epochs = std::move(epochs)](ReaderCore& self) {
    self.Replace(assignments, epochs);
  });
}

Status ReaderCore::Seek(const TopicPartition& partition, StartPosition to) {
  const auto epochs = inbox_->Restart(partition);
  if (!epochs) {
    return Error(Reason::INVALID_REQUEST, "partition ", partition.partition, " of topic \"",
                 std::string_view(partition.topic), "\" is not assigned");
  }
  Post([epochs, to](ReaderCore& self) { self.Restart(epochs->first, epochs->second, to); });
  return {};
}

void ReaderCore::SetCallback(Reader::RecordsCallback callback) {
  Post([callback = std::move(callback)](ReaderCore& self) {
    self.callback_ = callback;
    self.Deliver();
  });
}

void ReaderCore::Close() {
  if (closed_.exchange(true)) return;
  inbox_->Close();
  // Owned by the task until it has run, but no longer: this object, and with it perhaps the
  // executor, should end on the caller's thread.
  auto done = std::make_shared<Answer<bool>>();
  core_->executor().Post([self = shared_from_this(), done]() mutable {
    self->callback_ = nullptr;
    self->subscriptions_.clear();
    self->DropLinks();
    self.reset();
    done->Set(true);
  });
  // The executor is late only while a callback blocks it.
  if (!core_->executor().InExecutor()) done->Wait(200 * kMillisecond);
}

ReaderStats ReaderCore::stats() const {
  ReaderStats out;
  out.records = inbox_->records_returned();
  out.batch_bytes = inbox_->bytes_returned();
  out.stale_messages = stale_;
  out.reconnects = reconnects_;
  return out;
}

// One Poll a task, so that a busy reader leaves the executor to others in between.
void ReaderCore::Deliver() {
  if (!callback_ || delivering_ || !inbox_->HasItems()) return;
  delivering_ = true;
  Post([](ReaderCore& self) {
    self.delivering_ = false;
    if (!self.callback_ || !self.inbox_->HasItems()) return;
    Result<Records> records = self.inbox_->Poll(std::chrono::milliseconds(0));
    const Reader::RecordsCallback callback = self.callback_;  // it may replace itself
    if (!records.ok() || !records->empty()) callback(std::move(records));
    self.Deliver();
  });
}

}  // namespace varve::client
