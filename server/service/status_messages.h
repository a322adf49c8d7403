// What a broker says of itself and of its replicas; the structs behind DescribeBroker and
// DescribePartitions.
#ifndef VARVE_SERVER_SERVICE_STATUS_MESSAGES_H_
#define VARVE_SERVER_SERVICE_STATUS_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/condition.h"
#include "common/types.h"

namespace varve::server {

struct Condition {
  ConditionCode code;
  Nanos age = 0;
  std::string cause;
  NodeId node;    // that it is about; 0: none in particular
  GroupId group;  // 0: no partition
  std::string topic = {};
  PartitionId partition{};
};

struct DescribeBrokerRequest {
  uint32_t max_conditions = 0;
  std::vector<std::string> required_features;
};

struct PeerBroker {
  NodeId node;
  std::string address;
  std::string peer_address;
  bool live = false;
  std::optional<Nanos> silent;  // never heard: none
  uint64_t process_epoch = 0;
  int64_t clock_ahead_ms = 0;
};

enum class BrokerState : uint8_t { kStarting, kServing, kStopping };
enum class DirectoryState : uint8_t { kOk, kSlow, kFull, kFailed };

struct DescribeBrokerReply {
  NodeId node;
  ClusterId cluster;
  DirectoryId directory;
  std::string version;
  std::string address;
  std::string peer_address;
  BrokerState state = BrokerState::kStarting;
  Nanos uptime = 0;
  uint64_t process_epoch = 0;
  NodeId controller;
  uint64_t replicas = 0;
  uint64_t leaders = 0;
  uint64_t data_bytes = 0;
  DirectoryState directory_state = DirectoryState::kOk;
  std::vector<PeerBroker> peers;
  std::vector<Condition> conditions;
  uint64_t conditions_total = 0;
};

struct DescribePartitionsRequest {
  std::string topic;
  uint32_t page_size = 0;
  std::string page_token;
  bool metadata = false;
  std::vector<std::string> required_features;
};

enum class Membership : uint8_t { kVoter, kLearner, kLeaving, kMissing };
enum class ReplicaState : uint8_t { kNone, kLeader, kReplicate, kProbe, kInstall };

// The fields of varve.v1.ReplicaStatus.
struct ReplicaStatus {
  ReplicaId replica;
  Membership membership = Membership::kMissing;
  ReplicaState state = ReplicaState::kNone;
  bool live = false;
  bool in_sync = false;
  Index match;
  Index commit;
  uint64_t lag_entries = 0;
  uint64_t lag_bytes = 0;
  Nanos behind = 0;
  Nanos stalled = 0;
  bool full = false;
};

enum class PartitionRole : uint8_t { kFollower, kCandidate, kLeader, kSuspect };
enum class ConfigurationChange : uint8_t { kNone, kUncommitted, kJoint, kLearning };

// The fields of varve.v1.PartitionStatus.
struct PartitionStatus {
  std::string topic;
  PartitionId partition{};
  GroupId group;
  ReplicaId self;
  PartitionRole role = PartitionRole::kFollower;
  Term term;
  NodeId leader;
  bool serving = false;
  Offset log_start;
  Offset high_watermark;
  Offset log_end;
  uint64_t size_bytes = 0;
  Index commit;
  Index durable;
  Index last;
  uint32_t damaged_ranges = 0;
  std::vector<ReplicaStatus> replicas;
  bool under_replicated = false;
  ConfigurationChange change = ConfigurationChange::kNone;
};

struct DescribePartitionsReply {
  NodeId node;
  std::vector<PartitionStatus> partitions;
  std::string next_page_token;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_STATUS_MESSAGES_H_
