#include "client/core/produce_link.h"

#include <google/protobuf/io/coded_stream.h>

#include <utility>

#include "client/core/status_mapping.h"
#include "client_wire/log.pb.h"

namespace varve::client {
namespace {

// Brings what the transport says to the executor.
class Listener : public RpcStreamListener {
 public:
  Listener(ClientCore& core, std::weak_ptr<ProduceLink> link, std::string address)
      : mailbox_(core.mailbox()), link_(std::move(link)), address_(std::move(address)) {}

  std::unique_ptr<google::protobuf::MessageLite> NewMessage() override {
    return std::make_unique<wire::ProduceStreamReply>();
  }
  void OnMessage(std::unique_ptr<google::protobuf::MessageLite> message) override {
    mailbox_->Post([link = link_, message = std::move(message)] {
      const std::shared_ptr<ProduceLink> alive = link.lock();
      if (alive) alive->OnMessage(static_cast<const wire::ProduceStreamReply&>(*message));
    });
  }
  void OnClosed(RpcStatus status) override {
    Status why = status.code == 0 ? Error(Reason::UNAVAILABLE, "broker ",
                                          std::string_view(address_), " ended the produce stream")
                                  : FromRpc(status, address_);
    mailbox_->Post([link = link_, why = std::move(why)] {
      if (const std::shared_ptr<ProduceLink> alive = link.lock()) alive->OnClosed(why);
    });
  }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
  const std::weak_ptr<ProduceLink> link_;
  const std::string address_;
};

// A ProduceStreamRequest whose batch bytes are not copied: everything up to them is encoded here.
OutgoingMessage EncodeBatch(const wire::ProduceBatch& head,
                            std::shared_ptr<const std::string> batch) {
  using google::protobuf::io::CodedOutputStream;
  constexpr uint32_t kLengthDelimited = 2;
  const std::string fields = head.SerializeAsString();
  const auto size = static_cast<uint32_t>(batch->size());
  const uint32_t batch_tag = wire::ProduceBatch::kBatchFieldNumber << 3 | kLengthDelimited;
  const uint32_t message_tag =
      wire::ProduceStreamRequest::kBatchFieldNumber << 3 | kLengthDelimited;
  uint8_t tail_head[16];
  uint8_t* end = CodedOutputStream::WriteVarint32ToArray(batch_tag, tail_head);
  end = CodedOutputStream::WriteVarint32ToArray(size, end);
  const auto tail_head_bytes = static_cast<size_t>(end - tail_head);
  uint8_t prefix[16];
  end = CodedOutputStream::WriteVarint32ToArray(message_tag, prefix);
  end = CodedOutputStream::WriteVarint32ToArray(
      static_cast<uint32_t>(fields.size() + tail_head_bytes + size), end);
  std::string out(reinterpret_cast<char*>(prefix), static_cast<size_t>(end - prefix));
  out += fields;
  out.append(reinterpret_cast<char*>(tail_head), tail_head_bytes);
  return {std::move(out), std::move(batch)};
}

}  // namespace

ProduceLink::ProduceLink(ClientCore& core, std::string address, ProduceLinkOwner* owner)
    : core_(core), address_(std::move(address)), owner_(owner) {}

void ProduceLink::Start() {
  stream_ =
      core_.connector().OpenStream(address_, "/varve.v1.LogService/ProduceStream",
                                   std::make_shared<Listener>(core_, weak_from_this(), address_));
}

ProduceLink::Topic& ProduceLink::TopicOf(const std::string& name) {
  Topic& topic = topics_[name];
  if (topic.handle == 0) {
    topic.handle = next_handle_++;
    wire::ProduceStreamRequest request;
    wire::ProduceOpen* open = request.mutable_open();
    open->set_handle(topic.handle);
    open->set_topic(name);
    open->set_acks(wire::ACKS_ALL);
    stream_->Write({request.SerializeAsString(), nullptr});
  }
  return topic;
}

const ProducerPartition* ProduceLink::Longest() const {
  if (!in_flight_.empty()) return in_flight_.begin()->second;
  if (!ready_.empty()) return ready_.front();
  for (const auto& [name, topic] : topics_) {
    if (!topic.waiting.empty()) return topic.waiting.front();
  }
  return nullptr;
}

Nanos ProduceLink::Silence() const { return Longest() == nullptr ? 0 : core_.Now() - waits_since_; }

void ProduceLink::BeginWaiting() { waits_since_ = core_.Now(); }

void ProduceLink::Enqueue(ProducerPartition& partition) {
  if (Longest() == nullptr) BeginWaiting();
  Topic& topic = TopicOf(partition.topic.name());
  if (!topic.opened) {
    topic.waiting.push_back(&partition);
    return;
  }
  ready_.push_back(&partition);
  Pump();
}

void ProduceLink::Pump() {
  while (!ready_.empty() && credit_bytes_ > 0 && credit_records_ > 0 && !moved_) {
    ProducerPartition* partition = ready_.front();
    ready_.pop_front();
    Send(*partition);
  }
}

void ProduceLink::Send(ProducerPartition& partition) {
  partition.waiting = false;
  const ProducerBatch* batch = owner_->BatchToSend(*this, partition);
  if (batch == nullptr) return;
  wire::ProduceBatch head;
  head.set_request_id(next_request_);
  head.set_handle(topics_[partition.topic.name()].handle);
  head.set_partition(partition.number);
  in_flight_[next_request_++] = &partition;
  credit_bytes_ -= static_cast<int64_t>(batch->bytes->size());
  --credit_records_;  // a broker counts a batch as one: it has not looked into it yet
  stream_->Write(EncodeBatch(head, batch->bytes));
}

void ProduceLink::Forget(const ProducerPartition& partition) {
  std::erase_if(in_flight_, [&](const auto& item) { return item.second == &partition; });
}

void ProduceLink::Abandon() {
  owner_ = nullptr;
  if (stream_) stream_->Cancel();
}

void ProduceLink::GiveUp(const Status& why) {
  if (stream_) stream_->Cancel();
  OnClosed(why);
}

void ProduceLink::OnMessage(const wire::ProduceStreamReply& reply) {
  if (owner_ == nullptr) return;
  BeginWaiting();
  switch (reply.message_case()) {
    case wire::ProduceStreamReply::kOpened:
      return OnOpened(reply.opened());
    case wire::ProduceStreamReply::kAck:
      return OnAck(reply.ack());
    case wire::ProduceStreamReply::kCredit:
      credit_bytes_ += reply.credit().bytes();
      credit_records_ += reply.credit().records();
      return Pump();
    case wire::ProduceStreamReply::kMoved:
      return OnMoved(reply.moved().leader_address());
    case wire::ProduceStreamReply::MESSAGE_NOT_SET:
      return;  // of a newer broker
  }
}

void ProduceLink::OnOpened(const wire::ProduceOpened& opened) {
  credit_bytes_ += opened.credit().bytes();
  credit_records_ += opened.credit().records();
  for (auto& [name, topic] : topics_) {
    if (topic.handle != opened.handle()) continue;
    const std::vector<ProducerPartition*> waiting = std::move(topic.waiting);
    topic.waiting.clear();
    if (const Status status = FromWire(opened.error()); !status.ok()) {
      topics_.erase(name);  // the next batch asks again, under another handle
      for (ProducerPartition* partition : waiting) owner_->OnRefused(*partition, status);
      return Pump();
    }
    topic.opened = true;
    ready_.insert(ready_.end(), waiting.begin(), waiting.end());
    break;
  }
  Pump();
}

void ProduceLink::OnAck(const wire::ProduceAck& ack) {
  const auto at = in_flight_.find(ack.request_id());
  if (at == in_flight_.end()) return;  // given up
  ProducerPartition* partition = at->second;
  in_flight_.erase(at);
  owner_->OnAck(*partition, {FromWire(ack.error()), ack.base_offset(), ack.append_time_ms()});
  if (owner_ != nullptr) Pump();
}

std::vector<ProducerPartition*> ProduceLink::TakeUnsent() {
  std::vector<ProducerPartition*> unsent(ready_.begin(), ready_.end());
  ready_.clear();
  for (auto& [name, topic] : topics_) {
    unsent.insert(unsent.end(), topic.waiting.begin(), topic.waiting.end());
    topic.waiting.clear();
  }
  return unsent;
}

void ProduceLink::OnMoved(const std::string& leader) {
  moved_ = true;
  // The broker ends the stream when what it has got is answered; a drain waits for that.
  stream_->FinishWrites();
  owner_->OnMoved(*this, leader, TakeUnsent());
}

void ProduceLink::OnClosed(const Status& status) {
  if (owner_ == nullptr) return;
  const std::shared_ptr<ProduceLink> self = shared_from_this();
  ProduceLinkOwner* owner = std::exchange(owner_, nullptr);
  std::vector<ProducerPartition*> in_flight;
  for (const auto& [id, partition] : in_flight_) in_flight.push_back(partition);
  in_flight_.clear();
  owner->OnClosed(*this, status, in_flight, TakeUnsent());
}

}  // namespace varve::client
