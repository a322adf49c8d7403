// CommandLine: the tree of varve's commands, from arguments to an exit code.
#ifndef VARVE_CLIENT_CLI_COMMAND_LINE_H_
#define VARVE_CLIENT_CLI_COMMAND_LINE_H_

#include <memory>
#include <string>

#include "client/cli/command.h"

namespace CLI {
class App;
}

namespace varve::cli {

// Single-threaded. One use: Parse, then Run.
class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  struct Parsed {
    bool run = false;      // go on with Run
    int exit_code = 0;     // unless `run`
    std::string out = {};  // help or version, for standard output
    Status error = {};
  };
  // Contacts nobody.
  Parsed Parse(int argc, const char* const* argv);
  // Runs the command that was parsed.
  CommandEnd Run();

  [[nodiscard]] const CLI::App& app() const { return *app_; }
  [[nodiscard]] const CommandContext& context() const { return context_; }

 private:
  std::unique_ptr<CLI::App> app_;
  CommandContext context_;
};

// The whole program.
int VarveMain(int argc, const char* const* argv);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_COMMAND_LINE_H_
