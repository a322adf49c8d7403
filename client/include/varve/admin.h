// Admin: topics, offsets and what the cluster can do.
#ifndef VARVE_ADMIN_H_
#define VARVE_ADMIN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "varve/api.h"
#include "varve/client.h"
#include "varve/cluster_status.h"
#include "varve/reader.h"
#include "varve/status.h"

namespace varve {
inline namespace v0 {

struct TopicSettings {
  uint32_t max_batch_bytes = 0;  // 0: the default, 1 MiB
  uint64_t segment_bytes = 0;    // 0: the default, 128 MiB
};

// A setting by name, such as retention.ms; values are integers, -1 is "no limit".
struct TopicSetting {
  std::string name;
  std::string value;
  bool is_default = false;  // of a description: nobody set it
};

struct NewTopic {
  std::string name;
  uint32_t partitions = 1;
  uint32_t replication_factor = 0;  // 0: the cluster's default
  TopicSettings settings = {};
  bool validate_only = false;
  std::vector<TopicSetting> named_settings = {};  // after `settings`
};

struct PartitionDescription {
  uint32_t partition = 0;
  uint64_t group_id = 0;
  uint32_t leader_node = 0;  // 0: none known
  uint32_t leader_epoch = 0;
  std::vector<uint32_t> replica_nodes;
  int64_t log_start = 0;
  int64_t high_watermark = 0;
  uint64_t size_bytes = 0;
};

struct TopicDescription {
  std::string name;
  std::string id;  // 32 hexadecimal digits
  uint32_t replication_factor = 0;
  TopicSettings settings;
  int64_t created_ms = 0;
  uint32_t partition_count = 0;
  std::string state;  // "creating" or "ready"
  std::vector<PartitionDescription> partitions;
  std::vector<TopicSetting> named_settings;  // all there are, in order of name
};

struct OffsetQuery {
  TopicPartition partition;
  StartPosition position;  // kStart, kEnd or kTime
};

struct OffsetAnswer {
  TopicPartition partition;
  int64_t offset = -1;
  int64_t append_time_ms = -1;  // of the record found; -1: none
  Status status;                // of this partition alone
};

struct BrokerDescription {
  uint32_t node = 0;
  std::string address;
  bool leaving = false;           // its replicas move to other brokers
  uint32_t replacement_node = 0;  // of a leaving one: who takes them; 0: whoever has room
  uint64_t replicas = 0;          // of a leaving one: partitions that may still have one there
};

struct ClusterDescription {
  std::string cluster_id;  // 32 hexadecimal digits
  uint32_t controller_node = 0;
  uint32_t answering_node = 0;
  std::vector<BrokerDescription> brokers;
};

struct Features {
  std::string version;
  std::vector<std::string> features;
  uint32_t max_request_bytes = 0;
  uint32_t max_batch_bytes = 0;
};

// Thread-safe. Each call blocks for at most ClientOptions::request_timeout; never call it from a
// callback of the library. Requests that only read are retried while no broker answers; those that
// change something are not, so that an error says what its outcome() says.
class VARVE_API Admin {
 public:
  explicit Admin(const Client& client);

  // Returns when the topic is known to the answering broker. TOPIC_EXISTS, INVALID_TOPIC_NAME, ...
  Result<TopicDescription> CreateTopic(const NewTopic& topic);
  Result<TopicDescription> GetTopic(std::string_view name);
  // All topics in order of name; their partitions only if asked for.
  Result<std::vector<TopicDescription>> ListTopics(bool with_partitions = false);
  Status DeleteTopic(std::string_view name);
  // Answers the topic as it is then. INVALID_CONFIG names the setting.
  Result<TopicDescription> AlterTopic(std::string_view name, const std::vector<TopicSetting>& set,
                                      const std::vector<std::string>& unset,
                                      bool validate_only = false);
  // More, or fewer, replicas of each partition; answers at once, the replicas move then.
  // INVALID_REPLICATION when there are not so many live brokers.
  Result<TopicDescription> SetReplication(std::string_view name, uint32_t replication_factor);
  // The topic has `partitions` in all then. INVALID_PARTITIONS unless that is more than now.
  Result<TopicDescription> AddPartitions(std::string_view name, uint32_t partitions,
                                         bool validate_only = false);
  // Where the replicas of a partition are to be, the preferred leader first; answers at once.
  // INVALID_REPLICATION, UNKNOWN_BROKER.
  Status MovePartition(const TopicPartition& partition, const std::vector<uint32_t>& nodes);
  // Hands leadership to the replica on the node, which has to keep up (else OVERLOADED).
  Status TransferLeader(const TopicPartition& partition, uint32_t node);
  // Moves all replicas of the broker to others (0: to whoever has the fewest) and takes it out of
  // the cluster then; answers at once, GetCluster shows how far it is. INVALID_REPLICATION when too
  // few brokers would stay.
  Status RemoveBroker(uint32_t node, uint32_t replacement_node = 0);
  // The broker is to stay after all.
  Status KeepBroker(uint32_t node);
  // Deletes the records below `before`, or all committed ones for -1; the new log start. Goes to
  // the partition's leader, as the brokers name it.
  Result<int64_t> DeleteRecords(const TopicPartition& partition, int64_t before);
  // Why deletion by age was paused by the answering broker, which now trusts its clock; empty when
  // it was not.
  Result<std::string> ConfirmClock();
  // One answer for each query, in order.
  Result<std::vector<OffsetAnswer>> ListOffsets(const std::vector<OffsetQuery>& queries);
  Result<Features> GetFeatures();
  Result<ClusterDescription> GetCluster();

  // The next three ask every broker of the cluster at once and merge what each says of itself; one
  // that does not answer within 3 s is shown as such, and is no error unless none answers.
  Result<ClusterStatus> DescribeCluster();
  // Of one topic, or of all for "". Partitions none of whose replicas answered are missing.
  Result<PartitionSurvey> DescribePartitions(const std::string& topic);
  // The group that keeps the cluster's metadata.
  Result<PartitionReport> DescribeMetadata();

 private:
  Result<PartitionSurvey> Survey(const std::string& topic, bool metadata);

  std::shared_ptr<client::ClientCore> core_;
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_ADMIN_H_
