// varved: the broker.
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/file_system.h"
#include "server/log/logging.h"
#include "server/process/command_line.h"
#include "server/process/process.h"
#include "server/process/signals.h"
#include "server/version.h"
#include "storage/inspect.h"
#include "storage/recover_command.h"

namespace varve::server {
namespace {

std::map<std::string, std::string> Environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const size_t equals = text.find('=');
    if (text.starts_with("VARVE_") && equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

// One line on standard error; the exit code is that of the error table.
int Fail(const absl::Status& status) {
  const ErrorInfo& info = InfoOf(ReasonOf(status));
  std::cerr << "varved: error: " << MessageOf(status) << ". " << info.advice << std::endl;
  return info.exit_code;
}

int RunProcess(Config config, const std::string& ready_file) {
  static std::atomic<BrokerProcess*> running{nullptr};
  WatchSignals([](int signal) {
    BrokerProcess* process = running.load();
    // Before it serves, nothing was acknowledged and recovery begins anew next time.
    if (process == nullptr || !process->RequestStop()) ::_exit(128 + signal);
    Log(LogLevel::kInfo, "varved", "asked to stop", {{"signal", signal}});
  });
  BrokerProcess process(std::move(config), ready_file);
  running.store(&process);
  if (const absl::Status status = process.Run(); !status.ok()) ::_exit(Fail(status));
  running.store(nullptr);
  return 0;
}

int Main(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> command = ParseCommandLine(arguments);
  if (!command.ok()) return Fail(command.status());
  switch (command->action) {
    case Action::kHelp:
      std::cout << HelpText();
      return 0;
    case Action::kVersion:
      std::cout << "varved " << kVersion << "\n";
      return 0;
    case Action::kPrintConfigDocs:
      std::cout << FormatConfigDocs();
      return 0;
    case Action::kInspect:
      return storage::RunInspect(RealFileSystem(), command->arguments, std::cout, std::cerr);
    case Action::kRecover:
      return storage::RunRecover(RealFileSystem(), command->arguments, std::cout, std::cerr);
    default:
      break;
  }
  std::vector<std::string> notes;
  absl::StatusOr<Config> config = LoadConfig(*command, Environment(), &notes);
  if (!config.ok()) return Fail(config.status());
  ConfigureLogging(config->Text("log.format"), config->Text("log.level"));
  for (const std::string& note : notes) Log(LogLevel::kWarn, "config", note);
  if (command->action == Action::kPrintConfig) {
    std::cout << FormatConfig(*config);
    return 0;
  }
  if (const absl::Status checked = config->Check(); !checked.ok()) return Fail(checked);
  if (command->action != Action::kRun) return 0;
  return RunProcess(*std::move(config), command->ready_file);
}

}  // namespace
}  // namespace varve::server

int main(int argc, char** argv) {
  return varve::server::Main(std::vector<std::string>(argv + 1, argv + argc));
}
