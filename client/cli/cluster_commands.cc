// varve cluster describe, varve broker list | describe, varve partition list | describe,
// varve doctor
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "client/cli/cluster_output.h"
#include "client/cli/command_options.h"
#include "client/cli/doctor_output.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

struct PartitionOptions {
  std::string topic;
  uint32_t partition = 0;
  bool under_replicated = false;
  bool leaderless = false;
};

// Those who did not answer are shown as such, and are no failure.
void TellUnanswered(const GlobalOptions& global, const std::vector<BrokerStatus>& brokers) {
  if (global.quiet) return;
  for (const BrokerStatus& broker : brokers)
    WriteErr("warning: node " + std::to_string(broker.node) + " at " + broker.address +
             " did not answer: " + std::string(broker.status.message()) + "\n");
}

CommandEnd DescribeCluster(const GlobalOptions& global) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  const Result<ClusterStatus> cluster = admin.DescribeCluster();
  if (!cluster.ok()) return cluster.status();
  const Result<PartitionReport> metadata = admin.DescribeMetadata();
  if (!metadata.ok()) return metadata.status();
  const Result<std::vector<TopicDescription>> topics = admin.ListTopics(true);
  if (!topics.ok()) return topics.status();
  const Result<PartitionSurvey> survey = admin.DescribePartitions("");
  if (!survey.ok()) return survey.status();
  return WriteOut(RenderCluster(*cluster, *metadata, JoinPartitions(*topics, *survey),
                                global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd ListBrokers(const GlobalOptions& global) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<ClusterStatus> cluster = Admin(*client).DescribeCluster();
  if (!cluster.ok()) return cluster.status();
  return WriteOut(RenderBrokerList(*cluster, global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd DescribeBroker(const GlobalOptions& global, uint32_t node) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<ClusterStatus> cluster = Admin(*client).DescribeCluster();
  if (!cluster.ok()) return cluster.status();
  for (const BrokerStatus& broker : cluster->brokers) {
    if (broker.node != node) continue;
    return WriteOut(RenderBroker(*cluster, broker, global.output, UseColour(STDOUT_FILENO)));
  }
  return UsageError("the cluster has no node " + std::to_string(node),
                    "Choose one of 'varve broker list'.");
}

// Of one topic, or of all.
Result<std::vector<PartitionView>> LookAtPartitions(const GlobalOptions& global,
                                                    const std::string& topic) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  Result<std::vector<TopicDescription>> topics = std::vector<TopicDescription>();
  if (topic.empty()) {
    topics = admin.ListTopics(true);
    if (!topics.ok()) return topics.status();
  } else {
    Result<TopicDescription> one = admin.GetTopic(topic);
    if (!one.ok()) return one.status();
    topics->push_back(std::move(*one));
  }
  const Result<PartitionSurvey> survey = admin.DescribePartitions(topic);
  if (!survey.ok()) return survey.status();
  TellUnanswered(global, survey->unanswered);
  return JoinPartitions(*topics, *survey);
}

CommandEnd ListPartitions(const GlobalOptions& global, const PartitionOptions& options) {
  Result<std::vector<PartitionView>> partitions = LookAtPartitions(global, options.topic);
  if (!partitions.ok()) return partitions.status();
  std::erase_if(*partitions, [&](const PartitionView& partition) {
    return (options.under_replicated && !partition.under_replicated()) ||
           (options.leaderless && !partition.leaderless());
  });
  return WriteOut(RenderPartitionList(*partitions, global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd DescribePartition(const GlobalOptions& global, const PartitionOptions& options) {
  const Result<std::vector<PartitionView>> partitions = LookAtPartitions(global, options.topic);
  if (!partitions.ok()) return partitions.status();
  for (const PartitionView& partition : *partitions)
    if (partition.placed.partition == options.partition)
      return WriteOut(RenderPartition(partition, global.output, UseColour(STDOUT_FILENO)));
  return Status({.reason = "UNKNOWN_PARTITION",
                 .message = "topic \"" + options.topic + "\" has " +
                            std::to_string(partitions->size()) + " partitions, and no partition " +
                            std::to_string(options.partition),
                 .advice = "Choose one of 'varve topic describe'.",
                 .retryable = false,
                 .outcome = RequestOutcome::kNotApplied});
}

CommandEnd Doctor(const GlobalOptions& global, size_t shown) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<ClusterStatus> cluster = Admin(*client).DescribeCluster();
  if (!cluster.ok()) return cluster.status();
  const Status written =
      WriteOut(RenderDoctor(*cluster, shown, global.output, UseColour(STDOUT_FILENO)));
  if (!written.ok()) return written;
  return {DoctorExitCode(*cluster), Status()};
}

void AddPartitionList(CLI::App& partition, CommandContext& context) {
  auto options = std::make_shared<PartitionOptions>();
  CLI::App* command =
      AddCommand(partition, "list", "List partitions with leader, replicas and what is wrong",
                 {"varve partition list", "varve partition list --under-replicated",
                  "varve partition list --topic orders -o jsonl"});
  command->add_option("--topic", options->topic, "Of this topic alone")->type_name("NAME");
  command->add_flag("--under-replicated", options->under_replicated,
                    "Only those with fewer replicas in sync than wanted");
  command->add_flag("--leaderless", options->leaderless, "Only those without a leader");
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] { return ListPartitions(context.options, *options); };
  });
}

void AddPartitionDescribe(CLI::App& partition, CommandContext& context) {
  auto options = std::make_shared<PartitionOptions>();
  CLI::App* command = AddCommand(
      partition, "describe", "Show every replica of a partition, its state and its lag",
      {"varve partition describe orders 0", "varve partition describe orders 0 -o json"});
  command->add_option("TOPIC", options->topic, "Name of the topic")->required();
  command->add_option("PARTITION", options->partition, "Number of the partition")->required();
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return DescribePartition(context.options, *options); };
  });
}

}  // namespace

