#include "server/metadata/metadata_fold.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/record_batch.h"
#include "common/record_batch_builder.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

template <class Id>
bool ReadId(const std::string& bytes, Id* out) {
  if (bytes.size() != out->bytes.size()) return false;
  std::copy(bytes.begin(), bytes.end(), out->bytes.begin());
  return true;
}

template <class Message>
absl::Status ParseValue(std::string_view bytes, const char* what, Message* out) {
  if (out->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "a ", what, " of the metadata partition does not parse (",
                   bytes.size(), " bytes)");
}

template <class Placements>
std::vector<ReplicaId> ReadReplicas(const Placements& placements) {
  std::vector<ReplicaId> out;
  for (const auto& p : placements)
    out.push_back({NodeId(p.node()), ReplicaEpoch(p.replica_epoch())});
  return out;
}

absl::StatusOr<std::shared_ptr<TopicEntry>> ReadTopic(TopicId id, std::string_view value) {
  state::TopicValue value_message;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "topic value", &value_message));
  if (value_message.partitions() > limits::kMaxPartitionsPerTopic)
    return MakeError(Reason::DATA_LOSS, "topic value claims ", value_message.partitions(),
                     " partitions, more than ", limits::kMaxPartitionsPerTopic);
  auto topic = std::make_shared<TopicEntry>();
  topic->name = value_message.name();
  topic->id = id;
  topic->replication_factor = value_message.replication_factor();
  topic->config.max_batch_bytes = value_message.max_batch_bytes();
  topic->config.segment_bytes = value_message.segment_bytes();
  if (value_message.has_segment_ms()) topic->config.segment_ms = value_message.segment_ms();
  if (value_message.has_retention_ms()) topic->config.retention_ms = value_message.retention_ms();
  if (value_message.has_retention_bytes())
    topic->config.retention_bytes = value_message.retention_bytes();
  topic->created = WallTime(value_message.created_ms());
  topic->partitions.resize(value_message.partitions());
  return topic;
}

}  // namespace

absl::StatusOr<std::string> EncodeMetadataBatch(const std::vector<EntityChange>& changes,
                                                WallTime timestamp) {
  RecordBatchBuilder builder;
  for (const EntityChange& change : changes) {
    const std::string key = EncodeEntityKey(change.key);
    std::optional<std::string_view> value;
    if (change.value) value = *change.value;
    VARVE_RETURN_IF_ERROR(builder.Add(timestamp, std::string_view(key), value));
  }
  return builder.Build();
}

MetadataFold::MetadataFold(storage::StateStore& store, Catalogue& catalogue, ClusterView& view)
    : store_(store), catalogue_(catalogue), view_(view) {}

absl::Status MetadataFold::Load() {
  VARVE_ASSIGN_OR_RETURN(const auto fold, store_.FindFold(kMetadataGroup));
  if (!fold) return Restart();
  generation_ = fold->generation;
  position_ = fold->position;
  view_.ClearBrokers();
  catalogue_.Clear();
  std::map<TopicId, Draft> drafts;
  MetadataChanges changes;
  absl::Status status;
  VARVE_RETURN_IF_ERROR(store_.Scan(
      kMetadataGroup, generation_, "", [&](std::string_view key, std::string_view value) {
        auto entity = DecodeEntityKey(key);
        status = entity.ok() ? ReadEntity(*entity, value, &drafts, &changes) : entity.status();
        return status.ok();
      }));
  VARVE_RETURN_IF_ERROR(status);
  return Publish(std::move(drafts), &changes);
}

absl::Status MetadataFold::Restart() {
  VARVE_ASSIGN_OR_RETURN(generation_, store_.BeginFold(kMetadataGroup));
  position_ = {};
  next_group_ = kFirstTopicGroup;
  has_cluster_ = false;
  removed_groups_.clear();
  metadata_epochs_.clear();
  view_.ClearBrokers();
  catalogue_.Clear();
  return absl::OkStatus();
}

absl::StatusOr<MetadataChanges> MetadataFold::Apply(const Entry& entry) {
  VARVE_CHECK(entry.header.first_index == position_.applied + 1, "entry ", entry.header.first_index,
              " after applied ", position_.applied);
  MetadataChanges changes;
  storage::StateBatch batch;
  std::map<TopicId, Draft> drafts;
  if (entry.header.kind == EntryKind::kData) {
    VARVE_ASSIGN_OR_RETURN(const RecordBatchView view, RecordBatchView::Parse(entry.payload()));
    RecordBatchReader reader(view);
    while (const RecordView* record = reader.Next()) {
      if (!record->key) return MakeError(Reason::DATA_LOSS, "a metadata record has no key");
      VARVE_RETURN_IF_ERROR(ApplyRecord(*record->key, record->value, &batch, &drafts, &changes));
    }
    VARVE_RETURN_IF_ERROR(reader.status());
  }
  const storage::FoldPosition position{entry.header.last_index, entry.header.term};
  VARVE_RETURN_IF_ERROR(store_.Apply(kMetadataGroup, generation_, batch, position));
  position_ = position;
  VARVE_RETURN_IF_ERROR(Publish(std::move(drafts), &changes));
  return changes;
}

