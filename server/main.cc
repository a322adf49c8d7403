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

// Of a start that damage forbids; the same that inspect and recover end with.
constexpr int kExitDamaged = 10;

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

// What a start refuses because of damage, and what to do next about it, to the letter.
int FailDamaged(const absl::Status& status, const std::string& directory, bool has_peers) {
  const bool suspect = ReasonOf(status) == Reason::REPLICA_SUSPECT;
  std::cerr << "varved: error: " << MessageOf(status) << ". What is damaged: varved "
            << (suspect ? "recover " : "inspect ") << directory << ". ";
  if (has_peers) {
    std::cerr << "Next, while most of the other brokers live: mv " << directory << ' ' << directory
              << ".damaged, and start this one again: it joins under a new epoch and gets "
                 "everything from them.";
  } else {
    std::cerr << "Next: restore the lost files from the disk or a copy of this moment"
              << (suspect ? StrCat("; or: varved recover ", directory, " --accept-loss") : "")
              << '.';
  }
  std::cerr << std::endl;
  return kExitDamaged;
}

int RunProcess(Config config, const std::string& ready_file) {
  static std::atomic<BrokerProcess*> running{nullptr};
  WatchSignals([](int signal) {
    BrokerProcess* process = running.load();
    // Before it serves, nothing was acknowledged and recovery begins anew next time.
    if (process == nullptr || !process->RequestStop()) ::_exit(128 + signal);
    Log(LogLevel::kInfo, "varved", "asked to stop", {{"signal", signal}});
  });
  const std::string directory = config.Text("data_dir");
  const bool has_peers = !config.Text("peer.address").empty();
  BrokerProcess process(std::move(config), ready_file);
  running.store(&process);
  if (const absl::Status status = process.Run(); !status.ok()) {
    const Reason why = ReasonOf(status);
    const bool damaged = why == Reason::DATA_LOSS || why == Reason::REPLICA_SUSPECT;
    ::_exit(damaged ? FailDamaged(status, directory, has_peers) : Fail(status));
  }
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
