// What the commands share: options that every one has, and how they end.
#ifndef VARVE_CLIENT_CLI_COMMAND_H_
#define VARVE_CLIENT_CLI_COMMAND_H_

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cli/cli_error.h"
#include "varve/client.h"
#include "varve/status.h"

namespace varve::cli {

enum class OutputFormat { kTable, kJson, kJsonLines };

struct GlobalOptions {
  std::string server = "localhost:9640";  // host:port, several with commas
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);
  OutputFormat output = OutputFormat::kTable;
  bool output_given = false;
  bool quiet = false;
};

// How a command ended: an exit code, and an error to report unless it is OK.
struct CommandEnd {
  CommandEnd() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): `return status;` ends a command
  CommandEnd(Status why) : exit_code(ExitCodeOf(why)), error(std::move(why)) {}
  CommandEnd(int code, Status why) : exit_code(code), error(std::move(why)) {}

  int exit_code = kExitOk;
  Status error;
};

struct CommandContext {
  GlobalOptions options;
  std::function<CommandEnd()> action;  // of the command that was named
  // The arguments as given, quoted for a shell: reports repeat them.
  std::string command_text;
};

// A client for the chosen brokers, whose connections last as long as the process. Contacts nobody
// yet.
Result<Client> Connect(const GlobalOptions& options);
std::chrono::milliseconds TimeoutOf(const GlobalOptions& options);

// Quotes an argument for a shell where needed.
std::string ShellQuote(std::string_view argument);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_COMMAND_H_
