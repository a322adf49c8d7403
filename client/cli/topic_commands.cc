// varve topic create | list | describe | delete
#include <unistd.h>

#include <iostream>
#include <memory>

#include "client/cli/command_options.h"
#include "client/cli/terminal.h"
#include "client/cli/topic_output.h"
#include "varve/admin.h"

namespace varve::cli {
namespace {

struct TopicOptions {
  std::vector<std::string> names;
  uint32_t partitions = 1;
  uint32_t replication = 0;
  uint64_t max_batch_bytes = 0;
  uint64_t segment_bytes = 0;
  std::vector<std::string> set;
  bool if_not_exists = false;
  bool if_exists = false;
  bool dry_run = false;
  bool yes = false;
};

void Note(const GlobalOptions& global, const std::string& text) {
  if (!global.quiet) WriteErr(text + "\n");
}

CommandEnd Create(const GlobalOptions& global, const TopicOptions& options) {
  if (options.max_batch_bytes > UINT32_MAX)
    return UsageError("--max-batch-bytes is beyond 4 GiB", "Choose a smaller size.");
  const Result<std::vector<TopicSetting>> settings = ParseTopicSettings(options.set);
  if (!settings.ok()) return settings.status();
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  std::vector<TopicDescription> created;
  for (const std::string& name : options.names) {
    NewTopic topic{
        .name = name,
        .partitions = options.partitions,
        .replication_factor = options.replication,
        .settings = {static_cast<uint32_t>(options.max_batch_bytes), options.segment_bytes},
        .validate_only = options.dry_run,
        .named_settings = *settings};
    Result<TopicDescription> result = admin.CreateTopic(topic);
    if (!result.ok() && options.if_not_exists && result.status().reason() == "TOPIC_EXISTS") {
      Note(global, "topic \"" + name + "\" exists already");
      result = admin.GetTopic(name);
    }
    if (!result.ok()) return result.status();
    created.push_back(std::move(*result));
    if (options.dry_run) Note(global, "topic \"" + name + "\" would be created");
  }
  if (options.dry_run) return Status();
  return WriteOut(RenderTopicList(created, global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd List(const GlobalOptions& global) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<std::vector<TopicDescription>> topics = Admin(*client).ListTopics();
  if (!topics.ok()) return topics.status();
  if (topics->empty() && global.output == OutputFormat::kTable) {
    Note(global, "no topics; create one: varve topic create NAME");
    return Status();
  }
  return WriteOut(RenderTopicList(*topics, global.output, UseColour(STDOUT_FILENO)));
}

CommandEnd Describe(const GlobalOptions& global, const TopicOptions& options) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  std::vector<TopicDescription> topics;
  for (const std::string& name : options.names) {
    Result<TopicDescription> topic = admin.GetTopic(name);
    if (!topic.ok()) return topic.status();
    topics.push_back(std::move(*topic));
  }
  // Each leader knows its partitions best; what does not answer is left to those who do.
  PartitionSurvey all;
  for (const std::string& name : options.names) {
    Result<PartitionSurvey> survey = admin.DescribePartitions(name);
    if (!survey.ok()) return survey.status();
    for (const BrokerStatus& silent : survey->unanswered)
      Note(global, "warning: node " + std::to_string(silent.node) + " at " + silent.address +
                       " did not answer: " + std::string(silent.status.message()));
    std::move(survey->partitions.begin(), survey->partitions.end(),
              std::back_inserter(all.partitions));
  }
  return WriteOut(RenderTopicDescriptions(topics, &all, global.output, UseColour(STDOUT_FILENO)));
}

// Deletion needs a yes: typed, or --yes where nobody can type.
Status Confirm(const TopicOptions& options) {
  if (options.yes || options.dry_run) return Status();
  if (!IsTerminal(STDIN_FILENO))
    return UsageError("deleting a topic deletes its records, and nobody is here to confirm it",
                      "Add --yes, or look first with --dry-run.");
  std::string question = "Delete";
  for (const std::string& name : options.names) question += " " + ShellQuote(name);
  WriteErr(question + " with all records? Type yes: ");
  std::string answer;
  if (!std::getline(std::cin, answer) || answer != "yes")
    return LocalError("not deleted: the answer was not yes", 0, "Type yes, or add --yes.");
  return Status();
}

CommandEnd Delete(const GlobalOptions& global, const TopicOptions& options) {
  if (Status status = Confirm(options); !status.ok()) return status;
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  size_t deleted = 0;
  for (const std::string& name : options.names) {
    const Status status = options.dry_run ? admin.GetTopic(name).status() : admin.DeleteTopic(name);
    if (options.if_exists && status.reason() == "UNKNOWN_TOPIC") {
      Note(global, "topic \"" + name + "\" does not exist");
      continue;
    }
    if (!status.ok()) return deleted > 0 ? CommandEnd(kExitPartial, status) : CommandEnd(status);
    ++deleted;
    Note(global, "topic \"" + name + (options.dry_run ? "\" would be deleted" : "\" deleted"));
  }
  return Status();
}

void AddCreate(CLI::App& topic, CommandContext& context) {
  auto options = std::make_shared<TopicOptions>();
  CLI::App* command = AddCommand(topic, "create", "Create topics",
                                 {"varve topic create orders --partitions 8",
                                  "varve topic create audit --segment-bytes 64MiB -o json"});
  command->add_option("NAME", options->names, "Names of the topics")->required();
  command->add_option("-p,--partitions", options->partitions, "Partitions of each topic")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("-r,--replication", options->replication,
                   "Replicas of each partition; default: the cluster's")
      ->type_name("N");
  AddSize(*command, "--max-batch-bytes", options->max_batch_bytes,
          "Largest batch accepted; default 1 MiB");
  AddSize(*command, "--segment-bytes", options->segment_bytes, "Segment size; default 128 MiB");
  command->add_option("--set", options->set, "A setting, such as retention.ms=7d; may be repeated")
      ->type_name("NAME=VALUE");
  command->add_flag("--if-not-exists", options->if_not_exists, "An existing topic is no error");
  command->add_flag("--dry-run", options->dry_run, "Let the broker check, create nothing");
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Create(context.options, *options); };
  });
}

