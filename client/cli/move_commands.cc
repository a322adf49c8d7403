// varve topic add-partitions, varve partition move | transfer, varve broker decommission | replace
#include <chrono>
#include <memory>
#include <thread>

#include "client/cli/command_options.h"
#include "client/cli/terminal.h"
#include "client/cli/topic_output.h"

namespace varve::cli {
namespace {

using std::chrono::steady_clock;

// So often in a row a broker that is to leave may be said to stay.
constexpr int kMostKept = 20;

struct PartitionOptions {
  std::string topic;
  uint32_t partition = 0;
  std::vector<uint32_t> nodes;
};

struct LeaveOptions {
  uint32_t node = 0;
  uint32_t replacement = 0;
  bool cancel = false;
  bool wait = false;
  std::chrono::nanoseconds patience = std::chrono::hours(1);
};

CommandEnd AddPartitions(const GlobalOptions& global, const std::string& name, uint32_t partitions,
                         bool dry_run) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<TopicDescription> topic = Admin(*client).AddPartitions(name, partitions, dry_run);
  if (!topic.ok()) return topic.status();
  return WriteOut(
      RenderTopicDescriptions({*topic}, nullptr, global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd Move(const GlobalOptions& global, const PartitionOptions& options) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Status status = Admin(*client).MovePartition({options.topic, options.partition}, options.nodes);
  if (status.ok() && !global.quiet)
    WriteErr("recorded; 'varve partition describe " + ShellQuote(options.topic) + " " +
             std::to_string(options.partition) + "' shows how far it is\n");
  return status;
}

CommandEnd Transfer(const GlobalOptions& global, const PartitionOptions& options) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  return Admin(*client).TransferLeader({options.topic, options.partition}, options.nodes.front());
}

// Until the broker is not in the cluster any more; a broker that cannot be asked is asked again.
Status AwaitLeft(const GlobalOptions& global, Admin& admin, const LeaveOptions& options) {
  const auto end = steady_clock::now() + options.patience;
  uint64_t shown = UINT64_MAX;
  int kept = 0;
  Status last;
  while (steady_clock::now() < end) {
    const Result<ClusterDescription> cluster = admin.GetCluster();
    last = cluster.status();
    const BrokerDescription* found = nullptr;
    if (cluster.ok())
      for (const BrokerDescription& broker : cluster->brokers)
        if (broker.node == options.node) found = &broker;
    if (cluster.ok() && found == nullptr) return Status();
    // A broker that was just started may tell of an earlier state for a moment.
    kept = found != nullptr && !found->leaving ? kept + 1 : 0;
    if (kept > kMostKept)
      return LocalError("the broker is to stay after all: somebody called it off", 0,
                        "See 'varve broker list'.");
    if (found != nullptr && found->leaving && found->replicas != shown && !global.quiet)
      WriteErr(std::to_string(found->replicas) + " partitions are still to move\n");
    if (found != nullptr && found->leaving) shown = found->replicas;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  if (!last.ok()) return last;
  return LocalError("the broker has not left in time; it goes on leaving", 0,
                    "Look for the cause with 'varve doctor', and wait again.");
}

CommandEnd Leave(const GlobalOptions& global, const LeaveOptions& options) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  if (options.cancel) return admin.KeepBroker(options.node);
  if (Status status = admin.RemoveBroker(options.node, options.replacement); !status.ok())
    return status;
  if (!options.wait) {
    if (!global.quiet)
      WriteErr("recorded; the broker is needed until it is gone from 'varve broker list'\n");
    return Status();
  }
  if (Status status = AwaitLeft(global, admin, options); !status.ok()) return status;
  if (!global.quiet)
    WriteErr("node " + std::to_string(options.node) + " has left; it can be stopped\n");
  return Status();
}

void AddWait(CLI::App& command, LeaveOptions& options) {
  command.add_flag("--wait", options.wait, "Return when the broker has left");
  AddDuration(command, "--for", options.patience, "How long to wait");
}

}  // namespace

void AddTopicAddPartitions(CLI::App& topic, CommandContext& context) {
  struct Options {
    std::string name;
    uint32_t partitions = 0;
    bool dry_run = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = AddCommand(topic, "add-partitions", "Add partitions to a topic",
                                 {"varve topic add-partitions orders --partitions 12",
                                  "varve topic add-partitions orders --partitions 12 --dry-run"});
  command->add_option("NAME", options->name, "Name of the topic")->required();
  command->add_option("--partitions", options->partitions, "How many it is to have in all")
      ->type_name("N")
      ->required();
  command->add_flag("--dry-run", options->dry_run, "Let the broker check, change nothing");
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] {
      return AddPartitions(context.options, options->name, options->partitions, options->dry_run);
    };
  });
}

void AddPartitionMoves(CLI::App& partition, CommandContext& context) {
  auto move = std::make_shared<PartitionOptions>();
  CLI::App* command = AddCommand(
      partition, "move", "Move the replicas of a partition",
      {"varve partition move orders 3 --to 4,1,2", "varve partition move orders 3 --to 2,3"});
  command->add_option("TOPIC", move->topic, "Name of the topic")->required();
  command->add_option("PARTITION", move->partition, "Number of the partition")->required();
  command->add_option("--to", move->nodes, "Nodes of all its replicas, the preferred leader first")
      ->delimiter(',')
      ->type_name("NODE,...")
      ->required();
  AddCommonOptions(*command, context.options, {});
  command->callback([&context, move] {
    context.action = [&context, move] { return Move(context.options, *move); };
  });
  auto transfer = std::make_shared<PartitionOptions>();
  transfer->nodes.resize(1);
  command = AddCommand(partition, "transfer", "Hand the leadership of a partition over",
                       {"varve partition transfer orders 3 --to 2",
                        "varve partition transfer orders 0 --to 1 --server db2:9640"});
  command->add_option("TOPIC", transfer->topic, "Name of the topic")->required();
  command->add_option("PARTITION", transfer->partition, "Number of the partition")->required();
  command->add_option("--to", transfer->nodes.front(), "Node of the replica that is to lead")
      ->type_name("NODE")
      ->required();
  AddCommonOptions(*command, context.options, {});
  command->callback([&context, transfer] {
    context.action = [&context, transfer] { return Transfer(context.options, *transfer); };
  });
}

void AddBrokerMoves(CLI::App& broker, CommandContext& context) {
  auto leave = std::make_shared<LeaveOptions>();
  CLI::App* command =
      AddCommand(broker, "decommission", "Move a broker's replicas to others, then take it out",
                 {"varve broker decommission 3 --wait", "varve broker decommission 3 --cancel"});
  command->add_option("NODE", leave->node, "Node id of the broker")->required();
  command->add_flag("--cancel", leave->cancel, "The broker is to stay after all");
  AddWait(*command, *leave);
  AddCommonOptions(*command, context.options, {});
  command->callback([&context, leave] {
    context.action = [&context, leave] { return Leave(context.options, *leave); };
  });
  auto replace = std::make_shared<LeaveOptions>();
  command =
      AddCommand(broker, "replace", "Move a broker's replicas to another one, then take it out",
                 {"varve broker replace 3 --with 4", "varve broker replace 3 --with 4 --wait"});
  command->add_option("NODE", replace->node, "Node id of the broker that goes")->required();
  command->add_option("--with", replace->replacement, "Node id of the broker that takes its place")
      ->type_name("NODE")
      ->required();
  AddWait(*command, *replace);
  AddCommonOptions(*command, context.options, {});
  command->callback([&context, replace] {
    context.action = [&context, replace] { return Leave(context.options, *replace); };
  });
}

}  // namespace varve::cli
