// Values of the metadata partition: between varve.state.v1 and what the broker works with.
#ifndef VARVE_SERVER_METADATA_ENTITY_VALUES_H_
#define VARVE_SERVER_METADATA_ENTITY_VALUES_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/types.h"
#include "server/metadata/catalogue.h"
#include "server/metadata/entity_key.h"
#include "server/service/peer_service.h"

namespace varve::server {

// One record of a metadata batch; no value: a tombstone.
struct EntityChange {
  EntityKey key;
  std::optional<std::string> value;  // a serialised message of varve.state.v1
};

// What is expected of a broker (BrokerDuty of varve.state.v1).
enum class BrokerDuty : uint8_t { kActive = 0, kLeaving = 1, kLeft = 2 };

// A broker as its entity tells.
struct BrokerRecord {
  BrokerInfo info;
  ReplicaEpoch metadata_epoch;  // grows with each directory of the node
  WallTime joined;
  BrokerDuty duty = BrokerDuty::kActive;
  NodeId replacement;  // of a leaving one; 0: anybody
  bool operator==(const BrokerRecord&) const = default;
};

// All entities of topics are in this namespace.
inline constexpr std::string_view kNamespace = "default";

EntityChange TopicChange(const TopicEntry& topic);
EntityChange PartitionChange(TopicId topic, PartitionId partition,
                             const PartitionPlacement& placement);
EntityChange RemovedGroupChange(GroupId group, const std::vector<ReplicaId>& replicas,
                                WallTime now);
EntityChange BrokerChange(const BrokerRecord& broker);

// DATA_LOSS when the bytes are not such a value. Of a topic without its partitions: as many as the
// topic has, empty.
absl::StatusOr<std::shared_ptr<TopicEntry>> ReadTopicValue(TopicId id, std::string_view value);
absl::StatusOr<PartitionPlacement> ReadPartitionValue(std::string_view value);
absl::StatusOr<std::vector<ReplicaId>> ReadRemovedGroupValue(std::string_view value);
absl::StatusOr<BrokerRecord> ReadBrokerValue(NodeId node, std::string_view value);

}  // namespace varve::server

#endif  // VARVE_SERVER_METADATA_ENTITY_VALUES_H_
