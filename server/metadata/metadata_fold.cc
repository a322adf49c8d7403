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
  brokers_.clear();
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
      if (!cluster.ParseFromArray(value.data(), static_cast<int>(value.size())))
        return MakeError(Reason::DATA_LOSS, "the cluster value does not parse (", value.size(),
                         " bytes)");
      if (!ReadId(cluster.cluster_id(), &cluster_))
        return MakeError(Reason::DATA_LOSS, "the cluster id has ", cluster.cluster_id().size(),
                         " bytes");
      has_cluster_ = true;
      next_group_ = std::max(next_group_, GroupId(cluster.next_group_id()));
      return absl::OkStatus();
    }
    case EntityType::kTopic: {
      VARVE_ASSIGN_OR_RETURN((*drafts)[key.topic].topic, ReadTopicValue(key.topic, value));
      return absl::OkStatus();
    }
    case EntityType::kPartition: {
      VARVE_ASSIGN_OR_RETURN((*drafts)[key.topic].partitions[key.partition],
                             ReadPartitionValue(value));
      return absl::OkStatus();
    }
    case EntityType::kRemovedGroup: {
      VARVE_ASSIGN_OR_RETURN(removed_groups_[key.group], ReadRemovedGroupValue(value));
      changes->removed_groups[key.group] = removed_groups_[key.group];
      return absl::OkStatus();
    }
    case EntityType::kBroker:
      changes->brokers = true;
      return ReadBroker(key.node, value);
  }
  return MakeError(Reason::DATA_LOSS, "unknown entity type");
}

// Who has left is not among the brokers any more.
absl::Status MetadataFold::ReadBroker(NodeId node, std::string_view value) {
  VARVE_ASSIGN_OR_RETURN(const BrokerRecord broker, ReadBrokerValue(node, value));
  brokers_[node] = broker;
  if (broker.duty == BrokerDuty::kLeft) {
    view_.RemoveBroker(node);
  } else {
    view_.PutBroker(broker.info);
    const bool leaves = broker.duty == BrokerDuty::kLeaving;
    view_.SetLeaving(node, leaves ? std::optional(broker.replacement) : std::nullopt);
  }
  return absl::OkStatus();
}

void MetadataFold::RemoveEntity(const EntityKey& key) {
  if (key.type == EntityType::kTopic) catalogue_.Remove(key.topic);
  if (key.type == EntityType::kRemovedGroup) removed_groups_.erase(key.group);
  if (key.type != EntityType::kBroker) return;
  brokers_.erase(key.node);
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
