// What brokers say of themselves, of their replicas, and of what is wrong; answers of Admin.
#ifndef VARVE_CLUSTER_STATUS_H_
#define VARVE_CLUSTER_STATUS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "varve/status.h"

namespace varve {
inline namespace v0 {

// Something that is wrong or stuck. docs/conditions.md has the closed list.
struct Condition {
  std::string code;      // such as "leaderless"
  std::string severity;  // "critical" or "warning"
  uint64_t age_ms = 0;   // by the clock of the broker that has known it longest
  std::string cause;
  std::string advice;
  uint32_t node = 0;      // that it is about; 0: none in particular
  uint64_t group_id = 0;  // 0: no partition
  std::string topic;      // empty with a group: the metadata log
  uint32_t partition = 0;
  std::vector<uint32_t> stated_by;  // nodes; empty: this client, whom the broker did not answer
};

// Another broker as one broker sees it.
struct PeerStatus {
  uint32_t node = 0;
  std::string address;
  bool live = false;           // its heartbeats arrive
  bool heard = false;          // ever; else the rest is 0
  uint64_t silent_ms = 0;      // since it was heard of last
  int64_t clock_ahead_ms = 0;  // its wall clock less that of the broker that says it
};

// One broker; all but node, address and status is unset unless the status is OK.
struct BrokerStatus {
  uint32_t node = 0;
  std::string address;
  Status status;  // why it did not answer
  std::string directory_id;
  std::string version;
  std::string peer_address;
  std::string state;  // "starting", "serving" or "stopping"
  uint64_t uptime_ms = 0;
  uint64_t process_epoch = 0;    // how often its data directory was opened
  uint32_t controller_node = 0;  // as it knows; 0: none
  uint64_t replicas = 0;         // of topics' partitions
  uint64_t leaders = 0;          // of those
  uint64_t data_bytes = 0;
  std::string directory_state;  // "ok", "slow", "full" or "failed"
  std::vector<PeerStatus> peers;
  std::vector<Condition> conditions;  // at most 1,000, the critical ones first
  uint64_t conditions_total = 0;
};

struct ClusterStatus {
  std::string cluster_id;             // 32 hexadecimal digits
  uint32_t controller_node = 0;       // 0: none known
  std::vector<BrokerStatus> brokers;  // in order of node
  // Of all brokers, each once, the critical ones first, of those the oldest.
  std::vector<Condition> conditions;
};

// One member of a partition's group as its leader knows it.
struct ReplicaStatus {
  uint32_t node = 0;
  uint32_t epoch = 0;
  std::string membership;  // "voter", "learner", "leaving" or "missing"
  std::string state;       // "leader", "replicate", "probe", "install" or "none"
  bool live = false;       // the leader hears its broker
  bool in_sync = false;
  uint64_t match_index = 0;
  uint64_t commit_index = 0;
  uint64_t lag_entries = 0;
  uint64_t lag_bytes = 0;   // within a segment an estimate
  uint64_t behind_ms = 0;   // since it last had all that was committed
  uint64_t stalled_ms = 0;  // since it made progress, while it is behind
  bool full = false;        // no room on its disk
};

// One broker's replica of a partition, as that broker says.
struct PartitionStatus {
  std::string topic;  // empty: the metadata log
  uint32_t partition = 0;
  uint64_t group_id = 0;
  uint32_t node = 0;
  uint32_t epoch = 0;
  std::string role;  // "leader", "follower", "candidate" or "suspect"
  uint64_t term = 0;
  uint32_t leader_node = 0;  // as it knows; 0: none
  bool serving = false;      // it leads and has committed in its term
  int64_t log_start = 0;
  int64_t high_watermark = 0;
  int64_t log_end = 0;
  uint64_t size_bytes = 0;
  uint64_t commit_index = 0;
  uint64_t durable_index = 0;
  uint64_t last_index = 0;
  uint32_t damaged_ranges = 0;
  std::vector<ReplicaStatus> replicas;  // of leaders only
  bool under_replicated = false;        // of leaders only
  std::string configuration_change;     // of leaders only: "none", "uncommitted", ...
};

// One partition as all its replicas that answered say.
struct PartitionReport {
  std::string topic;  // empty: the metadata log
  uint32_t partition = 0;
  uint64_t group_id = 0;
  std::vector<PartitionStatus> replicas;  // in order of node
  // The replica that leads in the highest term of those; null when none says that it leads.
  [[nodiscard]] const PartitionStatus* leader() const {
    const PartitionStatus* found = nullptr;
    for (const PartitionStatus& replica : replicas)
      if (replica.role == "leader" && (found == nullptr || replica.term > found->term))
        found = &replica;
    return found;
  }
};

struct PartitionSurvey {
  std::vector<PartitionReport> partitions;  // in order of topic and partition
  std::vector<BrokerStatus> unanswered;     // brokers, with the reason; the rest is unset
};

}  // namespace v0
}  // namespace varve

#endif  // VARVE_CLUSTER_STATUS_H_
