// ProducerTopic: the partitions of one topic, and records that wait until their number is known.
#ifndef VARVE_CLIENT_CORE_PRODUCER_TOPIC_H_
#define VARVE_CLIENT_CORE_PRODUCER_TOPIC_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/core/partition_queue.h"
#include "varve/producer.h"

namespace varve::client {

class ProduceLink;
class ProducerTopic;

// What the sending side knows of a partition. All but `queue` belongs to the executor.
struct ProducerPartition {
  ProducerPartition(ProducerTopic& of, uint32_t index, PartitionQueue::Limits limits)
      : topic(of), number(index), queue(std::move(limits)) {}

  ProducerTopic& topic;
  const uint32_t number;
  PartitionQueue queue;

  std::unique_ptr<ProducerBatch> current;  // taken from the queue, not yet reported
  ProduceLink* link = nullptr;             // that `current` is in flight on
  bool waiting = false;                    // for a link, a leader or the end of a pause
  bool deadline_armed = false;
  bool linger_armed = false;
  bool lingering = false;  // listed by the sender
  uint32_t failures = 0;   // since the last success
};

// A record that waits for its topic, owned.
struct WaitingRecord {
  std::optional<uint32_t> partition;
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  int64_t timestamp_ms = 0;
  size_t charged = 0;
  MonoTime deadline;
  DeliveryCallback callback;

  static WaitingRecord Copy(const ProducerRecord& record);
};

// Thread-safe unless a method says otherwise. Order: records that waited come before later ones.
class ProducerTopic {
 public:
  // What became of a record that was added.
  struct Added {
    Status status;
    ProducerPartition* wake = nullptr;  // the sender must look at it
    bool resolve = false;               // the sender must resolve this topic
  };

  ProducerTopic(std::string name, uint32_t first_sticky)
      : name_(std::move(name)), sticky_(first_sticky) {}

  [[nodiscard]] const std::string& name() const { return name_; }
  Added Add(const ProducerRecord& record, MonoTime now, MonoTime deadline, size_t charged,
            DeliveryCallback& callback, size_t batch_bytes);
  // The partitions, once known; they never change afterwards.
  [[nodiscard]] const std::vector<std::unique_ptr<ProducerPartition>>& partitions() const;

  // Executor: the number of partitions is known. Moves the waiting records into their queues and
  // returns the partitions to look at; records that do not go anywhere are put into *refused.
  struct Refused {
    WaitingRecord record;
    Status status;
  };
  std::vector<ProducerPartition*> Resolve(uint32_t partitions, const PartitionQueue::Limits& limits,
                                          MonoTime now, std::vector<Refused>* refused);
  // Executor: takes waiting records out: all of them (then the next Add asks for resolving again),
  // or those whose deadline has come.
  std::vector<WaitingRecord> TakeWaiting();
  std::vector<WaitingRecord> TakeExpired(MonoTime now);
  // Whether nothing waits any more; then the next Add asks for resolving again.
  bool GiveUpIfIdle();
  // Executor only: an expiry timer runs.
  bool expiry_armed = false;
  // The earliest deadline of a waiting record; nullopt without any.
  std::optional<MonoTime> OldestDeadline();
  void Close();

 private:
  // The partition for a record, or null and an error.
  ProducerPartition* Choose(std::optional<uint32_t> partition,
                            const std::optional<std::string_view>& key, Status* status);
  void CountSticky(size_t bytes, size_t batch_bytes);

  const std::string name_;
  std::atomic<bool> resolved_{false};
  std::vector<std::unique_ptr<ProducerPartition>> partitions_;  // constant once resolved_
  std::atomic<uint32_t> sticky_;
  std::atomic<size_t> sticky_bytes_{0};
  std::mutex mutex_;  // the rest, and becoming resolved
  std::deque<WaitingRecord> waiting_;
  bool resolving_ = false;
  bool closed_ = false;
};

}  // namespace varve::client

#endif  // VARVE_CLIENT_CORE_PRODUCER_TOPIC_H_
