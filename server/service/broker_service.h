// BrokerService: everything a client may ask of a broker, in process. gRPC, and later Kafka and
// AMQP, are thin adapters over it; the simulator calls it directly.
#ifndef VARVE_SERVER_SERVICE_BROKER_SERVICE_H_
#define VARVE_SERVER_SERVICE_BROKER_SERVICE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "server/service/messages.h"
#include "server/service/request_context.h"
#include "server/service/status_messages.h"

namespace varve::server {

template <class T>
using Reply = absl::AnyInvocable<void(absl::StatusOr<T>)>;

struct SessionCredit {
  int64_t bytes = 0;
  int64_t records = 0;
};

// What a produce session tells its door. Calls come one at a time, from any thread, and never from
// within a call of one of the session's methods. None comes after Close returned. A door must not
// call its session from within an event (it would wait for itself).
class ProduceEvents {
 public:
  struct Opened {
    TopicId topic;
    uint32_t partitions = 0;
    uint32_t max_batch_bytes = 0;
  };
  virtual ~ProduceEvents() = default;
  virtual void OnOpened(uint32_t handle, absl::StatusOr<Opened> opened) = 0;
  // In the order of the partition's batches.
  virtual void OnAck(uint64_t request_id, const ProduceResult& result) = 0;
  virtual void OnCredit(SessionCredit more) = 0;
  // The session takes nothing more; acknowledgements of what it took still come.
  virtual void OnMoved(const std::string& why) = 0;
};

// A stream of appends from one client. Batches are appended in the order of the calls, per
// partition. Thread-compatible: one door drives it. Append may be called while credit is positive
// (OnCredit adds, each batch takes its bytes and one record; the initial credit comes before the
// first OnOpened); a door whose client overdraws gets OVERLOADED for that batch.
class ProduceSession {
 public:
  virtual ~ProduceSession() = default;  // as Close
  virtual void Open(uint32_t handle, std::string topic, Acks acks,
                    std::vector<std::string> required_features) = 0;
  virtual void Append(uint64_t request_id, uint32_t handle, PartitionId partition,
                      FrameBuffer batch) = 0;
  // The client went away: what was proposed may still be committed; memory it held is freed.
  virtual void Close() = 0;
};

// What a subscription tells its door; the same rules as for ProduceEvents.
class SubscribeEvents {
 public:
  struct Opened {
    TopicId topic;
    Offset next_offset;
    LogBounds bounds;
  };
  struct Data {
    std::vector<Entry> entries;  // Data entries, whole
    uint32_t records = 0;
    Offset next_offset;
    Offset high_watermark;
    Term leader_epoch;
  };
  virtual ~SubscribeEvents() = default;
  virtual void OnOpened(uint32_t handle, uint64_t generation, const Opened& opened) = 0;
  virtual void OnData(uint32_t handle, uint64_t generation, Data data) = 0;
  virtual void OnProgress(uint32_t handle, uint64_t generation, Offset next_offset,
                          const LogBounds& bounds) = 0;
  // An Add of a handle in use, or a Seek of a handle not in use or to a generation that is not
  // above its own. A handle that lives goes on.
  enum class Request : uint8_t { kAdd, kSeek };
  virtual void OnRefused(Request request, uint32_t handle, uint64_t generation,
                         absl::Status why) = 0;
  // This handle is gone; OK when it was removed.
  virtual void OnEnd(uint32_t handle, uint64_t generation, Offset next_offset,
                     absl::Status why) = 0;
};

struct SubscribePartition {
  uint32_t handle = 0;
  std::string topic;
  PartitionId partition;
  Position from;
};

// Records pushed to one client. Data flows while both credits are positive; they may go negative by
// one message. Thread-compatible.
class SubscribeSession {
 public:
  virtual ~SubscribeSession() = default;  // as Close
  virtual void AddCredit(SessionCredit more) = 0;
  virtual void Add(SubscribePartition partition) = 0;
  virtual void Seek(uint32_t handle, uint64_t generation, Position to) = 0;
  virtual void Remove(uint32_t handle) = 0;
  virtual void Close() = 0;
};
struct SubscribeOptions {
  uint32_t max_message_bytes = 0;  // 0: limits::kMaxSubscribeMessageBytes
  Isolation isolation = Isolation::kReadCommitted;
  std::vector<std::string> required_features;
};

// Thread-safe. Every call passes the gate first: authorised, admitted within limits, deadline
// looked at. Each reply is called exactly once, from any thread, never from within the call, and by
// the deadline of its context: then with DEADLINE_EXCEEDED. Batches are validated in full on the
// calling thread.
class BrokerService {
 public:
  virtual ~BrokerService() = default;
  virtual void Produce(RequestContext context, ProduceRequest request,
                       Reply<ProduceReply> reply) = 0;
  virtual void Fetch(RequestContext context, FetchRequest request, Reply<FetchReply> reply) = 0;
  virtual void ListOffsets(RequestContext context, ListOffsetsRequest request,
                           Reply<ListOffsetsReply> reply) = 0;
  virtual void DeleteRecords(RequestContext context, DeleteRecordsRequest request,
                             Reply<DeleteRecordsReply> reply) = 0;
  virtual void CreateTopic(RequestContext context, CreateTopicRequest request,
                           Reply<TopicInfo> reply) = 0;
  virtual void GetTopic(RequestContext context, GetTopicRequest request,
                        Reply<TopicInfo> reply) = 0;
  virtual void ListTopics(RequestContext context, ListTopicsRequest request,
                          Reply<ListTopicsReply> reply) = 0;
  virtual void AlterTopic(RequestContext context, AlterTopicRequest request,
                          Reply<TopicInfo> reply) = 0;
  virtual void AddPartitions(RequestContext context, AddPartitionsRequest request,
                             Reply<TopicInfo> reply) = 0;
  virtual void MovePartition(RequestContext context, MovePartitionRequest request,
                             Reply<MovePartitionReply> reply) = 0;
  virtual void TransferLeader(RequestContext context, TransferLeaderRequest request,
                              Reply<TransferLeaderReply> reply) = 0;
  virtual void SetBrokerDuty(RequestContext context, SetBrokerDutyRequest request,
                             Reply<SetBrokerDutyReply> reply) = 0;
  virtual void DeleteTopic(RequestContext context, DeleteTopicRequest request,
                           Reply<DeleteTopicReply> reply) = 0;
  virtual void GetFeatures(RequestContext context, GetFeaturesRequest request,
                           Reply<GetFeaturesReply> reply) = 0;
  virtual void GetCluster(RequestContext context, GetClusterRequest request,
                          Reply<GetClusterReply> reply) = 0;
  virtual void ConfirmClock(RequestContext context, ConfirmClockRequest request,
                            Reply<ConfirmClockReply> reply) = 0;
  virtual void DescribeBroker(RequestContext context, DescribeBrokerRequest request,
                              Reply<DescribeBrokerReply> reply) = 0;
  virtual void DescribePartitions(RequestContext context, DescribePartitionsRequest request,
                                  Reply<DescribePartitionsReply> reply) = 0;

  // `events` must live until Close returned.
  virtual absl::StatusOr<std::unique_ptr<ProduceSession>> OpenProduce(RequestContext context,
                                                                      ProduceEvents& events) = 0;
  virtual absl::StatusOr<std::unique_ptr<SubscribeSession>> OpenSubscribe(
      RequestContext context, SubscribeOptions options, SubscribeEvents& events) = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_BROKER_SERVICE_H_
