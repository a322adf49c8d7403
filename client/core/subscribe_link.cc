#include "client/core/subscribe_link.h"

#include <utility>

#include "client/core/status_mapping.h"
#include "client_wire/log.pb.h"

namespace varve::client {
namespace {

// Brings what the transport says to the executor.
class Listener : public RpcStreamListener {
 public:
  Listener(ClientCore& core, std::weak_ptr<SubscribeLink> link, std::string address)
      : mailbox_(core.mailbox()), link_(std::move(link)), address_(std::move(address)) {}

  std::unique_ptr<google::protobuf::MessageLite> NewMessage() override {
    return std::make_unique<wire::SubscribeReply>();
  }
  void OnMessage(std::unique_ptr<google::protobuf::MessageLite> message) override {
    mailbox_->Post([link = link_, message = std::move(message)] {
      const std::shared_ptr<SubscribeLink> alive = link.lock();
      if (alive) alive->OnMessage(static_cast<wire::SubscribeReply&>(*message));
    });
  }
  void OnClosed(RpcStatus status) override {
    Status why = status.code == 0 ? Error(Reason::UNAVAILABLE, "broker ",
                                          std::string_view(address_), " ended the subscribe stream")
                                  : FromRpc(status, address_);
    mailbox_->Post([link = link_, why = std::move(why)] {
      if (const std::shared_ptr<SubscribeLink> alive = link.lock()) alive->OnClosed(why);
    });
  }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  const std::weak_ptr<SubscribeLink> link_;
  const std::string address_;
};

}  // namespace

void ToWire(const StartPosition& from, wire::Position* to) {
  switch (from.kind) {
    case StartPosition::Kind::kStart:
      return to->set_start(true);
    case StartPosition::Kind::kEnd:
      return to->set_end(true);
    case StartPosition::Kind::kOffset:
      return to->set_offset(from.value);
    case StartPosition::Kind::kTime:
      return to->set_append_time_ms(from.value);
  }
}

SubscribeLink::SubscribeLink(ClientCore& core, std::string address, ReadIsolation isolation,
                             SubscribeLinkOwner* owner)
    : core_(core),
      address_(std::move(address)),
      isolation_(isolation),
      owner_(owner),
      heard_(core.Now()) {}

void SubscribeLink::Enter(Subscription& subscription, wire::SubscribePartition* message) {
  subscription.link = this;
  subscription.handle = next_handle_++;
  subscription.generation = 0;
  subscriptions_[subscription.handle] = &subscription;
  message->set_handle(subscription.handle);
  message->set_topic(subscription.partition.topic);
  message->set_partition(subscription.partition.partition);
  ToWire(subscription.Resume(), message->mutable_from());
}

void SubscribeLink::Start(Subscription& first, int64_t credit_bytes, int64_t credit_records) {
  stream_ =
      core_.connector().OpenStream(address_, "/varve.v1.LogService/Subscribe",
                                   std::make_shared<Listener>(core_, weak_from_this(), address_));
  wire::SubscribeRequest request;
  wire::SubscribeOpen* open = request.mutable_open();
  Enter(first, open->add_partitions());
  open->mutable_credit()->set_bytes(credit_bytes);
  open->mutable_credit()->set_records(credit_records);
  open->set_isolation(isolation_ == ReadIsolation::kCommitted ? wire::ISOLATION_READ_COMMITTED
                                                              : wire::ISOLATION_READ_UNCOMMITTED);
  stream_->Write({request.SerializeAsString(), nullptr});
}

void SubscribeLink::Add(Subscription& subscription) {
  wire::SubscribeRequest request;
  Enter(subscription, request.mutable_add()->mutable_partition());
  stream_->Write({request.SerializeAsString(), nullptr});
}

void SubscribeLink::Seek(Subscription& subscription) {
  wire::SubscribeRequest request;
  wire::SubscribeSeek* seek = request.mutable_seek();
  seek->set_handle(subscription.handle);
  seek->set_generation(++subscription.generation);
  ToWire(subscription.Resume(), seek->mutable_to());
  stream_->Write({request.SerializeAsString(), nullptr});
}

void SubscribeLink::Remove(Subscription& subscription) {
  wire::SubscribeRequest request;
  request.mutable_remove()->set_handle(subscription.handle);
  stream_->Write({request.SerializeAsString(), nullptr});
  subscriptions_.erase(subscription.handle);
  subscription.link = nullptr;
}

void SubscribeLink::ReturnCredit(int64_t bytes, int64_t records, int64_t window_bytes,
                                 int64_t window_records) {
  returned_bytes_ += bytes;
  returned_records_ += records;
  if (returned_bytes_ < window_bytes / 4 && returned_records_ < window_records / 4) return;
  wire::SubscribeRequest request;
  request.mutable_credit()->set_bytes(std::exchange(returned_bytes_, 0));
  request.mutable_credit()->set_records(std::exchange(returned_records_, 0));
  stream_->Write({request.SerializeAsString(), nullptr});
}

void SubscribeLink::Abandon() {
  owner_ = nullptr;
  if (stream_) stream_->Cancel();
}

void SubscribeLink::GiveUp(const Status& why) {
  if (stream_) stream_->Cancel();
  OnClosed(why);
}

Subscription* SubscribeLink::Find(uint32_t handle) {
  const auto at = subscriptions_.find(handle);
  return at == subscriptions_.end() ? nullptr : at->second;
}

void SubscribeLink::OnMessage(wire::SubscribeReply& reply) {
  if (owner_ == nullptr) return;
  heard_ = core_.Now();
  questions = 0;
  switch (reply.message_case()) {
    case wire::SubscribeReply::kOpened: {
      const wire::SubscribeOpened& opened = reply.opened();
      return News(opened.handle(), opened.generation(), opened.next_offset(),
                  opened.high_watermark(), opened.log_start());
    }
    case wire::SubscribeReply::kData:
      return OnData(reply);
    case wire::SubscribeReply::kProgress: {
      const wire::SubscribeProgress& progress = reply.progress();
      return News(progress.handle(), progress.generation(), progress.next_offset(),
                  progress.high_watermark(), progress.log_start());
    }
    case wire::SubscribeReply::kEnd:
      return OnEnd(reply);
    case wire::SubscribeReply::kRefused:
      return;  // a seek that crossed the end of its handle, which was heard already
    case wire::SubscribeReply::MESSAGE_NOT_SET:
      return;  // of a newer broker
  }
}

void SubscribeLink::News(uint32_t handle, uint64_t generation, int64_t next_offset,
                         int64_t high_watermark, int64_t log_start) {
  Subscription* subscription = Find(handle);
  if (subscription == nullptr || generation != subscription->generation) return;
  subscription->next_offset = next_offset;
  owner_->OnReceived(*this, *subscription,
                     {subscription->epoch, nullptr, 0, next_offset, Status(), address_},
                     high_watermark, log_start);
}

void SubscribeLink::OnData(wire::SubscribeReply& reply) {
  wire::SubscribeData& data = *reply.mutable_data();
  const auto bytes = static_cast<int64_t>(data.batches().size());
  Subscription* subscription = Find(data.handle());
  if (subscription == nullptr || data.generation() != subscription->generation) {
    return owner_->OnStale(*this, bytes, data.records());
  }
  subscription->next_offset = data.next_offset();
  InboxItem item;
  item.epoch = subscription->epoch;
  item.batches = std::make_shared<const std::string>(std::move(*data.mutable_batches()));
  item.records = data.records();
  item.next_offset = data.next_offset();
  item.address = address_;
  owner_->OnReceived(*this, *subscription, std::move(item), data.high_watermark(), -1);
}

void SubscribeLink::OnEnd(const wire::SubscribeReply& reply) {
  const wire::SubscribeEnd& end = reply.end();
  Subscription* subscription = Find(end.handle());
  if (subscription == nullptr) return;
  subscriptions_.erase(end.handle());
  subscription->link = nullptr;
  owner_->OnEnded(*subscription, FromWire(end.error()));
}

void SubscribeLink::OnClosed(const Status& status) {
  if (owner_ == nullptr) return;
  const std::shared_ptr<SubscribeLink> self = shared_from_this();
  SubscribeLinkOwner* owner = std::exchange(owner_, nullptr);
  std::vector<Subscription*> left;
  for (const auto& [handle, subscription] : subscriptions_) {
    subscription->link = nullptr;
    left.push_back(subscription);
  }
  subscriptions_.clear();
  owner->OnClosed(*this, status, left);
}

}  // namespace varve::client
