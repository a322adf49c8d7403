// LocalService: BrokerService on this broker's partitions.
#ifndef VARVE_SERVER_SERVICE_LOCAL_SERVICE_H_
#define VARVE_SERVER_SERVICE_LOCAL_SERVICE_H_

#include <functional>
#include <memory>
#include <string>

#include "server/broker_watch.h"
#include "server/metadata/catalogue.h"
#include "server/metadata/cluster_view.h"
#include "server/metadata/controller.h"
#include "server/metrics/broker_metrics.h"
#include "server/partition/partition_host.h"
#include "server/service/broker_service.h"
#include "server/service/gate.h"
#include "server/service/pending_reply.h"
#include "storage/data_directory.h"

namespace varve::server {

// What the service works on. All references outlive it.
struct LocalServiceParts {
  const Clock& clock;
  Gate& gate;
  BrokerMetrics& metrics;
  Catalogue& catalogue;
  ClusterView& view;
  PartitionHost& host;
  // The controller, on the metadata partition's shard; null before the broker is ready.
  std::function<Controller*()> controller;
  storage::DataDirectory& directory;
  BrokerWatch& watch;
  // What can be seen of this broker now; answers on the metadata partition's shard.
  std::function<void(absl::AnyInvocable<void(BrokerSight)>)> look;
  ClusterId cluster;
  NodeId self;
  std::string advertised_address;
  // Asks another broker to lead a group; empty: this one is alone.
  std::function<void(TransferRequest, Reply<TransferReply>)> ask_to_lead;
};

// One call file per request family: produce_call.cc, fetch_call.cc, list_offsets_call.cc,
// delete_records_call.cc, topic_calls.cc, status_calls.cc; sessions have their own classes. The
// thread-safety and reply rules are those of BrokerService.
class LocalService final : public BrokerService {
 public:
  explicit LocalService(LocalServiceParts parts) : parts_(std::move(parts)) {}

  void Produce(RequestContext context, ProduceRequest request, Reply<ProduceReply> reply) override;
  void Fetch(RequestContext context, FetchRequest request, Reply<FetchReply> reply) override;
  void ListOffsets(RequestContext context, ListOffsetsRequest request,
                   Reply<ListOffsetsReply> reply) override;
  void DeleteRecords(RequestContext context, DeleteRecordsRequest request,
                     Reply<DeleteRecordsReply> reply) override;
  void CreateTopic(RequestContext context, CreateTopicRequest request,
                   Reply<TopicInfo> reply) override;
  void GetTopic(RequestContext context, GetTopicRequest request, Reply<TopicInfo> reply) override;
  void ListTopics(RequestContext context, ListTopicsRequest request,
                  Reply<ListTopicsReply> reply) override;
  void AlterTopic(RequestContext context, AlterTopicRequest request,
                  Reply<TopicInfo> reply) override;
  void AddPartitions(RequestContext context, AddPartitionsRequest request,
                     Reply<TopicInfo> reply) override;
  void MovePartition(RequestContext context, MovePartitionRequest request,
                     Reply<MovePartitionReply> reply) override;
  void TransferLeader(RequestContext context, TransferLeaderRequest request,
                      Reply<TransferLeaderReply> reply) override;
  void SetBrokerDuty(RequestContext context, SetBrokerDutyRequest request,
                     Reply<SetBrokerDutyReply> reply) override;
  void DeleteTopic(RequestContext context, DeleteTopicRequest request,
                   Reply<DeleteTopicReply> reply) override;
  void GetFeatures(RequestContext context, GetFeaturesRequest request,
                   Reply<GetFeaturesReply> reply) override;
  void GetCluster(RequestContext context, GetClusterRequest request,
                  Reply<GetClusterReply> reply) override;
  void ConfirmClock(RequestContext context, ConfirmClockRequest request,
                    Reply<ConfirmClockReply> reply) override;
  void DescribeBroker(RequestContext context, DescribeBrokerRequest request,
                      Reply<DescribeBrokerReply> reply) override;
  void DescribePartitions(RequestContext context, DescribePartitionsRequest request,
                          Reply<DescribePartitionsReply> reply) override;
  absl::StatusOr<std::unique_ptr<ProduceSession>> OpenProduce(RequestContext context,
                                                              ProduceEvents& events) override;
  absl::StatusOr<std::unique_ptr<SubscribeSession>> OpenSubscribe(RequestContext context,
                                                                  SubscribeOptions options,
                                                                  SubscribeEvents& events) override;

 private:
  // Admits the request and arms its deadline; null when it was refused (and answered, posted).
  template <class T>
  std::shared_ptr<PendingReply<T>> Admit(const RequestContext& context, Rpc rpc, size_t bytes,
                                         const std::vector<std::string>& features, Reply<T> reply) {
    Executor& home = parts_.host.ShardOf(kMetadataGroup);
    auto permit = parts_.gate.Admit(context, rpc, bytes);
    absl::Status status = permit.ok() ? CheckFeatures(features) : permit.status();
    auto pending = std::make_shared<PendingReply<T>>(
        parts_.metrics, parts_.clock, rpc, permit.ok() ? std::move(*permit) : MemoryPermit(),
        std::move(reply));
    if (!status.ok()) {
      home.Post([pending, status = std::move(status)] { pending->Answer(status); });
      return nullptr;
    }
    pending->ArmDeadline(home, context.deadline);
    pending->WatchCaller(home, *context.cancellation);
    return pending;
  }
  // Runs `use(controller, pending)` on the metadata partition's shard.
  template <class T, class Use>
  void WithController(std::shared_ptr<PendingReply<T>> pending, Use use) {
    parts_.host.ShardOf(kMetadataGroup)
        .Post([this, pending = std::move(pending), use = std::move(use)]() mutable {
          Controller* controller = parts_.controller();
          if (controller == nullptr)
            return pending->Answer(MakeError(Reason::STARTING, "the broker is starting"));
          use(*controller, std::move(pending));
        });
  }
  // Answers with the topic as it is once the decision about it is made.
  absl::AnyInvocable<void(absl::StatusOr<TopicRef>)> AnswerTopic(
      std::shared_ptr<PendingReply<TopicInfo>> pending, bool validate_only);
  // Bounds and leaders of a topic's partitions, gathered from their shards; `done` on some shard.
  void DescribeTopic(TopicRef topic, absl::AnyInvocable<void(TopicInfo)> done);

  [[nodiscard]] DescribeBrokerReply DescribeSelf(const BrokerSight& sight) const;

  LocalServiceParts parts_;
};

// Where a position lies now. On the partition's shard; `done` runs there, never from within the
// call. OFFSET_OUT_OF_RANGE, OFFSET_NOT_AVAILABLE as Partition::Read.
struct ResolvedOffset {
  Offset offset;
  std::optional<WallTime> append_time;
};
void ResolvePosition(Partition& partition, const Position& position,
                     absl::AnyInvocable<void(absl::StatusOr<ResolvedOffset>)> done);

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_LOCAL_SERVICE_H_
