#include "server/rpc/convert.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/metadata/topic_settings.h"
#include "server/rpc/status_codec.h"

namespace varve::server {
namespace {

namespace v1 = varve::v1;

template <class Strings>
std::vector<std::string> Features(const Strings& in) {
  return {in.begin(), in.end()};
}

PlainRecord FromProto(const v1::PlainRecord& in) {
  PlainRecord out;
  if (in.has_key()) out.key = in.key();
  if (in.has_value()) out.value = in.value();
  for (const v1::RecordHeader& header : in.headers())
    out.headers.emplace_back(header.key(),
                             header.has_value() ? std::optional(header.value()) : std::nullopt);
  out.timestamp_ms = in.timestamp_ms();
  return out;
}

void ToProto(const PlainRecord& in, v1::PlainRecord* out) {
  if (in.key) out->set_key(*in.key);
  if (in.value) out->set_value(*in.value);
  for (const auto& [key, value] : in.headers) {
    v1::RecordHeader* header = out->add_headers();
    header->set_key(key);
    if (value) header->set_value(*value);
  }
  out->set_timestamp_ms(in.timestamp_ms);
  out->set_offset(in.offset.value());
}

void ToProto(const TopicInfo& in, v1::Topic* out) {
  out->set_name(in.name);
  out->set_id(IdBytes(in.id));
  out->set_replication_factor(in.replication_factor);
  out->mutable_config()->set_max_batch_bytes(
      in.config.max_batch_bytes == 0 ? limits::kDefaultBatchBytes : in.config.max_batch_bytes);
  out->mutable_config()->set_segment_bytes(
      in.config.segment_bytes == 0 ? limits::kDefaultSegmentBytes : in.config.segment_bytes);
  out->set_created_ms(in.created.value());
  out->set_partition_count(in.partition_count);
  if (in.partitions.empty()) return;
  out->set_state(in.ready ? "ready" : "creating");
  for (const PartitionInfo& partition : in.partitions) {
    v1::Partition* p = out->add_partitions();
    p->set_partition(partition.partition.value());
    p->set_group_id(partition.group.value());
    p->set_leader_node(partition.leader.value());
    p->set_leader_epoch(static_cast<uint32_t>(partition.leader_epoch.value()));
    for (const ReplicaId& replica : partition.replicas) p->add_replica_nodes(replica.node.value());
    p->set_log_start(partition.bounds.log_start.value());
    p->set_high_watermark(partition.bounds.high_watermark.value());
    p->set_size_bytes(partition.size_bytes);
  }
  for (const TopicSetting& setting : DescribeTopicConfig(in.config)) {
    v1::TopicSetting* to = out->add_settings();
    to->set_name(setting.name);
    to->set_value(setting.value);
    to->set_is_default(setting.is_default);
  }
}

}  // namespace

std::string IdBytes(const TopicId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

std::string JoinBatches(const std::vector<Entry>& entries) {
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.header.payload_bytes;
  std::string out;
  out.reserve(bytes);
  for (const Entry& entry : entries) out.append(entry.payload());
  return out;
}

// --- Requests
// -------------------------------------------------------------------------------------

absl::StatusOr<Acks> FromProto(v1::Acks in) {
  switch (in) {
    case v1::ACKS_UNSPECIFIED:
    case v1::ACKS_ALL:
      return Acks::kAll;
    case v1::ACKS_LEADER:
      return Acks::kLeader;
    default:
      return MakeError(Reason::INVALID_REQUEST, "acks ", static_cast<int>(in), " is not known");
  }
}

absl::StatusOr<Isolation> FromProto(v1::Isolation in) {
  switch (in) {
    case v1::ISOLATION_UNSPECIFIED:
    case v1::ISOLATION_READ_COMMITTED:
      return Isolation::kReadCommitted;
    case v1::ISOLATION_READ_UNCOMMITTED:
      return Isolation::kReadUncommitted;
    default:
      return MakeError(Reason::INVALID_REQUEST, "isolation ", static_cast<int>(in),
                       " is not known");
  }
}

absl::StatusOr<Position> FromProto(const v1::Position& in) {
  switch (in.at_case()) {
    case v1::Position::kOffset:
      return Position(Offset(in.offset()));
    case v1::Position::kStart:
      return Position(StartPosition{});
    case v1::Position::kEnd:
      return Position(EndPosition{});
    case v1::Position::kAppendTimeMs:
      return Position(TimePosition{WallTime(in.append_time_ms())});
    case v1::Position::AT_NOT_SET:
      break;
  }
  return MakeError(Reason::INVALID_REQUEST,
                   "the position names neither offset, start, end nor time");
}

absl::StatusOr<ProduceRequest> FromProto(const v1::ProduceRequest& in) {
  ProduceRequest out;
  out.topic = in.topic();
  VARVE_ASSIGN_OR_RETURN(out.acks, FromProto(in.acks()));
  out.required_features = Features(in.required_features());
  for (const v1::ProduceItem& item : in.items()) {
    ProduceItem& to = out.items.emplace_back();
    if (item.has_partition()) to.partition = PartitionId(item.partition());
    switch (item.data_case()) {
      case v1::ProduceItem::kBatch:
        to.data = FrameBuffer::Copy(item.batch());
        break;
      case v1::ProduceItem::kRecords: {
        std::vector<PlainRecord> records;
        for (const v1::PlainRecord& record : item.records().records())
          records.push_back(FromProto(record));
        to.data = std::move(records);
        break;
      }
      case v1::ProduceItem::DATA_NOT_SET:
        return MakeError(Reason::INVALID_REQUEST, "an item holds neither a batch nor records");
    }
  }
  return out;
}

absl::StatusOr<FetchRequest> FromProto(const v1::FetchRequest& in) {
  FetchRequest out;
  for (const v1::FetchPartition& p : in.partitions())
    out.partitions.push_back(
        {p.topic(), PartitionId(p.partition()), Offset(p.offset()), p.max_bytes()});
  out.max_bytes = in.max_bytes();
  out.min_bytes = in.min_bytes();
  out.max_wait_ms = in.max_wait_ms();
  VARVE_ASSIGN_OR_RETURN(out.isolation, FromProto(in.isolation()));
  out.plain_records = in.plain_records();
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<ListOffsetsRequest> FromProto(const v1::ListOffsetsRequest& in) {
  ListOffsetsRequest out;
  for (const v1::ListOffsetsItem& item : in.items()) {
    VARVE_ASSIGN_OR_RETURN(Position position, FromProto(item.position()));
    out.items.push_back({item.topic(), PartitionId(item.partition()), std::move(position)});
  }
  VARVE_ASSIGN_OR_RETURN(out.isolation, FromProto(in.isolation()));
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<CreateTopicRequest> FromProto(const v1::CreateTopicRequest& in) {
  CreateTopicRequest out;
  out.name = in.name();
  out.partitions = in.partitions();
  out.replication_factor = in.replication_factor();
  out.config.max_batch_bytes = in.config().max_batch_bytes();
  out.config.segment_bytes = in.config().segment_bytes();
  out.validate_only = in.validate_only();
  for (const v1::TopicSetting& setting : in.settings())
    out.settings.push_back({setting.name(), setting.value(), false});
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<GetTopicRequest> FromProto(const v1::GetTopicRequest& in) {
  return GetTopicRequest{in.name(), Features(in.required_features())};
}

absl::StatusOr<ListTopicsRequest> FromProto(const v1::ListTopicsRequest& in) {
  return ListTopicsRequest{in.page_size(), in.page_token(), in.with_partitions(),
                           Features(in.required_features())};
}

absl::Status ReadTopicId(const std::string& in, std::optional<TopicId>* out) {
  if (in.empty()) return absl::OkStatus();
  TopicId id;
  if (in.size() != id.bytes.size())
    return MakeError(Reason::INVALID_REQUEST, "a topic id has ", id.bytes.size(), " bytes, not ",
                     in.size());
  std::copy(in.begin(), in.end(), id.bytes.begin());
  *out = id;
  return absl::OkStatus();
}

absl::StatusOr<AlterTopicRequest> FromProto(const v1::AlterTopicRequest& in) {
  AlterTopicRequest out;
  out.name = in.name();
  VARVE_RETURN_IF_ERROR(ReadTopicId(in.id(), &out.id));
  for (const v1::TopicSetting& setting : in.set())
    out.set.push_back({setting.name(), setting.value(), false});
  out.unset.assign(in.unset().begin(), in.unset().end());
  out.validate_only = in.validate_only();
  out.replication_factor = in.replication_factor();
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<DeleteTopicRequest> FromProto(const v1::DeleteTopicRequest& in) {
  DeleteTopicRequest out{in.name(), std::nullopt, Features(in.required_features())};
  VARVE_RETURN_IF_ERROR(ReadTopicId(in.id(), &out.id));
  return out;
}

absl::StatusOr<DeleteRecordsRequest> FromProto(const v1::DeleteRecordsRequest& in) {
  DeleteRecordsRequest out;
  for (const v1::DeleteRecordsItem& item : in.items()) {
    DeleteRecordsItem& to = out.items.emplace_back();
    to.topic = item.topic();
    to.partition = PartitionId(item.partition());
    if (item.has_offset())
      to.before = Offset(item.offset());
    else if (!item.high_watermark())
      return MakeError(Reason::INVALID_REQUEST,
                       "the item names neither an offset nor the high watermark");
  }
  out.required_features = Features(in.required_features());
  return out;
}

absl::StatusOr<GetFeaturesRequest> FromProto(const v1::GetFeaturesRequest& in) {
  return GetFeaturesRequest{Features(in.required_features())};
}

absl::StatusOr<GetClusterRequest> FromProto(const v1::GetClusterRequest& in) {
  return GetClusterRequest{Features(in.required_features())};
}

absl::StatusOr<ConfirmClockRequest> FromProto(const v1::ConfirmClockRequest& in) {
  return ConfirmClockRequest{Features(in.required_features())};
}

// --- Replies
// --------------------------------------------------------------------------------------

void ToProto(const ProduceReply& in, v1::ProduceReply* out) {
  for (const ProduceResult& result : in.results) {
    v1::ProduceResult* to = out->add_results();
    to->set_partition(result.partition.value());
    if (!result.status.ok()) {
      EncodeStatus(result.status, to->mutable_error());
      continue;
    }
    to->set_base_offset(result.base_offset.value());
    to->set_append_time_ms(result.append_time.value());
    to->set_leader_epoch(static_cast<uint32_t>(result.leader_epoch.value()));
  }
}

void ToProto(const FetchReply& in, v1::FetchReply* out) {
  for (const FetchResult& result : in.results) {
    v1::FetchResult* to = out->add_results();
    to->set_topic(result.topic);
    to->set_partition(result.partition.value());
    to->set_next_offset(result.next_offset.value());
    to->set_high_watermark(result.bounds.high_watermark.value());
    to->set_last_stable_offset(result.bounds.last_stable.value());
    to->set_log_start(result.bounds.log_start.value());
    to->set_leader_epoch(static_cast<uint32_t>(result.leader_epoch.value()));
    if (!result.status.ok()) EncodeStatus(result.status, to->mutable_error());
    to->set_batches(JoinBatches(result.entries));
    for (const PlainRecord& record : result.records) ToProto(record, to->add_records());
  }
}

void ToProto(const ListOffsetsReply& in, v1::ListOffsetsReply* out) {
  for (const ListOffsetsResult& result : in.results) {
    v1::ListOffsetsResult* to = out->add_results();
    to->set_topic(result.topic);
    to->set_partition(result.partition.value());
    to->set_offset(result.offset.value());
    to->set_append_time_ms(result.append_time ? result.append_time->value() : -1);
    to->set_leader_epoch(static_cast<uint32_t>(result.leader_epoch.value()));
    if (!result.status.ok()) EncodeStatus(result.status, to->mutable_error());
  }
}

void ToProto(const DeleteRecordsReply& in, v1::DeleteRecordsReply* out) {
  for (const DeleteRecordsResult& result : in.results) {
    v1::DeleteRecordsResult* to = out->add_results();
    to->set_topic(result.topic);
    to->set_partition(result.partition.value());
    to->set_log_start(result.log_start.value());
    if (!result.status.ok()) EncodeStatus(result.status, to->mutable_error());
  }
}

void ToProto(const TopicInfo& in, v1::CreateTopicReply* out) { ToProto(in, out->mutable_topic()); }
void ToProto(const TopicInfo& in, v1::AddPartitionsReply* out) {
  ToProto(in, out->mutable_topic());
}
void ToProto(const TopicInfo& in, v1::AlterTopicReply* out) { ToProto(in, out->mutable_topic()); }
void ToProto(const TopicInfo& in, v1::GetTopicReply* out) { ToProto(in, out->mutable_topic()); }

void ToProto(const ListTopicsReply& in, v1::ListTopicsReply* out) {
  for (const TopicInfo& topic : in.topics) ToProto(topic, out->add_topics());
  out->set_next_page_token(in.next_page_token);
}

void ToProto(const ConfirmClockReply& in, v1::ConfirmClockReply* out) {
  out->set_paused_because(in.paused_because);
}

void ToProto(const DeleteTopicReply&, v1::DeleteTopicReply*) {}

void ToProto(const GetFeaturesReply& in, v1::GetFeaturesReply* out) {
  out->set_version(in.version);
  for (const std::string& feature : in.features) out->add_features(feature);
  out->set_max_request_bytes(limits::kMaxRequestBytes);
  out->set_max_batch_bytes(limits::kMaxBatchBytes);
}

void ToProto(const GetClusterReply& in, v1::GetClusterReply* out) {
  out->set_cluster_id(
      {reinterpret_cast<const char*>(in.cluster.bytes.data()), in.cluster.bytes.size()});
  out->set_controller_node(in.controller.value());
  out->set_answering_node(in.answering.value());
  for (const ClusterBroker& broker : in.brokers) {
    v1::Broker* to = out->add_brokers();
    to->set_node(broker.node.value());
    to->set_address(broker.address);
    to->set_leaving(broker.leaving);
    to->set_replacement_node(broker.replacement.value());
    to->set_replicas(broker.replicas);
  }
}

}  // namespace varve::server
