// How brokers, partitions and conditions are printed.
#ifndef VARVE_CLIENT_CLI_CLUSTER_OUTPUT_H_
#define VARVE_CLIENT_CLI_CLUSTER_OUTPUT_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "varve/admin.h"

namespace varve::cli {

// What is known of one partition: where it was placed, and what its replicas say. The report is
// empty when none of them answered.
struct PartitionView {
  std::string topic;
  PartitionDescription placed;
  PartitionReport report;

  [[nodiscard]] const PartitionStatus* leader() const { return report.leader(); }
  // No broker that answered leads it.
  [[nodiscard]] bool leaderless() const { return leader() == nullptr; }
  [[nodiscard]] bool under_replicated() const {
    return leader() == nullptr || leader()->under_replicated;
  }
};
// In order of topic and partition; `topics` with their partitions.
std::vector<PartitionView> JoinPartitions(const std::vector<TopicDescription>& topics,
                                          const PartitionSurvey& survey);

// "1 leader, 2 in sync, 3 -120 probe": every replica, with what it lacks.
std::string ReplicasText(const PartitionView& partition);
// "leaderless", "under-replicated", "joint", ...; empty: nothing to say.
std::string MarksText(const PartitionView& partition);
// "350 ms", "12 s", "3 min", "5 h", "2 d".
std::string AgeText(uint64_t ms);

std::string RenderCluster(const ClusterStatus& cluster, const PartitionReport& metadata,
                          const std::vector<PartitionView>& partitions, OutputFormat format,
                          bool bold);
std::string RenderBrokerList(const ClusterStatus& cluster, OutputFormat format, bool bold);
std::string RenderBroker(const ClusterStatus& cluster, const BrokerStatus& broker,
                         OutputFormat format, bool bold);
std::string RenderPartitionList(const std::vector<PartitionView>& partitions, OutputFormat format,
                                bool bold);
std::string RenderPartition(const PartitionView& partition, OutputFormat format, bool bold);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_CLUSTER_OUTPUT_H_
