// FakeBroker: the public API over a log in memory, with faults on request. For tests of the client.
#ifndef VARVE_TESTS_CLIENT_SUPPORT_FAKE_BROKER_H_
#define VARVE_TESTS_CLIENT_SUPPORT_FAKE_BROKER_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/error.h"
#include "varve/v1/cluster.grpc.pb.h"
#include "varve/v1/log.grpc.pb.h"
#include "varve/v1/topic.grpc.pb.h"

namespace varve::testing {

inline constexpr std::chrono::seconds kPatience{20};

// What the next produce batches meet instead of success.
struct ProduceFault {
  enum class Kind { kError, kDropBeforeAppend, kDropAfterAppend };
  Kind kind = Kind::kError;
  Reason reason = Reason::OVERLOADED;  // of kError
  std::string leader_address;          // said with it
};

// Thread-safe. Listens on a free port of the loopback, or on `port` to come back at the same place.
class FakeBroker {
 public:
  explicit FakeBroker(int port = 0);
  ~FakeBroker();

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int port() const { return port_; }

  void AddTopic(const std::string& name, uint32_t partitions, uint32_t max_batch_bytes = 0);
  // Appends one batch, as a producer would; returns the offset after it.
  int64_t Append(const std::string& topic, uint32_t partition, std::string batch);
  void Trim(const std::string& topic, uint32_t partition, int64_t log_start);
  // Flips a bit in the last batch that is stored.
  void Damage(const std::string& topic, uint32_t partition);
  // Values of all records, in order of offset.
  std::vector<std::string> Values(const std::string& topic, uint32_t partition);
  std::vector<size_t> RecordsPerBatch(const std::string& topic, uint32_t partition);

  void NextBatches(size_t count, ProduceFault fault);
  // Batches are appended, and answered once held no longer.
  void HoldAcks(bool hold);
  // The credit of produce streams; given back with each ack.
  void SetProduceCredit(int64_t bytes, int64_t records);
  // The address that GetCluster tells.
  void Advertise(const std::string& address);
  // As a broker that is cut off from the others: it answers, and knows of no leader.
  void KnowNoLeader();
  // GetTopic and the topic's other calls fail with this until OK is set.
  void FailTopicCalls(Reason reason);
  // Moves every produce stream to another broker.
  void MoveProducers(const std::string& address);
  void DropSubscribers();
  // The next data message repeats what a stream sent before its newest seek.
  void SendStaleDataAfterSeek();
  // Stops after so many data messages until released (set to -1).
  void PauseDataAfter(int64_t messages);

  struct Counters {
    uint64_t batches_received = 0;
    uint64_t produce_streams = 0;
    uint64_t subscribe_streams = 0;
    uint64_t data_messages = 0;
    uint64_t topic_calls = 0;
    uint64_t seeks = 0;
    uint64_t most_in_flight_of_a_partition = 0;
    uint64_t sent_without_credit = 0;  // by the client
    int64_t granted_read_bytes = 0;    // by the client, all streams
  };
  Counters counters();
  // Waits until the condition holds; false when the patience is over.
  bool Await(const std::function<bool(const Counters&)>& condition);

 private:
  class LogService;
  class TopicService;
  class ClusterService;
  struct Batch {
    int64_t base_offset = 0;
    int64_t next_offset = 0;
    uint32_t records = 0;
    std::string bytes;
  };
  struct Partition {
    std::vector<Batch> batches;
    int64_t next_offset = 0;
    int64_t log_start = 0;
    uint64_t in_flight = 0;
  };
  struct Topic {
    std::vector<Partition> partitions;
    uint32_t max_batch_bytes = 0;
  };

  // With mutex_ held.
  Partition* Find(const std::string& topic, uint32_t partition);
  absl::StatusOr<int64_t> AppendLocked(Partition& partition, const std::string& batch);
  int64_t Resolve(const Partition& partition, const v1::Position& position) const;
  void Describe(const std::string& name, const Topic& topic, v1::Topic* out) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Topic> topics_;
  Counters counters_;
  size_t faults_left_ = 0;
  ProduceFault fault_;
  bool hold_acks_ = false;
  bool leader_known_ = true;
  bool stopping_ = false;
  bool stale_after_seek_ = false;
  int64_t produce_credit_bytes_ = 64 << 20;
  int64_t produce_credit_records_ = 10'000'000;
  int64_t data_allowance_ = -1;
  uint64_t subscriber_era_ = 0;  // streams of an older era end
  uint64_t producer_era_ = 0;
  std::string moved_to_;
  std::string advertised_;
  Reason topic_failure_ = Reason::OK;

  int port_ = 0;
  std::unique_ptr<LogService> log_;
  std::unique_ptr<TopicService> topic_service_;
  std::unique_ptr<ClusterService> cluster_;
  std::unique_ptr<grpc::Server> server_;
};

// What a broker says in replies and in failed calls.
v1::Status WireError(Reason reason, const std::string& text, const std::string& leader = "");
grpc::Status CallError(Reason reason, const std::string& text);

}  // namespace varve::testing

#endif  // VARVE_TESTS_CLIENT_SUPPORT_FAKE_BROKER_H_
