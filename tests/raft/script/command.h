// One line of a Raft script, taken apart. docs/raft_script.md gives the grammar.
#ifndef VARVE_TESTS_RAFT_SCRIPT_COMMAND_H_
#define VARVE_TESTS_RAFT_SCRIPT_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace varve::raft {

struct Command {
  std::string name;
  std::vector<std::string> arguments;                        // without '='
  std::vector<std::pair<std::string, std::string>> options;  // KEY=VALUE, in the order of the line
  [[nodiscard]] std::optional<std::string_view> option(std::string_view key) const;
};

// The command of `line` without its comment; no value for a line that has none. INVALID_REQUEST for
// an unknown command, a wrong number of arguments, an unknown or repeated option.
absl::StatusOr<std::optional<Command>> ParseCommand(std::string_view line);

// Decimal number of at least `least`; `what` names it in the error.
absl::StatusOr<uint64_t> ParseNumber(std::string_view text, uint64_t least, std::string_view what);

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_COMMAND_H_
