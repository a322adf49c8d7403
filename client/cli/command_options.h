// How commands declare their options; the one header besides the commands that knows CLI11.
#ifndef VARVE_CLIENT_CLI_COMMAND_OPTIONS_H_
#define VARVE_CLIENT_CLI_COMMAND_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "client/cli/command.h"
#include "varve/admin.h"
#include "varve/record.h"

namespace varve::cli {

// Adds a leaf command: its options come after, then its examples, each a line that runs as it
// stands.
CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     std::initializer_list<const char*> examples);
// --server, --timeout, --quiet. Without `formats` there is no --output; else they are what it
// takes: table, json, jsonl.
void AddCommonOptions(CLI::App& command, GlobalOptions& options,
                      std::initializer_list<const char*> formats);

// Options with units; `target` holds the default, which the help shows.
CLI::Option* AddSize(CLI::App& command, const std::string& names, uint64_t& target,
                     const std::string& description);
CLI::Option* AddDuration(CLI::App& command, const std::string& names,
                         std::chrono::nanoseconds& target, const std::string& description);
CLI::Option* AddCompression(CLI::App& command, Compression& target);
std::string_view CompressionName(Compression compression);

// NAME=VALUE each; sizes of *.bytes and durations of *.ms may have units, "unlimited" is -1.
Result<std::vector<TopicSetting>> ParseTopicSettings(const std::vector<std::string>& texts);

// "localhost:9640", or what VARVE_SERVER says.
std::string DefaultServer();

// One for each noun or verb below the root.
void AddTopicCommands(CLI::App& root, CommandContext& context);
void AddTopicAlter(CLI::App& topic, CommandContext& context);
void AddTopicAddPartitions(CLI::App& topic, CommandContext& context);
void AddTopicDeleteRecords(CLI::App& topic, CommandContext& context);
void AddBrokerCommands(CLI::App& root, CommandContext& context);
void AddBrokerMoves(CLI::App& broker, CommandContext& context);
void AddPartitionMoves(CLI::App& partition, CommandContext& context);
void AddBrokerViews(CLI::App& broker, CommandContext& context);
void AddClusterCommands(CLI::App& root, CommandContext& context);
void AddDemoCommand(CLI::App& root, CommandContext& context);
void AddDoctorCommand(CLI::App& root, CommandContext& context);
void AddProduceCommand(CLI::App& root, CommandContext& context);
void AddConsumeCommand(CLI::App& root, CommandContext& context);
void AddPerfCommands(CLI::App& root, CommandContext& context);
void AddPerfProduce(CLI::App& perf, CommandContext& context);
void AddPerfConsume(CLI::App& perf, CommandContext& context);
void AddPerfFsync(CLI::App& perf, CommandContext& context);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_COMMAND_OPTIONS_H_
