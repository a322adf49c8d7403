#include "varve/admin.h"

#include <utility>

#include "client/core/blocking.h"
#include "client/core/offset_lookup.h"
#include "client/core/status_mapping.h"
#include "client_wire/cluster.pb.h"
#include "client_wire/log.pb.h"
#include "client_wire/topic.pb.h"

namespace varve {
inline namespace v0 {
namespace {

using client::CallAndWait;
using client::CallKind;
namespace wire = client::wire;

constexpr char kDeleteRecords[] = "/varve.v1.LogService/DeleteRecords";
// Hints about who leads that one call follows.
constexpr int kMostRedirects = 5;

std::string Hexadecimal(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

TopicDescription FromWire(const wire::Topic& topic) {
  TopicDescription out;
  out.name = topic.name();
  out.id = Hexadecimal(topic.id());
  out.replication_factor = topic.replication_factor();
  out.settings = {topic.config().max_batch_bytes(), topic.config().segment_bytes()};
  out.created_ms = topic.created_ms();
  out.partition_count = topic.partition_count();
  out.state = topic.state();
  for (const wire::TopicSetting& setting : topic.settings())
    out.named_settings.push_back({setting.name(), setting.value(), setting.is_default()});
  for (const wire::Partition& from : topic.partitions()) {
    PartitionDescription& to = out.partitions.emplace_back();
    to.partition = from.partition();
    to.group_id = from.group_id();
    to.leader_node = from.leader_node();
    to.leader_epoch = from.leader_epoch();
    to.replica_nodes.assign(from.replica_nodes().begin(), from.replica_nodes().end());
    to.log_start = from.log_start();
    to.high_watermark = from.high_watermark();
    to.size_bytes = from.size_bytes();
  }
  return out;
}

}  // namespace

Admin::Admin(const Client& client) : core_(client.core_) {}

Result<TopicDescription> Admin::CreateTopic(const NewTopic& topic) {
  wire::CreateTopicRequest request;
  request.set_name(topic.name);
  request.set_partitions(topic.partitions);
  request.set_replication_factor(topic.replication_factor);
  request.mutable_config()->set_max_batch_bytes(topic.settings.max_batch_bytes);
  request.mutable_config()->set_segment_bytes(topic.settings.segment_bytes);
  request.set_validate_only(topic.validate_only);
  for (const TopicSetting& setting : topic.named_settings) {
    wire::TopicSetting* to = request.add_settings();
    to->set_name(setting.name);
    to->set_value(setting.value);
  }
  std::shared_ptr<wire::CreateTopicReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/CreateTopic",
                                  std::move(request), &reply);
      !status.ok()) {
    return status;
  }
  return FromWire(reply->topic());
}

Result<TopicDescription> Admin::GetTopic(std::string_view name) {
  wire::GetTopicRequest request;
  request.set_name(std::string(name));
  std::shared_ptr<wire::GetTopicReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kRead, "/varve.v1.TopicService/GetTopic",
                                  std::move(request), &reply);
      !status.ok()) {
    return status;
  }
  return FromWire(reply->topic());
}

Result<std::vector<TopicDescription>> Admin::ListTopics(bool with_partitions) {
  std::vector<TopicDescription> out;
  std::string page;
  do {
    wire::ListTopicsRequest request;
    request.set_with_partitions(with_partitions);
    request.set_page_token(page);
    std::shared_ptr<wire::ListTopicsReply> reply;
    if (Status status = CallAndWait(core_, CallKind::kRead, "/varve.v1.TopicService/ListTopics",
                                    std::move(request), &reply);
        !status.ok()) {
      return status;
    }
    for (const wire::Topic& topic : reply->topics()) out.push_back(FromWire(topic));
    page = reply->next_page_token();
  } while (!page.empty());
  return out;
}

Status Admin::DeleteTopic(std::string_view name) {
  wire::DeleteTopicRequest request;
  request.set_name(std::string(name));
  std::shared_ptr<wire::DeleteTopicReply> reply;
  return CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/DeleteTopic",
                     std::move(request), &reply);
}

Result<TopicDescription> Admin::AlterTopic(std::string_view name,
                                           const std::vector<TopicSetting>& set,
                                           const std::vector<std::string>& unset,
                                           bool validate_only) {
  wire::AlterTopicRequest request;
  request.set_name(std::string(name));
  for (const TopicSetting& setting : set) {
    wire::TopicSetting* to = request.add_set();
    to->set_name(setting.name);
    to->set_value(setting.value);
  }
  for (const std::string& setting : unset) request.add_unset(setting);
  request.set_validate_only(validate_only);
  std::shared_ptr<wire::AlterTopicReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/AlterTopic",
                                  std::move(request), &reply);
      !status.ok()) {
    return status;
  }
  return FromWire(reply->topic());
}

Result<TopicDescription> Admin::SetReplication(std::string_view name, uint32_t factor) {
  wire::AlterTopicRequest request;
  request.set_name(std::string(name));
  request.set_replication_factor(factor);
  std::shared_ptr<wire::AlterTopicReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/AlterTopic",
                                  std::move(request), &reply);
      !status.ok()) {
    return status;
  }
  return FromWire(reply->topic());
}