void AddBrokerViews(CLI::App& broker, CommandContext& context) {
  CLI::App* list = AddCommand(broker, "list", "List the brokers, what they hold and how they are",
                              {"varve broker list", "varve broker list -o jsonl | jq .leaders"});
  AddCommonOptions(*list, context.options, {"table", "json", "jsonl"});
  list->callback([&context] { context.action = [&] { return ListBrokers(context.options); }; });
  auto node = std::make_shared<uint32_t>(0);
  CLI::App* describe =
      AddCommand(broker, "describe", "Show one broker, and how it sees the others",
                 {"varve broker describe 2", "varve broker describe 2 -o json | jq .peers"});
  describe->add_option("NODE", *node, "Its node id")->required();
  AddCommonOptions(*describe, context.options, {"table", "json"});
  describe->callback([&context, node] {
    context.action = [&context, node] { return DescribeBroker(context.options, *node); };
  });
}

void AddClusterCommands(CLI::App& root, CommandContext& context) {
  CLI::App* cluster = root.add_subcommand("cluster", "Look at the cluster as a whole");
  cluster->require_subcommand(1);
  CLI::App* describe =
      AddCommand(*cluster, "describe", "Show brokers, controller, metadata group and health",
                 {"varve cluster describe", "varve cluster describe -o json"});
  AddCommonOptions(*describe, context.options, {"table", "json"});
  describe->callback(
      [&context] { context.action = [&] { return DescribeCluster(context.options); }; });
  CLI::App* partition = root.add_subcommand("partition", "Look at partitions, and move them");
  partition->require_subcommand(1);
  AddPartitionList(*partition, context);
  AddPartitionDescribe(*partition, context);
  AddPartitionMoves(*partition, context);
}

void AddDoctorCommand(CLI::App& root, CommandContext& context) {
  auto shown = std::make_shared<size_t>(50);
  CLI::App* command = AddCommand(
      root, "doctor", "Say what is wrong in the cluster, since when, and what to do",
      {"varve doctor", "varve doctor -o json | jq '.conditions[] | select(.age_ms > 60000)'"});
  command->add_option("--limit", *shown, "Conditions to show in the table")
      ->type_name("N")
      ->capture_default_str();
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, shown] {
    context.action = [&context, shown] { return Doctor(context.options, *shown); };
  });
}

}  // namespace varve::cli
