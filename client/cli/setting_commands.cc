// varve topic alter | delete-records, varve broker confirm-clock
#include <unistd.h>

#include <iostream>
#include <memory>

#include "client/cli/command_options.h"
#include "client/cli/quantity.h"
#include "client/cli/terminal.h"
#include "client/cli/topic_output.h"

namespace varve::cli {
namespace {

struct AlterOptions {
  std::string name;
  std::vector<std::string> set, unset;
  uint32_t replication = 0;
  bool dry_run = false;
};

struct DeleteOptions {
  std::string name;
  uint32_t partition = 0;
  int64_t before = 0;
  bool all = false;
  bool yes = false;
};

// Plain integers go as they are: the broker knows what it takes.
Result<std::string> ValueOf(const std::string& name, const std::string& text) {
  if (text == "unlimited") return std::string("-1");
  if (text == "-1" || ParseCount(text).ok()) return text;
  if (name.ends_with(".bytes")) {
    const Result<uint64_t> bytes = ParseSize(text);
    if (!bytes.ok()) return bytes.status();
    return std::to_string(*bytes);
  }
  if (name.ends_with(".ms")) {
    const Result<std::chrono::nanoseconds> duration = ParseDuration(text);
    if (!duration.ok()) return duration.status();
    return std::to_string(duration->count() / 1'000'000);
  }
  return text;
}

CommandEnd Alter(const GlobalOptions& global, const AlterOptions& options) {
  const Result<std::vector<TopicSetting>> set = ParseTopicSettings(options.set);
  if (!set.ok()) return set.status();
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  if (options.replication != 0 && (options.dry_run || !set->empty() || !options.unset.empty()))
    return UsageError("--replication is a change of its own", "Give it alone.");
  const Result<TopicDescription> altered =
      options.replication != 0
          ? Admin(*client).SetReplication(options.name, options.replication)
          : Admin(*client).AlterTopic(options.name, *set, options.unset, options.dry_run);
  if (!altered.ok()) return altered.status();
  return WriteOut(
      RenderTopicDescriptions({*altered}, nullptr, global.output, UseColour(STDOUT_FILENO)));
}

// As for the deletion of a topic.
Status ConfirmDeletion(const DeleteOptions& options) {
  if (options.yes) return Status();
  if (!IsTerminal(STDIN_FILENO))
    return UsageError("deleting records is for good, and nobody is here to confirm it",
                      "Add --yes.");
  WriteErr("Delete records of " + ShellQuote(options.name) + ", partition " +
           std::to_string(options.partition) + "? Type yes: ");
  std::string answer;
  if (!std::getline(std::cin, answer) || answer != "yes")
    return LocalError("not deleted: the answer was not yes", 0, "Type yes, or add --yes.");
  return Status();
}

CommandEnd DeleteRecords(const GlobalOptions& global, const DeleteOptions& options) {
  if (options.all == (options.before > 0))
    return UsageError("what to delete is not clear", "Give either --before OFFSET or --all.");
  if (Status status = ConfirmDeletion(options); !status.ok()) return status;
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<int64_t> start = Admin(*client).DeleteRecords(
      {options.name, options.partition}, options.all ? int64_t{-1} : options.before);
  if (!start.ok()) return start.status();
  return WriteOut(global.output == OutputFormat::kTable
                      ? "log start " + std::to_string(*start) + "\n"
                      : "{\"log_start\":" + std::to_string(*start) + "}\n");
}

CommandEnd ConfirmClock(const GlobalOptions& global) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  const Result<std::string> paused = Admin(*client).ConfirmClock();
  if (!paused.ok()) return paused.status();
  if (!global.quiet)
    WriteErr(paused->empty() ? "deletion by age was not paused\n"
                             : "deletion by age goes on; it was paused because " + *paused + "\n");
  return Status();
}

}  // namespace

Result<std::vector<TopicSetting>> ParseTopicSettings(const std::vector<std::string>& texts) {
  std::vector<TopicSetting> out;
  out.reserve(texts.size());
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos)
      return UsageError("setting \"" + text + "\" has no value", "Write it as NAME=VALUE.");
    std::string name = text.substr(0, equals);
    const Result<std::string> value = ValueOf(name, text.substr(equals + 1));
    if (!value.ok()) return value.status();
    out.push_back({std::move(name), *value});
  }
  return out;
}

void AddTopicAlter(CLI::App& topic, CommandContext& context) {
  auto options = std::make_shared<AlterOptions>();
  CLI::App* command = AddCommand(topic, "alter", "Change settings of a topic",
                                 {"varve topic alter orders --set retention.ms=7d",
                                  "varve topic alter orders --unset retention.bytes",
                                  "varve topic alter orders --replication 3"});
  command->add_option("NAME", options->name, "Name of the topic")->required();
  command->add_option("--set", options->set, "A setting, such as retention.ms=7d; may be repeated")
      ->type_name("NAME=VALUE");
  command->add_option("--unset", options->unset, "Back to the default; may be repeated")
      ->type_name("NAME");
  command->add_option("--replication", options->replication, "Replicas of each partition")
      ->type_name("N");
  command->add_flag("--dry-run", options->dry_run, "Let the broker check, change nothing");
  AddCommonOptions(*command, context.options, {"table", "json", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Alter(context.options, *options); };
  });
}

void AddTopicDeleteRecords(CLI::App& topic, CommandContext& context) {
  auto options = std::make_shared<DeleteOptions>();
  CLI::App* command =
      AddCommand(topic, "delete-records", "Delete the oldest records of a partition for good",
                 {"varve topic delete-records orders --partition 0 --before 1000 --yes",
                  "varve topic delete-records orders --partition 0 --all"});
  command->add_option("NAME", options->name, "Name of the topic")->required();
  command->add_option("--partition", options->partition, "Number of the partition")
      ->type_name("N")
      ->capture_default_str();
  command->add_option("--before", options->before, "Records below this offset go")
      ->type_name("OFFSET");
  command->add_flag("--all", options->all, "All committed records go");
  command->add_flag("-y,--yes", options->yes, "Do not ask; needed when nobody can answer");
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return DeleteRecords(context.options, *options); };
  });
}

void AddBrokerCommands(CLI::App& root, CommandContext& context) {
  CLI::App* broker = root.add_subcommand("broker", "Look at brokers, and after them");
  broker->require_subcommand(1);
  AddBrokerViews(*broker, context);
  AddBrokerMoves(*broker, context);
  CLI::App* command = AddCommand(
      *broker, "confirm-clock",
      "Say that the broker's clock is right, so that deletion by age goes on",
      {"varve broker confirm-clock", "varve broker confirm-clock --server localhost:9640"});
  AddCommonOptions(*command, context.options, {});
  command->callback([&context] { context.action = [&] { return ConfirmClock(context.options); }; });
}

}  // namespace varve::cli
