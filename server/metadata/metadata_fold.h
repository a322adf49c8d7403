// MetadataFold: the state of the metadata partition, folded from its committed entries.
#ifndef VARVE_SERVER_METADATA_METADATA_FOLD_H_
#define VARVE_SERVER_METADATA_METADATA_FOLD_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/entry.h"
#include "server/metadata/catalogue.h"
#include "server/metadata/cluster_view.h"
#include "server/metadata/entity_values.h"
#include "storage/state_store.h"

namespace varve::server {

// One record batch with these changes, in order: they take effect together or not at all.
absl::StatusOr<std::string> EncodeMetadataBatch(const std::vector<EntityChange>& changes,
                                                WallTime timestamp);

// What applying one entry changed, for those who act on it.
struct MetadataChanges {
  std::vector<TopicRef> put_topics;
  // Replicas whose data is to be removed, from RemovedGroupValue entities.
  std::map<GroupId, std::vector<ReplicaId>> removed_groups;
  bool brokers = false;  // some broker is new or has other addresses
};

// Confined to the metadata partition's shard; writes the Catalogue, which others read.
//
// Every entry that is committed and durable here is applied in order of index, exactly once per
// fold: the position moves in the same write as the values. A fold that does not decode is
// DATA_LOSS; dropping the store and folding again from the log cures it.
class MetadataFold {
 public:
  MetadataFold(storage::StateStore& store, Catalogue& catalogue, ClusterView& view);

  // Opens the fold (or begins an empty one) and fills the catalogue from it.
  absl::Status Load();
  // Throws the present fold away and begins an empty one at index 0.
  absl::Status Restart();
  // Entries up to here are in the fold.
  [[nodiscard]] storage::FoldPosition position() const { return position_; }

  // Applies the next entry of the log (any kind; only Data carries entities).
  absl::StatusOr<MetadataChanges> Apply(const Entry& entry);

  // The group id that the next partition gets; ids below were given away for good.
  [[nodiscard]] GroupId next_group() const { return next_group_; }
  [[nodiscard]] bool has_cluster() const { return has_cluster_; }
  [[nodiscard]] ClusterId cluster() const { return cluster_; }
  // All that have ever joined, those that left included.
  [[nodiscard]] const std::map<NodeId, BrokerRecord>& brokers() const { return brokers_; }
  // Removals that are decided and not yet reported done.
  [[nodiscard]] const std::map<GroupId, std::vector<ReplicaId>>& removed_groups() const {
    return removed_groups_;
  }

 private:
  // A topic while its records are being read.
  struct Draft {
    std::shared_ptr<TopicEntry> topic;
    std::map<PartitionId, PartitionPlacement> partitions;
  };
  absl::Status ApplyRecord(std::string_view key, std::optional<std::string_view> value,
                           storage::StateBatch* batch, std::map<TopicId, Draft>* drafts,
                           MetadataChanges* changes);
  absl::Status ReadEntity(const EntityKey& key, std::string_view value,
                          std::map<TopicId, Draft>* drafts, MetadataChanges* changes);
  absl::Status ReadBroker(NodeId node, std::string_view value);
  void RemoveEntity(const EntityKey& key);
  absl::Status Publish(std::map<TopicId, Draft> drafts, MetadataChanges* changes);

  storage::StateStore& store_;
  Catalogue& catalogue_;
  ClusterView& view_;
  uint64_t generation_ = 0;
  storage::FoldPosition position_;
  GroupId next_group_ = kFirstTopicGroup;
  bool has_cluster_ = false;
  ClusterId cluster_;
  std::map<GroupId, std::vector<ReplicaId>> removed_groups_;
  std::map<NodeId, BrokerRecord> brokers_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_METADATA_FOLD_H_
