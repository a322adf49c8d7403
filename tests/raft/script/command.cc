#include "tests/raft/script/command.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "common/error.h"

namespace varve::raft {
namespace {

struct Form {
  std::string_view name;
  size_t least;  // arguments
  size_t most;
  std::vector<std::string_view> keys;  // "*": any
};

const std::vector<Form>& Forms() {
  static const auto* forms = new std::vector<Form>{
      {"nodes", 1, 1, {"voters", "learners", "index", "prevote", "checkquorum"}},
      {"campaign", 1, 1, {}},
      {"tick", 1, 1, {"n"}},
      {"propose", 1, 1, {"records"}},
      {"propose-config",
       1,
       2,
       {"add-voter", "remove", "add-learner", "joint", "learners", "auto-leave"}},
      {"heartbeat", 1, 1, {}},
      {"transfer", 2, 2, {}},
      {"deliver", 1, 2, {"from", "type"}},
      {"drop", 1, 1, {"from", "type"}},
      {"compact", 2, 2, {}},
      {"isolate", 1, 1, {}},
      {"heal", 0, 0, {}},
      {"read-barrier", 1, 1, {}},
      {"stabilize", 0, 99, {}},
      {"set-timeout", 2, 2, {}},
      {"disk", 1, 2, {"n"}},
      {"apply", 1, 1, {}},
      {"restart", 1, 1, {}},
      {"wipe", 1, 1, {}},
      {"state", 0, 0, {}},
      {"expect", 1, 1, {"*"}}};
  return *forms;
}

absl::Status CheckOption(const Form& form, const Command& command, std::string_view key) {
  const bool known = std::any_of(form.keys.begin(), form.keys.end(),
                                 [&](std::string_view k) { return k == key || k == "*"; });
  if (!known) {
    return MakeError(Reason::INVALID_REQUEST, command.name, " has no option '", key, "'");
  }
  if (command.option(key)) {
    return MakeError(Reason::INVALID_REQUEST, "option '", key, "' is given twice");
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<std::string_view> Command::option(std::string_view key) const {
  for (const auto& [name_of_option, value] : options) {
    if (name_of_option == key) return value;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<Command>> ParseCommand(std::string_view line) {
  std::istringstream words{std::string(line.substr(0, line.find('#')))};
  Command command;
  if (!(words >> command.name)) return std::optional<Command>();
  const auto form = std::find_if(Forms().begin(), Forms().end(),
                                 [&](const Form& f) { return f.name == command.name; });
  if (form == Forms().end()) {
    return MakeError(Reason::INVALID_REQUEST, "no command is called '", command.name, "'");
  }
  std::string word;
  while (words >> word) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) {
      command.arguments.push_back(word);
      continue;
    }
    const std::string key = word.substr(0, equals);
    if (auto status = CheckOption(*form, command, key); !status.ok()) return status;
    command.options.emplace_back(key, word.substr(equals + 1));
  }
  if (command.arguments.size() < form->least || command.arguments.size() > form->most) {
    return MakeError(Reason::INVALID_REQUEST, command.name, " takes ", form->least, " to ",
                     form->most, " arguments, not ", command.arguments.size());
  }
  return std::optional<Command>(std::move(command));
}

absl::StatusOr<uint64_t> ParseNumber(std::string_view text, uint64_t least, std::string_view what) {
  // Far below every limit of the core's types, far above what a scenario needs.
  constexpr uint64_t kLargest = 1'000'000'000;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least ||
      value > kLargest) {
    return MakeError(Reason::INVALID_REQUEST, what, " must be a number from ", least, " to ",
                     kLargest, ", not '", text, "'");
  }
  return value;
}

}  // namespace varve::raft
