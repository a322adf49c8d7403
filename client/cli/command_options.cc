#include "client/cli/command_options.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "client/cli/quantity.h"

namespace varve::cli {
namespace {

struct CompressionChoice {
  const char* name;
  Compression value;
};
constexpr CompressionChoice kCompressions[] = {{"none", Compression::kNone},
                                               {"gzip", Compression::kGzip},
                                               {"snappy", Compression::kSnappy},
                                               {"lz4", Compression::kLz4},
                                               {"zstd", Compression::kZstd}};

constexpr const char* kCommonGroup = "Common options";

OutputFormat FormatNamed(const std::string& name) {
  if (name == "json") return OutputFormat::kJson;
  return name == "jsonl" ? OutputFormat::kJsonLines : OutputFormat::kTable;
}

// CLI11 reports what is thrown here as a usage error of the option.
[[noreturn]] void Refuse(const std::string& option, const Status& status) {
  throw CLI::ValidationError(option,
                             std::string(status.message()) + ". " + std::string(status.advice()));
}

}  // namespace

CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description,
                     std::initializer_list<const char*> examples) {
  CLI::App* command = parent.add_subcommand(name, description);
  std::string footer = "Examples:";
  for (const char* example : examples) footer += std::string("\n  ") + example;
  command->footer(footer);
  return command;
}

std::string DefaultServer() {
  const char* server = std::getenv("VARVE_SERVER");
  return server != nullptr && *server != '\0' ? server : "localhost:9640";
}

void AddCommonOptions(CLI::App& command, GlobalOptions& options,
                      std::initializer_list<const char*> formats) {
  command
      .add_option("-s,--server", options.server,
                  "Broker, host:port; several with commas; or VARVE_SERVER")
      ->type_name("ADDRESS")
      ->default_str(options.server)
      ->group(kCommonGroup);
  AddDuration(command, "--timeout", options.timeout, "How long one request may take")
      ->group(kCommonGroup);
  command.add_flag("-q,--quiet", options.quiet, "No progress and no summaries")
      ->group(kCommonGroup);
  if (formats.size() == 0) return;
  const std::vector<std::string> names(formats.begin(), formats.end());
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&options](const std::string& name) {
            options.output = FormatNamed(name);
            options.output_given = true;
          },
          "Form of the output")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(names))
      ->group(kCommonGroup);
}

CLI::Option* AddSize(CLI::App& command, const std::string& names, uint64_t& target,
                     const std::string& description) {
  CLI::Option* option = command.add_option_function<std::string>(
      names,
      [&target, names](const std::string& text) {
        const Result<uint64_t> size = ParseSize(text);
        if (!size.ok()) Refuse(names, size.status());
        target = *size;
      },
      description);
  option->type_name("SIZE");
  if (target > 0) option->default_str(HumanSize(target));
  return option;
}

CLI::Option* AddDuration(CLI::App& command, const std::string& names,
                         std::chrono::nanoseconds& target, const std::string& description) {
  CLI::Option* option = command.add_option_function<std::string>(
      names,
      [&target, names](const std::string& text) {
        const Result<std::chrono::nanoseconds> duration = ParseDuration(text);
        if (!duration.ok()) Refuse(names, duration.status());
        target = *duration;
      },
      description);
  option->type_name("DURATION");
  if (target.count() > 0) option->default_str(ExactDuration(target));
  return option;
}

CLI::Option* AddCompression(CLI::App& command, Compression& target) {
  std::vector<std::string> names;
  for (const CompressionChoice& choice : kCompressions) names.emplace_back(choice.name);
  return command
      .add_option_function<std::string>(
          "--compress",
          [&target](const std::string& name) {
            for (const CompressionChoice& choice : kCompressions) {
              if (name == choice.name) target = choice.value;
            }
          },
          "Compression of the batches")
      ->type_name("CODEC")
      ->default_str("none")
      ->check(CLI::IsMember(names));
}

std::string_view CompressionName(Compression compression) {
  const auto* found = std::find_if(std::begin(kCompressions), std::end(kCompressions),
                                   [&](const auto& choice) { return choice.value == compression; });
  return found == std::end(kCompressions) ? "unknown" : found->name;
}

}  // namespace varve::cli