absl::Status MetadataFold::ApplyRecord(std::string_view key, std::optional<std::string_view> value,
                                       storage::StateBatch* batch, std::map<TopicId, Draft>* drafts,
                                       MetadataChanges* changes) {
  VARVE_ASSIGN_OR_RETURN(const EntityKey entity, DecodeEntityKey(key));
  if (!value) {
    batch->Delete(std::string(key));
    RemoveEntity(entity);
    return absl::OkStatus();
  }
  batch->Put(std::string(key), std::string(*value));
  return ReadEntity(entity, *value, drafts, changes);
}

absl::Status MetadataFold::ReadEntity(const EntityKey& key, std::string_view value,
                                      std::map<TopicId, Draft>* drafts, MetadataChanges* changes) {
  switch (key.type) {
    case EntityType::kCluster: {
      state::ClusterValue cluster;
      VARVE_RETURN_IF_ERROR(ParseValue(value, "cluster value", &cluster));
      if (!ReadId(cluster.cluster_id(), &cluster_))
        return MakeError(Reason::DATA_LOSS, "the cluster id has ", cluster.cluster_id().size(),
                         " bytes");
      has_cluster_ = true;
      next_group_ = std::max(next_group_, GroupId(cluster.next_group_id()));
      return absl::OkStatus();
    }
    case EntityType::kTopic: {
      VARVE_ASSIGN_OR_RETURN((*drafts)[key.topic].topic, ReadTopic(key.topic, value));
      return absl::OkStatus();
    }
    case EntityType::kPartition: {
      state::PartitionValue partition;
      VARVE_RETURN_IF_ERROR(ParseValue(value, "partition value", &partition));
      (*drafts)[key.topic].partitions[key.partition] = {GroupId(partition.group_id()),
                                                        ReadReplicas(partition.replicas()),
                                                        WallTime(partition.created_ms())};
      return absl::OkStatus();
    }
    case EntityType::kRemovedGroup: {
      state::RemovedGroupValue removed;
      VARVE_RETURN_IF_ERROR(ParseValue(value, "removed group value", &removed));
      removed_groups_[key.group] = ReadReplicas(removed.replicas());
      changes->removed_groups[key.group] = removed_groups_[key.group];
      return absl::OkStatus();
    }
    case EntityType::kBroker:
      changes->brokers = true;
      return ReadBroker(key.node, value);
  }
  return MakeError(Reason::DATA_LOSS, "unknown entity type");
}

absl::Status MetadataFold::ReadBroker(NodeId node, std::string_view value) {
  state::BrokerValue broker;
  VARVE_RETURN_IF_ERROR(ParseValue(value, "broker value", &broker));
  BrokerInfo info{node, {}, broker.client_address(), broker.peer_address()};
  if (!ReadId(broker.directory_id(), &info.directory))
    return MakeError(Reason::DATA_LOSS, "the directory id of broker ", node, " has ",
                     broker.directory_id().size(), " bytes");
  metadata_epochs_[node] = ReplicaEpoch(broker.metadata_epoch());
  view_.PutBroker(info);
  return absl::OkStatus();
}

void MetadataFold::RemoveEntity(const EntityKey& key) {
  if (key.type == EntityType::kTopic) catalogue_.Remove(key.topic);
  if (key.type == EntityType::kRemovedGroup) removed_groups_.erase(key.group);
  if (key.type != EntityType::kBroker) return;
  metadata_epochs_.erase(key.node);
  view_.RemoveBroker(key.node);
}

// A new topic and its partitions are written together; a partition alone replaces one of a known
// topic, a topic alone its settings.
absl::Status MetadataFold::Publish(std::map<TopicId, Draft> drafts, MetadataChanges* changes) {
  for (auto& [id, draft] : drafts) {
    const TopicRef known = catalogue_.FindById(id);
    if (draft.topic && known) {  // new settings: the partitions stay where they are
      const size_t count = std::min(known->partitions.size(), draft.topic->partitions.size());
      std::copy_n(known->partitions.begin(), count, draft.topic->partitions.begin());
    }
    if (!draft.topic) {
      if (!known)
        return MakeError(Reason::DATA_LOSS, "a partition of topic ", id.ToString(),
                         ", which does not exist");
      draft.topic = std::make_shared<TopicEntry>(*known);
    }
    for (auto& [number, placement] : draft.partitions) {
      if (number.value() >= draft.topic->partitions.size())
        return MakeError(Reason::DATA_LOSS, "partition ", number, " of topic \"", draft.topic->name,
                         "\", which has ", draft.topic->partitions.size());
      draft.topic->partitions[number.value()] = std::move(placement);
    }
    for (size_t i = 0; i < draft.topic->partitions.size(); ++i)
      if (draft.topic->partitions[i].group == GroupId{})
        return MakeError(Reason::DATA_LOSS, "topic \"", draft.topic->name, "\" lacks partition ",
                         i);
    changes->put_topics.push_back(draft.topic);
    catalogue_.Put(std::move(draft.topic));
  }
  return absl::OkStatus();
}

}  // namespace varve::server
