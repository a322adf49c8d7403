// SubscribeLink: one subscribe stream to one broker.
#ifndef VARVE_CLIENT_CORE_SUBSCRIBE_LINK_H_
#define VARVE_CLIENT_CORE_SUBSCRIBE_LINK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/reader_inbox.h"
#include "varve/reader.h"

namespace varve::client::wire {
class Position;
class SubscribePartition;
class SubscribeReply;
}  // namespace varve::client::wire

namespace varve::client {

class SubscribeLink;

// A partition that is read. Belongs to the executor.
struct Subscription {
  TopicPartition partition;
  ReadEpoch epoch = 0;
  StartPosition from;        // where to begin, until next_offset is known
  int64_t next_offset = -1;  // of the stream: ahead of what was polled
  SubscribeLink* link = nullptr;
  uint32_t handle = 0;      // on `link`
  uint64_t generation = 0;  // of the newest seek on this handle
  uint32_t failures = 0;    // since data last came
  bool waiting = false;     // for a leader or the end of a pause
  bool ended = false;       // until a seek

  [[nodiscard]] StartPosition Resume() const {
    return next_offset >= 0 ? StartPosition::Offset(next_offset) : from;
  }
};

// What a link tells the reader; all on the executor.
class SubscribeLinkOwner {
 public:
  virtual ~SubscribeLinkOwner() = default;
  // Something of the newest generation. `log_start` is -1 where the message has none.
  virtual void OnReceived(SubscribeLink& link, Subscription& subscription, InboxItem item,
                          int64_t high_watermark, int64_t log_start) = 0;
  // Something older, whose credit goes back at once.
  virtual void OnStale(SubscribeLink& link, int64_t bytes, int64_t records) = 0;
  // The broker sends no more for it; the subscription has left the link.
  virtual void OnEnded(Subscription& subscription, const Status& status) = 0;
  // The stream is over; `left` have left the link.
  virtual void OnClosed(SubscribeLink& link, const Status& status,
                        const std::vector<Subscription*>& left) = 0;
};

// Belongs to the executor of `core`. The owner outlives it, or calls Abandon first.
class SubscribeLink : public std::enable_shared_from_this<SubscribeLink> {
 public:
  SubscribeLink(ClientCore& core, std::string address, ReadIsolation isolation,
                SubscribeLinkOwner* owner);

  // Opens the stream with the initial credit.
  void Start(Subscription& first, int64_t credit_bytes, int64_t credit_records);
  void Add(Subscription& subscription);
  void Seek(Subscription& subscription);
  void Remove(Subscription& subscription);
  // Counts credit that came back; sends it when it is worth a message.
  void ReturnCredit(int64_t bytes, int64_t records, int64_t window_bytes, int64_t window_records);
  // Ends the stream; the owner hears nothing more.
  void Abandon();
  // Ends the stream as if the broker had: the owner gets back what is on it.
  void GiveUp(const Status& why);
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] const std::map<uint32_t, Subscription*>& subscriptions() const {
    return subscriptions_;
  }
  // How long the broker has said nothing, which it may because there is nothing to say.
  [[nodiscard]] Nanos Silence() const { return core_.Now() - heard_; }
  // How often the cluster was asked about this silence; the reader's to count.
  uint32_t questions = 0;
  bool question_under_way = false;

  void OnMessage(wire::SubscribeReply& reply);
  void OnClosed(const Status& status);

 private:
  void Enter(Subscription& subscription, wire::SubscribePartition* message);
  Subscription* Find(uint32_t handle);
  void OnData(wire::SubscribeReply& reply);
  void OnEnd(const wire::SubscribeReply& reply);
  void News(uint32_t handle, uint64_t generation, int64_t next_offset, int64_t high_watermark,
            int64_t log_start);

  ClientCore& core_;
  const std::string address_;
  const ReadIsolation isolation_;
  SubscribeLinkOwner* owner_;  // null once abandoned or closed
  std::shared_ptr<RpcStream> stream_;
  std::map<uint32_t, Subscription*> subscriptions_;  // by handle
  uint32_t next_handle_ = 1;
  int64_t returned_bytes_ = 0;
  int64_t returned_records_ = 0;
  MonoTime heard_;
};

// Where reading begins, as the wire says it.
void ToWire(const StartPosition& from, wire::Position* to);

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_SUBSCRIBE_LINK_H_
