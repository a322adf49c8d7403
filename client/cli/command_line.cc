#include "client/cli/command_line.h"

#include <signal.h>
#include <unistd.h>

#include <sstream>

#include "client/cli/command_options.h"
#include "client/cli/terminal.h"

namespace varve::cli {
namespace {

constexpr const char* kDescription =
    "varve: the command line of the varve log.\n"
    "Data goes to standard output, everything else to standard error.";
constexpr const char* kFooter =
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 exists already, 5 not allowed,\n"
    "6 unreachable, 7 deadline, 8 partial success, 9 unhealthy (doctor).\n"
    "'varve COMMAND --help' shows options and examples of a command.";

// The innermost command that the arguments got to, as typed: "varve topic create".
std::string PathOf(const CLI::App& app) {
  std::string path = app.get_name();
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  return path;
}

// Looked for by hand, because it must be known when parsing fails.
bool WantsJson(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") return false;
    if (argument == "-ojson" || argument == "-ojsonl" || argument == "--output=json" ||
        argument == "--output=jsonl")
      return true;
    if ((argument == "-o" || argument == "--output") && i + 1 < argc)
      return std::string_view(argv[i + 1]).starts_with("json");
  }
  return false;
}

void Report(const Status& error, bool json) {
  std::string text = json ? ErrorJson(error) : ErrorText(error);
  if (!json && UseColour(STDERR_FILENO) && text.starts_with("error:"))
    text = "\033[31merror:\033[0m" + text.substr(6);
  WriteErr(text + "\n");
}

}  // namespace

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>(kDescription, "varve")) {
  context_.options.server = DefaultServer();
  app_->footer(kFooter);
  app_->set_version_flag("--version", std::string("varve ") + VARVE_VERSION);
  app_->require_subcommand(1);
  AddCommonOptions(*app_, context_.options, {"table", "json", "jsonl"});
  AddTopicCommands(*app_, context_);
  AddClusterCommands(*app_, context_);
  AddBrokerCommands(*app_, context_);
  AddDoctorCommand(*app_, context_);
  AddDemoCommand(*app_, context_);
  AddProduceCommand(*app_, context_);
  AddConsumeCommand(*app_, context_);
  AddPerfCommands(*app_, context_);
}

CommandLine::~CommandLine() = default;

CommandLine::Parsed CommandLine::Parse(int argc, const char* const* argv) {
  context_.command_text = "varve";
  for (int i = 1; i < argc; ++i) context_.command_text += " " + ShellQuote(argv[i]);
  try {
    app_->parse(argc, argv);
    return {.run = true};
  } catch (const CLI::Success& help) {  // --help, --version
    std::ostringstream out, err;
    const int code = app_->exit(help, out, err);
    return {.run = false, .exit_code = code, .out = out.str()};
  } catch (const CLI::ParseError& error) {
    return {.run = false,
            .exit_code = kExitUsage,
            .error = UsageError(error.what(), "See " + PathOf(*app_) + " --help")};
  }
}

CommandEnd CommandLine::Run() { return context_.action(); }

int VarveMain(int argc, const char* const* argv) {
  // A reader that goes away ends us silently, whatever our parent chose for its own pipes.
  signal(SIGPIPE, SIG_DFL);
  CommandLine command_line;
  const CommandLine::Parsed parsed = command_line.Parse(argc, argv);
  const bool json = WantsJson(argc, argv);
  if (!parsed.run) {
    if (!parsed.out.empty()) (void)WriteOut(parsed.out);
    if (!parsed.error.ok()) Report(parsed.error, json);
    return parsed.exit_code;
  }
  const CommandEnd end = command_line.Run();
  if (!end.error.ok()) Report(end.error, json);
  // Nothing is buffered, and what had to end in order has ended: tearing gRPC down would take
  // longer than most commands.
  _exit(end.exit_code);
}

}  // namespace varve::cli
