// Catalogue: which topics exist, as of the newest applied metadata entry, for every thread to look
// up.
#ifndef VARVE_SERVER_METADATA_CATALOGUE_H_
#define VARVE_SERVER_METADATA_CATALOGUE_H_

#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"
#include "server/service/messages.h"

namespace varve::server {

// A replica, and which directory of its node it was given to (BrokerValue.metadata_epoch).
struct PlacedReplica {
  ReplicaId replica;
  ReplicaEpoch broker_epoch;
  bool operator==(const PlacedReplica&) const = default;
};

// Where one partition is to live. Immutable. Who votes now is in the group's own log.
struct PartitionPlacement {
  GroupId group;
  std::vector<PlacedReplica> replicas;  // the goal; the first is preferred as leader
  WallTime created;                     // append time of the log's bootstrap entry
  ReplicaEpoch last_epoch;              // highest that was ever given in this group
  std::vector<ReplicaId> founders;      // they may begin their log with the bootstrap entry
  std::vector<PlacedReplica> leaving;   // not in the goal any more, and perhaps still voting
  [[nodiscard]] std::vector<ReplicaId> goal() const;
  [[nodiscard]] const PlacedReplica* OnNode(NodeId node) const;  // of the goal; null: none
  // Whether the node has a replica, is to have one, or has one that leaves.
  [[nodiscard]] bool MayBeOn(NodeId node) const;
};

// One topic. Immutable; a change replaces the whole object, so a holder keeps a consistent picture.
struct TopicEntry {
  std::string name;
  TopicId id;
  uint32_t replication_factor = 1;
  TopicConfig config;
  WallTime created;
  std::vector<PartitionPlacement> partitions;  // by number
};
using TopicRef = std::shared_ptr<const TopicEntry>;

// Thread-safe; reads take a shared lock for a map look-up. Only the fold of the metadata partition
// writes.
class Catalogue {
 public:
  [[nodiscard]] TopicRef Find(std::string_view name) const;
  [[nodiscard]] TopicRef FindById(TopicId id) const;
  // Where a partition lives. UNKNOWN_TOPIC, UNKNOWN_PARTITION.
  [[nodiscard]] absl::StatusOr<GroupId> FindGroup(std::string_view topic,
                                                  PartitionId partition) const;
  // At most `limit` topics with a name above `after`, in order of name.
  [[nodiscard]] std::vector<TopicRef> List(std::string_view after, size_t limit) const;
  [[nodiscard]] size_t size() const;
  // Names that differ only in '.' and '_' collide in metric names and are refused at creation.
  [[nodiscard]] TopicRef FindColliding(std::string_view name) const;
  [[nodiscard]] uint64_t partition_count() const;
  // Whether a partition of some topic is this group; and which.
  [[nodiscard]] bool HasGroup(GroupId group) const;
  struct GroupAt {
    TopicRef topic;
    PartitionId partition;
    [[nodiscard]] const PartitionPlacement& placement() const {
      return topic->partitions[partition.value()];
    }
  };
  [[nodiscard]] std::optional<GroupAt> FindPlacement(GroupId group) const;

  // Partitions that may be on the node.
  [[nodiscard]] uint64_t CountReplicas(NodeId node) const;

  void Put(TopicRef topic);
  void Remove(TopicId id);
  void Clear();

 private:
  void RemoveLocked(TopicId id);

  mutable std::shared_mutex mutex_;
  std::map<std::string, TopicRef, std::less<>> by_name_;
  std::map<TopicId, TopicRef> by_id_;
  std::map<std::string, TopicRef, std::less<>> by_folded_name_;
  std::map<GroupId, std::pair<TopicId, PartitionId>> groups_;
  uint64_t partitions_ = 0;
};

// UNKNOWN_TOPIC, naming it.
absl::Status UnknownTopic(std::string_view name);
// UNKNOWN_PARTITION unless the topic has a partition of that number.
absl::Status CheckPartition(const TopicEntry& topic, PartitionId partition);

// The form in which names collide: '.' and '_' are one.
std::string FoldedTopicName(std::string_view name);

// 1 to 249 characters a-z A-Z 0-9 . _ - and neither "." nor "..": the rule of Kafka's topic names.
absl::Status CheckTopicName(std::string_view name);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_CATALOGUE_H_
