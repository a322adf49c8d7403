// Keys of the metadata partition: one record is the newest full value of one small entity.
// docs/metadata.md gives the bytes. Values are messages of varve.state.v1.
#ifndef VARVE_SERVER_METADATA_ENTITY_KEY_H_
#define VARVE_SERVER_METADATA_ENTITY_KEY_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/types.h"

namespace varve::server {

enum class EntityType : uint8_t {
  kCluster = 1,       // ClusterValue
  kTopic = 2,         // TopicValue
  kPartition = 3,     // PartitionValue
  kRemovedGroup = 4,  // RemovedGroupValue
  kBroker = 5,        // BrokerValue
};

// Only the fields that belong to the type are set; the others stay at their defaults.
struct EntityKey {
  EntityType type = EntityType::kCluster;
  std::string name_space;
  TopicId topic;
  PartitionId partition;
  GroupId group;
  NodeId node;
  bool operator==(const EntityKey&) const = default;
};

EntityKey ClusterKey();
EntityKey TopicKey(std::string name_space, TopicId topic);
EntityKey PartitionKey(std::string name_space, TopicId topic, PartitionId partition);
EntityKey RemovedGroupKey(GroupId group);
EntityKey BrokerKey(NodeId node);

// A cluster's, directory's or topic's id as values hold it: its 16 bytes.
template <class Id>
std::string StoredId(const Id& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

// Equal keys have equal bytes, and the partitions of a topic are neighbours in order of number.
std::string EncodeEntityKey(const EntityKey& key);
// Prefix of all keys of a type (and namespace, and topic, when given).
std::string EntityTypePrefix(EntityType type);
std::string TopicPartitionsPrefix(const std::string& name_space, TopicId topic);
// DATA_LOSS unless the bytes are exactly one key; UNSUPPORTED_FEATURE for a type of a newer
// version.
absl::StatusOr<EntityKey> DecodeEntityKey(std::string_view bytes);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_ENTITY_KEY_H_
