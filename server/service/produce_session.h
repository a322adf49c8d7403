// LocalProduceSession: a stream of appends to this broker's partitions.
#ifndef VARVE_SERVER_SERVICE_PRODUCE_SESSION_H_
#define VARVE_SERVER_SERVICE_PRODUCE_SESSION_H_

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "server/service/batch_intake.h"
#include "server/service/local_service.h"

namespace varve::server {

// Validates on the calling thread, appends on the partition's shard, acknowledges from there.
// Credit is returned with each acknowledgement, so that a session never holds more than its credit
// and one batch.
class LocalProduceSession final : public ProduceSession {
 public:
  LocalProduceSession(const LocalServiceParts& parts, RequestContext context, MemoryPermit permit,
                      ProduceEvents& events);
  ~LocalProduceSession() override { Close(); }

  void Open(uint32_t handle, std::string topic, Acks acks,
            std::vector<std::string> required_features) override;
  void Append(uint64_t request_id, uint32_t handle, PartitionId partition,
              FrameBuffer batch) override;
  void Close() override;

  // What a session may have under way. All sessions together stay within the gate's memory: each
  // batch holds a permit until it is decided.
  static constexpr SessionCredit kInitialCredit{8 << 20, 4096};
  static constexpr size_t kMaxOpenTopics = 1000;

 private:
  struct Topic {
    TopicRef topic;
    std::shared_ptr<TopicMetrics> cells;
  };
  // Batches of one partition are acknowledged in their order.
  using Lane = std::pair<uint32_t, PartitionId>;  // handle, partition
  struct Waiting {
    uint64_t request_id;
    Lane lane;
    size_t bytes;
    std::optional<ProduceResult> result;  // guarded by Shared::mutex
    MemoryPermit memory;                  // until decided
  };
  using Slot = std::shared_ptr<Waiting>;
  // Outlives the session while batches are under way; speaks to the door only until Close.
  struct Shared {
    explicit Shared(ProduceEvents& e) : events(&e) {}
    Slot Take(uint64_t request_id, Lane lane, size_t bytes, bool* overdrawn);
    void Ack(const Slot& slot, ProduceResult result);

    std::mutex mutex;  // also held while calling events: one call at a time, none after Close
    ProduceEvents* events;
    SessionCredit credit = kInitialCredit;
    std::map<Lane, std::deque<Slot>> lanes;
    MemoryPermit permit;
  };
  void Refuse(const Slot& slot, absl::Status status);
  void Submit(const Slot& slot, const Topic& topic, PartitionId partition, FrameBuffer batch,
              uint32_t records);

  const LocalServiceParts& parts_;
  const RequestContext context_;
  std::shared_ptr<Shared> shared_;
  std::map<uint32_t, Topic> topics_;
  bool credit_announced_ = false;
  bool closed_ = false;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_PRODUCE_SESSION_H_
