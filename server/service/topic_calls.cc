// LocalService: topics, features, cluster. Decisions are the controller's; look-ups are the
// catalogue's.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "server/service/local_service.h"
#include "server/version.h"

namespace varve::server {
namespace {

constexpr uint32_t kMaxPage = 1000;

TopicInfo Summarise(const TopicEntry& topic) {
  TopicInfo info;
  info.name = topic.name;
  info.id = topic.id;
  info.partition_count = static_cast<uint32_t>(topic.partitions.size());
  info.replication_factor = topic.replication_factor;
  info.config = topic.config;
  info.created = topic.created;
  return info;
}

// The parts of one description, filled in from several shards.
struct Description {
  std::mutex mutex;
  TopicInfo info;
  size_t left = 0;
  bool ready = true;
  absl::AnyInvocable<void(TopicInfo)> done;

  // What a replica here knows; of other partitions, who leads them.
  void Set(size_t i, const Partition* partition, const ClusterView& view) {
    std::unique_lock lock(mutex);
    PartitionInfo& out = info.partitions[i];
    if (partition != nullptr && !partition->out_of_service()) {
      out.leader = partition->leader();
      out.leader_epoch = partition->leader_epoch();
      out.bounds = partition->bounds();
      out.size_bytes = partition->size_bytes();
    } else if (const auto leader = view.LeaderOf(out.group)) {
      out.leader = leader->node;
      out.leader_epoch = leader->term;
    }
    ready = ready && out.leader != NodeId{};
    if (--left > 0) return;
    info.ready = ready;
    TopicInfo result = std::move(info);
    lock.unlock();
    done(std::move(result));
  }
};

}  // namespace

void LocalService::DescribeTopic(TopicRef topic, absl::AnyInvocable<void(TopicInfo)> done) {
  auto description = std::make_shared<Description>();
  description->info = Summarise(*topic);
  description->left = topic->partitions.size();
  description->done = std::move(done);
  for (size_t i = 0; i < topic->partitions.size(); ++i) {
    PartitionInfo info;
    info.partition = PartitionId(static_cast<uint32_t>(i));
    info.group = topic->partitions[i].group;
    info.replicas = topic->partitions[i].goal();
    description->info.partitions.push_back(std::move(info));
  }
  for (size_t i = 0; i < topic->partitions.size(); ++i)
    parts_.host.With(topic->partitions[i].group, [this, description, i](Partition* partition) {
      description->Set(i, partition, parts_.view);
    });
}

absl::AnyInvocable<void(absl::StatusOr<TopicRef>)> LocalService::AnswerTopic(
    std::shared_ptr<PendingReply<TopicInfo>> pending, bool validate_only) {
  return
      [this, pending = std::move(pending), validate_only](const absl::StatusOr<TopicRef>& topic) {
        if (!topic.ok()) return pending->Answer(topic.status());
        if (validate_only) return pending->Answer(Summarise(**topic));
        DescribeTopic(*topic, [pending](TopicInfo info) { pending->Answer(std::move(info)); });
      };
}

void LocalService::CreateTopic(RequestContext context, CreateTopicRequest request,
                               Reply<TopicInfo> reply) {
  auto pending = Admit(context, Rpc::kCreateTopic, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const bool validate_only = request.validate_only;
  WithController(std::move(pending), [this, request = std::move(request), validate_only](
                                         Controller& controller, auto answer) mutable {
    controller.CreateTopic(std::move(request), AnswerTopic(std::move(answer), validate_only));
  });
}

void LocalService::AlterTopic(RequestContext context, AlterTopicRequest request,
                              Reply<TopicInfo> reply) {
  auto pending = Admit(context, Rpc::kAlterTopic, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const bool validate_only = request.validate_only;
  WithController(std::move(pending), [this, request = std::move(request), validate_only](
                                         Controller& controller, auto answer) mutable {
    controller.AlterTopic(std::move(request), AnswerTopic(std::move(answer), validate_only));
  });
}

void LocalService::AddPartitions(RequestContext context, AddPartitionsRequest request,
                                 Reply<TopicInfo> reply) {
  auto pending =
      Admit(context, Rpc::kAddPartitions, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const bool validate_only = request.validate_only;
  WithController(std::move(pending), [this, request = std::move(request), validate_only](
                                         Controller& controller, auto answer) mutable {
    controller.AddPartitions(std::move(request), AnswerTopic(std::move(answer), validate_only));
  });
}

void LocalService::DeleteTopic(RequestContext context, DeleteTopicRequest request,
                               Reply<DeleteTopicReply> reply) {
  auto pending = Admit(context, Rpc::kDeleteTopic, 0, request.required_features, std::move(reply));
  if (!pending) return;
  WithController(
      std::move(pending),
      [this, request = std::move(request)](
          Controller& controller, std::shared_ptr<PendingReply<DeleteTopicReply>> answer) mutable {
        const std::string name = request.name;
        controller.DeleteTopic(std::move(request), [this, answer, name](absl::Status status) {
          if (!status.ok()) return answer->Answer(std::move(status));
          parts_.metrics.ForgetTopic(name);
          answer->Answer(DeleteTopicReply{});
        });
      });
}

void LocalService::GetTopic(RequestContext context, GetTopicRequest request,
                            Reply<TopicInfo> reply) {
  auto pending = Admit(context, Rpc::kGetTopic, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const TopicRef topic = parts_.catalogue.Find(request.name);
  if (!topic) {
    return parts_.host.ShardOf(kMetadataGroup).Post([pending, name = request.name] {
      pending->Answer(UnknownTopic(name));
    });
  }
  DescribeTopic(topic, [pending](TopicInfo info) { pending->Answer(std::move(info)); });
}

void LocalService::ListTopics(RequestContext context, ListTopicsRequest request,
                              Reply<ListTopicsReply> reply) {
  auto pending = Admit(context, Rpc::kListTopics, 0, request.required_features, std::move(reply));
  if (!pending) return;
  const uint32_t page = request.page_size == 0 ? kMaxPage : std::min(request.page_size, kMaxPage);
  auto topics = parts_.catalogue.List(request.page_token, page + 1);
  auto out = std::make_shared<ListTopicsReply>();
  if (topics.size() > page) {
    topics.pop_back();
    out->next_page_token = topics.back()->name;
  }
  out->topics.resize(topics.size());
  if (!request.with_partitions || topics.empty()) {
    for (size_t i = 0; i < topics.size(); ++i) out->topics[i] = Summarise(*topics[i]);
    return parts_.host.ShardOf(kMetadataGroup).Post([pending, out] {
      pending->Answer(std::move(*out));
    });
  }
  struct Gathered {
    std::mutex mutex;
    size_t left;
  };
  auto gathered = std::make_shared<Gathered>();
  gathered->left = topics.size();
  for (size_t i = 0; i < topics.size(); ++i) {
    DescribeTopic(topics[i], [pending, out, gathered, i](TopicInfo info) {
      std::unique_lock lock(gathered->mutex);
      out->topics[i] = std::move(info);
      if (--gathered->left > 0) return;
      lock.unlock();
      pending->Answer(std::move(*out));
    });
  }
}

void LocalService::GetFeatures(RequestContext context, GetFeaturesRequest request,
                               Reply<GetFeaturesReply> reply) {
  auto pending = Admit(context, Rpc::kGetFeatures, 0, request.required_features, std::move(reply));
  if (!pending) return;
  GetFeaturesReply out;
  out.version = kVersion;
  for (const std::string_view feature : SupportedFeatures()) out.features.emplace_back(feature);
  parts_.host.ShardOf(kMetadataGroup).Post([pending, out = std::move(out)]() mutable {
    pending->Answer(std::move(out));
  });
}

void LocalService::GetCluster(RequestContext context, GetClusterRequest request,
                              Reply<GetClusterReply> reply) {
  auto pending = Admit(context, Rpc::kGetCluster, 0, request.required_features, std::move(reply));
  if (!pending) return;
  GetClusterReply out{parts_.cluster, NodeId{}, parts_.self, {}};
  if (const auto controller = parts_.view.LeaderOf(kMetadataGroup))
    out.controller = controller->node;
  const auto add = [&](NodeId node, const std::string& address) {
    ClusterBroker& broker = out.brokers.emplace_back();
    broker.node = node;
    broker.address = address;
    const auto leaving = parts_.view.LeavingFor(node);
    broker.leaving = leaving.has_value();
    broker.replacement = leaving.value_or(NodeId{});
    if (leaving) broker.replicas = parts_.catalogue.CountReplicas(node);
  };
  add(parts_.self, parts_.advertised_address);
  for (const BrokerInfo& broker : parts_.view.brokers())
    if (broker.node != parts_.self) add(broker.node, broker.client_address);
  std::sort(out.brokers.begin(), out.brokers.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  parts_.host.ShardOf(kMetadataGroup).Post([pending, out = std::move(out)]() mutable {
    pending->Answer(std::move(out));
  });
}

void LocalService::ConfirmClock(RequestContext context, ConfirmClockRequest request,
                                Reply<ConfirmClockReply> reply) {
  auto pending = Admit(context, Rpc::kConfirmClock, 0, request.required_features, std::move(reply));
  if (!pending) return;
  ConfirmClockReply out{parts_.host.clock_watch().Check()};
  parts_.host.clock_watch().Confirm();
  if (!out.paused_because.empty()) parts_.host.ReviewRetention();
  parts_.host.ShardOf(kMetadataGroup).Post([pending, out = std::move(out)]() mutable {
    pending->Answer(std::move(out));
  });
}

}  // namespace varve::server