Result<TopicDescription> Admin::AddPartitions(std::string_view name, uint32_t partitions,
                                              bool validate_only) {
  wire::AddPartitionsRequest request;
  request.set_name(std::string(name));
  request.set_partitions(partitions);
  request.set_validate_only(validate_only);
  std::shared_ptr<wire::AddPartitionsReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/AddPartitions",
                                  std::move(request), &reply);
      !status.ok()) {
    return status;
  }
  return FromWire(reply->topic());
}

Status Admin::MovePartition(const TopicPartition& partition, const std::vector<uint32_t>& nodes) {
  wire::MovePartitionRequest request;
  request.set_topic(partition.topic);
  request.set_partition(partition.partition);
  for (const uint32_t node : nodes) request.add_replica_nodes(node);
  std::shared_ptr<wire::MovePartitionReply> reply;
  return CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/MovePartition",
                     std::move(request), &reply);
}

Status Admin::TransferLeader(const TopicPartition& partition, uint32_t node) {
  wire::TransferLeaderRequest request;
  request.set_topic(partition.topic);
  request.set_partition(partition.partition);
  request.set_to_node(node);
  std::shared_ptr<wire::TransferLeaderReply> reply;
  return CallAndWait(core_, CallKind::kWrite, "/varve.v1.TopicService/TransferLeader",
                     std::move(request), &reply);
}

Status Admin::RemoveBroker(uint32_t node, uint32_t replacement_node) {
  wire::SetBrokerDutyRequest request;
  request.set_node(node);
  request.set_leave(true);
  request.set_replacement_node(replacement_node);
  std::shared_ptr<wire::SetBrokerDutyReply> reply;
  return CallAndWait(core_, CallKind::kWrite, "/varve.v1.ClusterService/SetBrokerDuty",
                     std::move(request), &reply);
}

Status Admin::KeepBroker(uint32_t node) {
  wire::SetBrokerDutyRequest request;
  request.set_node(node);
  std::shared_ptr<wire::SetBrokerDutyReply> reply;
  return CallAndWait(core_, CallKind::kWrite, "/varve.v1.ClusterService/SetBrokerDuty",
                     std::move(request), &reply);
}

Result<int64_t> Admin::DeleteRecords(const TopicPartition& partition, int64_t before) {
  wire::DeleteRecordsRequest request;
  wire::DeleteRecordsItem* item = request.add_items();
  item->set_topic(partition.topic);
  item->set_partition(partition.partition);
  if (before < 0) {
    item->set_high_watermark(true);
  } else {
    item->set_offset(before);
  }
  std::shared_ptr<wire::DeleteRecordsReply> reply;
  Status status = CallAndWait(core_, CallKind::kWrite, kDeleteRecords, request, &reply);
  // Whoever does not lead has deleted nothing and says who leads.
  for (int redirects = 0;; ++redirects) {
    if (!status.ok()) return status;
    if (reply->results_size() != 1) {
      return client::Error(Reason::INTERNAL, "the broker left out an answer");
    }
    Status outcome = client::FromWire(reply->results(0).error());
    if (outcome.ok()) return reply->results(0).log_start();
    const std::string leader(outcome.Detail("leader_address"));
    if (outcome.reason() != "NOT_LEADER" || leader.empty() || redirects == kMostRedirects) {
      return outcome;
    }
    status = client::CallAtAndWait(core_, leader, kDeleteRecords, request, &reply);
  }
}

Result<std::string> Admin::ConfirmClock() {
  std::shared_ptr<wire::ConfirmClockReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kWrite, "/varve.v1.ClusterService/ConfirmClock",
                                  wire::ConfirmClockRequest(), &reply);
      !status.ok()) {
    return status;
  }
  return reply->paused_because();
}

Result<std::vector<OffsetAnswer>> Admin::ListOffsets(const std::vector<OffsetQuery>& queries) {
  return client::LookUpOffsets(core_, queries, ReadIsolation::kCommitted,
                               core_->options().request_timeout);
}

Result<Features> Admin::GetFeatures() {
  std::shared_ptr<wire::GetFeaturesReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kRead, "/varve.v1.ClusterService/GetFeatures",
                                  wire::GetFeaturesRequest(), &reply);
      !status.ok()) {
    return status;
  }
  return Features{reply->version(),
                  {reply->features().begin(), reply->features().end()},
                  reply->max_request_bytes(),
                  reply->max_batch_bytes()};
}

Result<ClusterDescription> Admin::GetCluster() {
  std::shared_ptr<wire::GetClusterReply> reply;
  if (Status status = CallAndWait(core_, CallKind::kRead, "/varve.v1.ClusterService/GetCluster",
                                  wire::GetClusterRequest(), &reply);
      !status.ok()) {
    return status;
  }
  ClusterDescription out{
      Hexadecimal(reply->cluster_id()), reply->controller_node(), reply->answering_node(), {}};
  for (const wire::Broker& broker : reply->brokers()) {
    out.brokers.push_back({broker.node(), broker.address(), broker.leaving(),
                           broker.replacement_node(), broker.replicas()});
  }
  return out;
}

}  // namespace v0
}  // namespace varve
