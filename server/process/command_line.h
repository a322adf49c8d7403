// What the command line of varved asks for.
#ifndef VARVE_SERVER_PROCESS_COMMAND_LINE_H_
#define VARVE_SERVER_PROCESS_COMMAND_LINE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/config/config.h"

namespace varve::server {

enum class Action : uint8_t {
  kRun,
  kPrintConfig,
  kCheckConfig,
  kPrintConfigDocs,
  kHelp,
  kVersion,
  kInspect,
  kRecover,
};

struct CommandLine {
  Action action = Action::kRun;
  std::string config_file;             // empty: none
  std::string ready_file;              // empty: none
  std::vector<std::string> arguments;  // of inspect and recover
  std::vector<GivenValue> flags;
};

// `arguments` without the program's name; a value follows its key behind '=' or as the next
// argument. CONFIG_FILE_INVALID naming the argument.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

// All sources put together: file, environment, flags. `notes` gets what is worth a warning.
absl::StatusOr<Config> LoadConfig(const CommandLine& command,
                                  const std::map<std::string, std::string>& environment,
                                  std::vector<std::string>* notes);

std::string HelpText();

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_COMMAND_LINE_H_
