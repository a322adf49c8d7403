// ProducerCore: what a Producer does behind its handle.
#ifndef VARVE_CLIENT_CORE_PRODUCER_CORE_H_
#define VARVE_CLIENT_CORE_PRODUCER_CORE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "client/core/client_core.h"
#include "client/core/memory_budget.h"
#include "client/core/produce_link.h"
#include "client/core/producer_topic.h"
#include "varve/producer.h"

namespace varve::client {

struct TopicInfo;

// Threads call Send; the executor (the "sender") decides which batch goes where and when. Methods
// in the first part are thread-safe, all others run on the executor. A partition is at any time
// asleep, lingering, waiting (for a link, a leader or a pause) or in flight.
class ProducerCore : public ProduceLinkOwner, public std::enable_shared_from_this<ProducerCore> {
 public:
  ProducerCore(std::shared_ptr<ClientCore> core, ProducerOptions options);

  Status Send(const ProducerRecord& record, DeliveryCallback callback);
  Status Flush(std::chrono::milliseconds timeout);
  Status Close(std::chrono::milliseconds timeout);
  [[nodiscard]] bool InExecutor() const { return core_->executor().InExecutor(); }
  [[nodiscard]] ProducerStats stats() const;
  [[nodiscard]] std::chrono::milliseconds delivery_timeout() const {
    return options_.delivery_timeout;
  }

  ProducerBatch* BatchToSend(ProduceLink& link, ProducerPartition& partition) override;
  void OnAck(ProducerPartition& partition, Ack ack) override;
  void OnRefused(ProducerPartition& partition, const Status& status) override;
  void OnMoved(ProduceLink& link, const std::string& leader,
               const std::vector<ProducerPartition*>& unsent) override;
  void OnClosed(ProduceLink& link, const Status& status,
                const std::vector<ProducerPartition*>& in_flight,
                const std::vector<ProducerPartition*>& unsent) override;

 private:
  struct Route {  // to one broker
    std::shared_ptr<ProduceLink> link;
    uint32_t failures = 0;
    MonoTime not_before;
  };

  // Runs `task` on the executor if this producer is still there then.
  void Post(std::function<void(ProducerCore&)> task);
  void After(Nanos delay, std::function<void(ProducerCore&)> task);

  Status Reserve(size_t bytes);
  ProducerTopic* TopicNamed(std::string_view name);

  void ResolveTopic(ProducerTopic& topic, uint32_t failures);
  void OnTopicAnswer(ProducerTopic& topic, uint32_t failures, const Status& status,
                     uint32_t partitions, size_t max_batch_bytes);
  void ExpireWaiting(ProducerTopic& topic);
  void FailWaiting(ProducerTopic& topic, WaitingRecord& record, const Status& status);

  // Decides what happens with a partition that is neither waiting nor in flight.
  void Dispatch(ProducerPartition& partition);
  [[nodiscard]] bool SendNow(const PartitionQueue::Waiting& waiting) const;
  void Linger(ProducerPartition& partition, MonoTime created);
  void WakeLingering();
  void SeekLeader(ProducerPartition& partition);
  void Pause(ProducerPartition& partition, Nanos delay);
  void RetryOrFail(ProducerPartition& partition, const Status& status);
  void ArmDeadline(ProducerPartition& partition, MonoTime deadline);
  void Expire(ProducerPartition& partition);
  void Land(ProducerPartition& partition);
  void Complete(ProducerPartition& partition, std::unique_ptr<ProducerBatch> batch, const Ack& ack);
  void FailAll(ProducerPartition& partition, const Status& status);
  void Finished(size_t records, size_t bytes, bool delivered);
  void FlushLingering();
  // Looks every now and then whether brokers that owe an answer still lead, while one does.
  void ArmWatch();
  void Watch();
  void AskAbout(const std::shared_ptr<ProduceLink>& link);
  void OnLeaders(ProduceLink& link, const TopicInfo& topic);
  void Shutdown(const Status& why, std::shared_ptr<ProducerCore> self);
  Route& RouteTo(const std::string& address) { return routes_[address]; }

  const std::shared_ptr<ClientCore> core_;
  const ProducerOptions options_;
  const Nanos delivery_timeout_;
  MemoryBudget budget_;

  std::shared_mutex topics_mutex_;
  std::map<std::string, std::unique_ptr<ProducerTopic>, std::less<>> topics_;  // never erased

  std::mutex done_mutex_;
  std::condition_variable all_done_;
  std::atomic<uint64_t> outstanding_{0};  // records accepted and not yet reported
  std::atomic<int> flushing_{0};
  std::atomic<bool> closed_{false};
  bool shut_down_ = false;  // under done_mutex_

  std::atomic<uint64_t> accepted_{0}, delivered_{0}, failed_{0}, batches_{0}, resent_{0};
  std::atomic<uint64_t> bytes_sent_{0}, duplicates_{0}, reconnects_{0};

  // Executor only.
  std::map<std::string, Route> routes_;
  std::vector<std::shared_ptr<ProduceLink>> draining_;  // moved, not yet closed
  std::vector<ProducerPartition*> lingering_;
  bool watching_ = false;
  size_t in_flight_bytes_ = 0;
  size_t in_flight_batches_ = 0;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_PRODUCER_CORE_H_
