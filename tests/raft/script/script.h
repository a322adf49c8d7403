// Runs Raft scripts: commands in, one line of JSON for each out. Equal scripts give equal output.
#ifndef VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_
#define VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_

#include <iosfwd>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "tests/raft/script/command.h"
#include "tests/raft/script/replica.h"

namespace varve::raft {

class Script {
 public:
  // Exit codes of Run.
  static constexpr int kDone = 0;
  static constexpr int kExpectFailed = 1;
  static constexpr int kBadCommand = 2;

  // Runs until the end of `in`, a bad command or a failed `expect`; the last two print
  // {"error":...} as their line.
  int Run(std::istream& in, std::ostream& out);

 private:
  absl::Status Do(const Command& command);
  absl::Status Nodes(const Command& command);
  absl::Status Propose(const Command& command, Replica& replica);
  absl::Status ProposeConfig(const Command& command, Replica& replica);
  absl::Status Disk(const Command& command, Replica& replica);
  absl::Status Expect(const Command& command, const Replica& replica);
  absl::StatusOr<Replica*> Find(const std::string& id);
  [[nodiscard]] std::string Line(std::string_view command) const;

  std::map<uint64_t, std::unique_ptr<Replica>> replicas_;
  uint64_t last_proposal_ = 0;
  bool expect_failed_ = false;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_