void AddList(CLI::App& topic, CommandContext& context) {
  CLI::App* command = AddCommand(topic, "list", "List the topics in order of name",
                                 {"varve topic list", "varve topic list -o jsonl | jq -r .name"});
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context] { context.action = [&] { return List(context.options); }; });
}

void AddDescribe(CLI::App& topic, CommandContext& context) {
  auto options = std::make_shared<TopicOptions>();
  CLI::App* command =
      AddCommand(topic, "describe", "Show settings, leaders and offsets of topics",
                 {"varve topic describe orders",
                  "varve topic describe orders -o json | jq '.[0].partitions[].high_watermark'"});
  command->add_option("NAME", options->names, "Names of the topics")->required();
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Describe(context.options, *options); };
  });
}

void AddDelete(CLI::App& topic, CommandContext& context) {
  auto options = std::make_shared<TopicOptions>();
  CLI::App* command =
      AddCommand(topic, "delete", "Delete topics with all their records",
                 {"varve topic delete orders --dry-run", "varve topic delete orders audit --yes"});
  command->add_option("NAME", options->names, "Names of the topics")->required();
  command->add_flag("-y,--yes", options->yes, "Do not ask; needed when nobody can answer");
  command->add_flag("--dry-run", options->dry_run, "Say what would be deleted, delete nothing");
  command->add_flag("--if-exists", options->if_exists, "A missing topic is no error");
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Delete(context.options, *options); };
  });
}

}  // namespace

void AddTopicCommands(CLI::App& root, CommandContext& context) {
  CLI::App* topic = root.add_subcommand("topic", "Create, list, describe and delete topics");
  topic->require_subcommand(1);
  AddCreate(*topic, context);
  AddList(*topic, context);
  AddDescribe(*topic, context);
  AddTopicAlter(*topic, context);
  AddTopicAddPartitions(*topic, context);
  AddTopicDeleteRecords(*topic, context);
  AddDelete(*topic, context);
}

}  // namespace varve::cli
