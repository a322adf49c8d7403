#include "server/process/command_line.h"

#include <utility>

#include "common/error.h"
#include "common/file_system.h"
#include "server/version.h"

namespace varve::server {
namespace {

constexpr size_t kMaxConfigFileBytes = 1 << 20;

struct Switch {
  std::string_view name;
  Action action;
};
constexpr Switch kSwitches[] = {
    {"--help", Action::kHelp},
    {"-h", Action::kHelp},
    {"--version", Action::kVersion},
    {"--print-config", Action::kPrintConfig},
    {"--check-config", Action::kCheckConfig},
    {"--print-config-docs", Action::kPrintConfigDocs},
};

const Switch* FindSwitch(std::string_view argument) {
  for (const Switch& candidate : kSwitches)
    if (candidate.name == argument) return &candidate;
  return nullptr;
}

absl::StatusOr<std::vector<GivenValue>> ReadFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadWholeFile(RealFileSystem(), path, kMaxConfigFileBytes);
  if (!text.ok())
    return MakeError(Reason::CONFIG_FILE_INVALID, "cannot read the configuration file ", path, ": ",
                     MessageOf(text.status()));
  return ReadConfigFile(path, *text);
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine command;
  if (!arguments.empty() && (arguments[0] == "inspect" || arguments[0] == "recover")) {
    command.action = arguments[0] == "inspect" ? Action::kInspect : Action::kRecover;
    command.arguments.assign(arguments.begin() + 1, arguments.end());
    return command;
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string argument = arguments[i];
    if (const Switch* found = FindSwitch(argument)) {
      command.action = found->action;
      continue;
    }
    if (!argument.starts_with("--"))
      return MakeError(
          Reason::CONFIG_FILE_INVALID, "argument \"", argument,
          "\" is not understood; expected inspect, recover or --key=value ('varved --help')");
    if (argument.find('=') == std::string::npos && i + 1 < arguments.size() &&
        !arguments[i + 1].starts_with("--"))
      argument += "=" + arguments[++i];
    if (argument.starts_with("--config=")) {
      command.config_file = argument.substr(9);
    } else if (argument.starts_with("--ready-file=")) {
      command.ready_file = argument.substr(13);
    } else {
      VARVE_ASSIGN_OR_RETURN(GivenValue flag, ReadFlag(argument));
      command.flags.push_back(std::move(flag));
    }
  }
  return command;
}

absl::StatusOr<Config> LoadConfig(const CommandLine& command,
                                  const std::map<std::string, std::string>& environment,
                                  std::vector<std::string>* notes) {
  std::string path = command.config_file;
  if (const auto named = environment.find("VARVE_CONFIG");
      path.empty() && named != environment.end())
    path = named->second;
  std::vector<GivenValue> file;
  if (!path.empty()) {
    VARVE_ASSIGN_OR_RETURN(file, ReadFile(path));
  }
  std::vector<GivenValue> variables = ReadEnvironment(environment, notes);
  return Config::Resolve({std::move(file), std::move(variables), command.flags});
}

std::string HelpText() {
  return StrCat(
      "varved ", kVersion,
      ": one broker of varve\n\n"
      "  varved --data_dir=DIR [--config=FILE] [--key=value ...]\n"
      "  varved inspect DIR [--json] [--commits] [--no-verify]\n"
      "  varved recover DIR [--only-survivor] [--accept-loss]\n\n"
      "  --config=FILE          YAML file with settings (or VARVE_CONFIG)\n"
      "  --print-config         shows every setting and where its value came from\n"
      "  --check-config         checks all settings and exits\n"
      "  --ready-file=FILE      writes \"grpc=HOST:PORT http=HOST:PORT pid=N\" there when ready\n"
      "  --print-config-docs    prints docs/configuration.md\n"
      "  --version, --help\n\n"
      "Settings, each also as a line of the file and as an environment variable (grpc.address is\n"
      "VARVE_GRPC_ADDRESS), with their defaults:\n",
      FormatConfigHelp(),
      "\nSIGTERM or SIGINT drains and ends with 0; a second one ends at once. Exit codes: 4 port "
      "or\n"
      "directory in use, 5 not permitted, 6 disk, 10 damage, 78 configuration, 1 other.\n");
}

}  // namespace varve::server
