// ProduceLink: one produce stream to one broker, paced by its credits.
#ifndef VARVE_CLIENT_CORE_PRODUCE_LINK_H_
#define VARVE_CLIENT_CORE_PRODUCE_LINK_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/producer_topic.h"

namespace varve::client::wire {
class ProduceAck;
class ProduceOpened;
class ProduceStreamReply;
}  // namespace varve::client::wire

namespace varve::client {

class ProduceLink;

// What a link tells the producer; all on the executor.
class ProduceLinkOwner {
 public:
  virtual ~ProduceLinkOwner() = default;
  // The batch to send now, built; null when the partition has none any more. It stays with the
  // partition.
  virtual ProducerBatch* BatchToSend(ProduceLink& link, ProducerPartition& partition) = 0;
  struct Ack {
    Status status;
    int64_t base_offset = -1;
    int64_t append_time_ms = -1;
  };
  virtual void OnAck(ProducerPartition& partition, Ack ack) = 0;
  // The broker does not take this topic; nothing was sent.
  virtual void OnRefused(ProducerPartition& partition, const Status& status) = 0;
  // The link takes no more batches; those under way may still be acknowledged. `unsent` go
  // elsewhere.
  virtual void OnMoved(ProduceLink& link, const std::string& leader,
                       const std::vector<ProducerPartition*>& unsent) = 0;
  // The link is over.
  virtual void OnClosed(ProduceLink& link, const Status& status,
                        const std::vector<ProducerPartition*>& in_flight,
                        const std::vector<ProducerPartition*>& unsent) = 0;
};

// Belongs to the executor of `core`. The owner outlives it, or calls Abandon first.
class ProduceLink : public std::enable_shared_from_this<ProduceLink> {
 public:
  ProduceLink(ClientCore& core, std::string address, ProduceLinkOwner* owner);

  void Start();
  // Sends the partition's next batch as soon as the credits allow; in the order of these calls.
  void Enqueue(ProducerPartition& partition);
  // The answer to the batch under way is no longer wanted.
  void Forget(const ProducerPartition& partition);
  // Ends the stream; the owner hears nothing more.
  void Abandon();
  // Ends the stream as if the broker had: the owner gets back what is on it.
  void GiveUp(const Status& why);
  [[nodiscard]] const std::string& address() const { return address_; }
  // The partition whose batch, or whose turn, has waited longest; null when nothing waits.
  [[nodiscard]] const ProducerPartition* Longest() const;
  // How long something has waited without any message of the broker; 0 when nothing waits.
  [[nodiscard]] Nanos Silence() const;
  bool question_under_way = false;  // about the silence; the producer's

  void OnMessage(const wire::ProduceStreamReply& reply);
  void OnClosed(const Status& status);

 private:
  struct Topic {
    uint32_t handle = 0;
    bool opened = false;
    std::vector<ProducerPartition*> waiting;  // for `opened`
  };
  void OnOpened(const wire::ProduceOpened& opened);
  void OnAck(const wire::ProduceAck& ack);
  void OnMoved(const std::string& leader);
  void BeginWaiting();
  void Pump();
  void Send(ProducerPartition& partition);
  Topic& TopicOf(const std::string& name);
  std::vector<ProducerPartition*> TakeUnsent();

  ClientCore& core_;
  const std::string address_;
  ProduceLinkOwner* owner_;  // null once abandoned or closed
  std::shared_ptr<RpcStream> stream_;
  std::map<std::string, Topic> topics_;
  std::deque<ProducerPartition*> ready_;
  std::map<uint64_t, ProducerPartition*> in_flight_;  // by request id
  uint64_t next_request_ = 1;
  uint32_t next_handle_ = 1;
  int64_t credit_bytes_ = 0;
  int64_t credit_records_ = 0;
  bool moved_ = false;
  MonoTime waits_since_;  // or since the last message
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_PRODUCE_LINK_H_
