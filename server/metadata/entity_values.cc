#include "server/metadata/entity_values.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

template <class Message>
absl::Status ParseValue(std::string_view bytes, const char* what, Message* out) {
  if (out->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "a ", what, " of the metadata partition does not parse (",
                   bytes.size(), " bytes)");
}

void Write(ReplicaId replica, state::ReplicaPlacement* out) {
  out->set_node(replica.node.value());
  out->set_replica_epoch(replica.epoch.value());
}

void Write(const PlacedReplica& placed, state::ReplicaPlacement* out) {
  Write(placed.replica, out);
  out->set_broker_epoch(placed.broker_epoch.value());
}

ReplicaId Read(const state::ReplicaPlacement& in) {
  return {NodeId(in.node()), ReplicaEpoch(in.replica_epoch())};
}

// What older records leave out: the epochs began with those of the brokers.
template <class Placements>
std::vector<PlacedReplica> ReadPlaced(const Placements& placements) {
  std::vector<PlacedReplica> out;
  for (const auto& placement : placements) {
    const ReplicaId replica = Read(placement);
    const bool told = placement.broker_epoch() != 0;
    out.push_back({replica, told ? ReplicaEpoch(placement.broker_epoch()) : replica.epoch});
  }
  return out;
}

template <class Placements>
std::vector<ReplicaId> ReadReplicas(const Placements& placements) {
  std::vector<ReplicaId> out;
  for (const auto& placement : placements) out.push_back(Read(placement));
  return out;
}

}  // namespace

EntityChange TopicChange(const TopicEntry& topic) {
  state::TopicValue value;
  value.set_name(topic.name);
  value.set_id(StoredId(topic.id));
  value.set_partitions(static_cast<uint32_t>(topic.partitions.size()));
  value.set_replication_factor(topic.replication_factor);
  value.set_max_batch_bytes(topic.config.max_batch_bytes);
  value.set_segment_bytes(topic.config.segment_bytes);
  value.set_created_ms(topic.created.value());
  if (topic.config.segment_ms) value.set_segment_ms(*topic.config.segment_ms);
  if (topic.config.retention_ms) value.set_retention_ms(*topic.config.retention_ms);
  if (topic.config.retention_bytes) value.set_retention_bytes(*topic.config.retention_bytes);
  return {TopicKey(std::string(kNamespace), topic.id), value.SerializeAsString()};
}

EntityChange PartitionChange(TopicId topic, PartitionId partition,
                             const PartitionPlacement& placement) {
  state::PartitionValue value;
  value.set_group_id(placement.group.value());
  for (const PlacedReplica& placed : placement.replicas) Write(placed, value.add_replicas());
  value.set_created_ms(placement.created.value());
  value.set_last_replica_epoch(placement.last_epoch.value());
  for (const ReplicaId& replica : placement.founders) Write(replica, value.add_founders());
  for (const PlacedReplica& placed : placement.leaving) Write(placed, value.add_leaving());
  return {PartitionKey(std::string(kNamespace), topic, partition), value.SerializeAsString()};
}

EntityChange RemovedGroupChange(GroupId group, const std::vector<ReplicaId>& replicas,
                                WallTime now) {
  state::RemovedGroupValue value;
  for (const ReplicaId& replica : replicas) Write(replica, value.add_replicas());
  value.set_removed_ms(now.value());
  return {RemovedGroupKey(group), value.SerializeAsString()};
}

EntityChange BrokerChange(const BrokerRecord& broker) {
  state::BrokerValue value;
  value.set_directory_id(StoredId(broker.info.directory));
  value.set_client_address(broker.info.client_address);
  value.set_peer_address(broker.info.peer_address);
  value.set_metadata_epoch(broker.metadata_epoch.value());
  value.set_joined_ms(broker.joined.value());
  value.set_duty(static_cast<state::BrokerDuty>(broker.duty));
  value.set_replacement_node(broker.replacement.value());
  return {BrokerKey(broker.info.node), value.SerializeAsString()};
}

absl::StatusOr<std::shared_ptr<TopicEntry>> ReadTopicValue(TopicId id, std::string_view value) {
  state::TopicValue in;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "topic value", &in));
  if (in.partitions() > limits::kMaxPartitionsPerTopic)
    return MakeError(Reason::DATA_LOSS, "topic value claims ", in.partitions(),
                     " partitions, more than ", limits::kMaxPartitionsPerTopic);
  auto topic = std::make_shared<TopicEntry>();
  topic->name = in.name();
  topic->id = id;
  topic->replication_factor = in.replication_factor();
  topic->config.max_batch_bytes = in.max_batch_bytes();
  topic->config.segment_bytes = in.segment_bytes();
  if (in.has_segment_ms()) topic->config.segment_ms = in.segment_ms();
  if (in.has_retention_ms()) topic->config.retention_ms = in.retention_ms();
  if (in.has_retention_bytes()) topic->config.retention_bytes = in.retention_bytes();
  topic->created = WallTime(in.created_ms());
  topic->partitions.resize(in.partitions());
  return topic;
}

absl::StatusOr<PartitionPlacement> ReadPartitionValue(std::string_view value) {
  state::PartitionValue in;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "partition value", &in));
  PartitionPlacement out;
  out.group = GroupId(in.group_id());
  out.created = WallTime(in.created_ms());
  out.last_epoch = ReplicaEpoch(in.last_replica_epoch());
  out.replicas = ReadPlaced(in.replicas());
  out.leaving = ReadPlaced(in.leaving());
  for (const PlacedReplica& placed : out.replicas)
    out.last_epoch = std::max(out.last_epoch, placed.replica.epoch);
  out.founders = in.founders().empty() ? out.goal() : ReadReplicas(in.founders());
  return out;
}

absl::StatusOr<std::vector<ReplicaId>> ReadRemovedGroupValue(std::string_view value) {
  state::RemovedGroupValue in;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "removed group value", &in));
  return ReadReplicas(in.replicas());
}

absl::StatusOr<BrokerRecord> ReadBrokerValue(NodeId node, std::string_view value) {
  state::BrokerValue in;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "broker value", &in));
  BrokerRecord out;
  out.info = {node, {}, in.client_address(), in.peer_address()};
  if (in.directory_id().size() != out.info.directory.bytes.size())
    return MakeError(Reason::DATA_LOSS, "the directory id of broker ", node, " has ",
                     in.directory_id().size(), " bytes");
  std::copy(in.directory_id().begin(), in.directory_id().end(), out.info.directory.bytes.begin());
  out.metadata_epoch = ReplicaEpoch(in.metadata_epoch());
  out.joined = WallTime(in.joined_ms());
  // A duty that a newer version gave is none that brings replicas here.
  out.duty = in.duty() == state::BROKER_DUTY_ACTIVE ? BrokerDuty::kActive
             : in.duty() == state::BROKER_DUTY_LEFT ? BrokerDuty::kLeft
                                                    : BrokerDuty::kLeaving;
  out.replacement = NodeId(in.replacement_node());
  return out;
}

}  // namespace varve::server
