// Requests and replies of the in-process service: plain structs, so that the simulator needs
// neither gRPC nor protobuf at the gate. The fields mean what proto/varve/v1 says of their
// namesakes.
#ifndef VARVE_SERVER_SERVICE_MESSAGES_H_
#define VARVE_SERVER_SERVICE_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/entry.h"
#include "common/types.h"

namespace varve::server {

enum class Acks : uint8_t { kAll, kLeader };
enum class Isolation : uint8_t { kReadCommitted, kReadUncommitted };

// One record in plain form.
struct PlainRecord {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
  int64_t timestamp_ms = 0;  // produce: 0 takes the broker's clock
  Offset offset;             // replies only
};

struct ProduceItem {
  std::optional<PartitionId> partition;  // absent only with plain records
  // A batch with room for its frame's header, or records to build one from.
  std::variant<FrameBuffer, std::vector<PlainRecord>> data;
};
struct ProduceRequest {
  std::string topic;
  Acks acks = Acks::kAll;
  std::vector<ProduceItem> items;
  std::vector<std::string> required_features;
};
struct ProduceResult {
  absl::Status status;  // OK: durable, and the rest is set
  PartitionId partition{};
  Offset base_offset{};
  WallTime append_time{};
  Term leader_epoch{};
};
struct ProduceReply {
  std::vector<ProduceResult> results;
};

struct StartPosition {};
struct EndPosition {};
// First record appended at or after.
struct TimePosition {
  WallTime time;
};
using Position = std::variant<Offset, StartPosition, EndPosition, TimePosition>;

struct FetchPartition {
  std::string topic;
  PartitionId partition;
  Offset offset;
  uint32_t max_bytes = 0;
};
struct FetchRequest {
  std::vector<FetchPartition> partitions;
  uint32_t max_bytes = 0;  // 0: 1 MiB
  uint32_t min_bytes = 0;
  uint32_t max_wait_ms = 0;
  Isolation isolation = Isolation::kReadCommitted;
  bool plain_records = false;
  std::vector<std::string> required_features;
};
// Bounds of a partition's log as a reader sees them.
struct LogBounds {
  Offset log_start;
  Offset last_stable;
  Offset high_watermark;
};
struct FetchResult {
  absl::Status status;
  std::string topic;
  PartitionId partition;
  // Data entries, whole; their payloads are the batches. The first may begin before the offset
  // asked for.
  std::vector<Entry> entries;
  std::vector<PlainRecord> records;  // instead, when plain records were asked for
  Offset next_offset;
  LogBounds bounds;
  Term leader_epoch;
};
struct FetchReply {
  std::vector<FetchResult> results;
};

struct ListOffsetsItem {
  std::string topic;
  PartitionId partition;
  Position position;
};
struct ListOffsetsRequest {
  std::vector<ListOffsetsItem> items;
  Isolation isolation = Isolation::kReadCommitted;
  std::vector<std::string> required_features;
};
struct ListOffsetsResult {
  absl::Status status;
  std::string topic;
  PartitionId partition;
  Offset offset;
  std::optional<WallTime> append_time;
  Term leader_epoch;
};
struct ListOffsetsReply {
  std::vector<ListOffsetsResult> results;
};

struct DeleteRecordsItem {
  std::string topic;
  PartitionId partition;
  std::optional<Offset> before;  // absent: the high watermark
};
struct DeleteRecordsRequest {
  std::vector<DeleteRecordsItem> items;
  std::vector<std::string> required_features;
};
struct DeleteRecordsResult {
  absl::Status status;
  std::string topic;
  PartitionId partition;
  Offset log_start;
};
struct DeleteRecordsReply {
  std::vector<DeleteRecordsResult> results;
};

struct TopicConfig {
  uint32_t max_batch_bytes = 0;  // 0: limits::kDefaultBatchBytes
  uint64_t segment_bytes = 0;    // 0: limits::kDefaultSegmentBytes
  // Absent: default. -1: no limit.
  std::optional<int64_t> segment_ms;
  std::optional<int64_t> retention_ms;
  std::optional<int64_t> retention_bytes;
  bool operator==(const TopicConfig&) const = default;
};
// A setting as text: name and value as in docs/operations.md, "Topic settings".
struct TopicSetting {
  std::string name;
  std::string value;
  bool is_default = false;  // replies only
};
struct PartitionInfo {
  PartitionId partition;
  GroupId group;
  NodeId leader;  // none known: 0
  Term leader_epoch;
  std::vector<ReplicaId> replicas;
  LogBounds bounds;
  uint64_t size_bytes = 0;
};
struct TopicInfo {
  std::string name;
  TopicId id;
  uint32_t partition_count = 0;
  uint32_t replication_factor = 0;
  TopicConfig config;
  WallTime created;
  bool ready = false;  // every partition has a leader that has committed in its term
  std::vector<PartitionInfo> partitions;  // in order; absent in lists unless asked for
};
struct CreateTopicRequest {
  std::string name;
  uint32_t partitions = 0;          // 0: 1
  uint32_t replication_factor = 0;  // 0: the cluster's default
  TopicConfig config;
  bool validate_only = false;
  std::vector<TopicSetting> settings;  // after `config`
  std::vector<std::string> required_features;
};
struct AlterTopicRequest {
  std::string name;
  std::optional<TopicId> id;
  std::vector<TopicSetting> set;
  std::vector<std::string> unset;
  uint32_t replication_factor = 0;  // 0: as it is
  bool validate_only = false;
  std::vector<std::string> required_features;
};
struct AddPartitionsRequest {
  std::string name;
  std::optional<TopicId> id;
  uint32_t partitions = 0;  // in all; more than now
  bool validate_only = false;
  std::vector<std::string> required_features;
};
struct MovePartitionRequest {
  std::string topic;
  PartitionId partition;
  std::vector<NodeId> nodes;  // of all replicas; the first is preferred as leader
  std::vector<std::string> required_features;
};
struct MovePartitionReply {};
struct TransferLeaderRequest {
  std::string topic;
  PartitionId partition;
  NodeId to;
  std::vector<std::string> required_features;
};
struct TransferLeaderReply {};
struct SetBrokerDutyRequest {
  NodeId node;
  bool leave = false;  // false: it is to stay after all
  NodeId replacement;  // takes the replicas; 0: whoever has room
  std::vector<std::string> required_features;
};
struct SetBrokerDutyReply {};
struct GetTopicRequest {
  std::string name;
  std::vector<std::string> required_features;
};
struct ListTopicsRequest {
  uint32_t page_size = 0;
  std::string page_token;
  bool with_partitions = false;
  std::vector<std::string> required_features;
};
struct ListTopicsReply {
  std::vector<TopicInfo> topics;
  std::string next_page_token;
};
struct DeleteTopicRequest {
  std::string name;
  std::optional<TopicId> id;
  std::vector<std::string> required_features;
};
struct DeleteTopicReply {};

struct GetFeaturesRequest {
  std::vector<std::string> required_features;
};
struct GetFeaturesReply {
  std::string version;
  std::vector<std::string> features;
};
struct GetClusterRequest {
  std::vector<std::string> required_features;
};
struct ConfirmClockRequest {
  std::vector<std::string> required_features;
};
struct ConfirmClockReply {
  std::string paused_because;  // empty: not paused
};
struct ClusterBroker {
  NodeId node;
  std::string address;    // empty: the one the caller dialled
  bool leaving = false;   // its replicas move to others
  NodeId replacement;     // of a leaving one: who takes them; 0: whoever has room
  uint64_t replicas = 0;  // of a leaving one: partitions that still have one there, or had
};
struct GetClusterReply {
  ClusterId cluster;
  NodeId controller;
  NodeId answering;
  std::vector<ClusterBroker> brokers;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_MESSAGES_H_
