// Runs Raft scripts: commands in, one line of JSON for each out. Equal scripts give equal output.
// docs/raft_script.md gives the grammar.
#ifndef VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_
#define VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_

#include <iosfwd>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "tests/raft/core_cluster.h"
#include "tests/raft/script/command.h"

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
  absl::Status DoForAll(const Command& command);
  absl::Status DoFor(const Command& command, uint64_t id);
  absl::Status Nodes(const Command& command);
  absl::Status Propose(const Command& command, uint64_t id);
  absl::Status Expect(const Command& command, uint64_t id);
  absl::StatusOr<uint64_t> Find(const std::string& id) const;
  [[nodiscard]] std::string Line(std::string_view command) const;

  // script_network.cc
  absl::Status Stabilize(const Command& command);
  absl::Status Deliver(const Command& command, uint64_t to);
  absl::Status Transfer(const Command& command, uint64_t from);

  // script_membership.cc
  absl::Status ProposeConfig(const Command& command, uint64_t id);

  // script_disk.cc
  absl::Status Disk(const Command& command, uint64_t id);
  absl::Status Compact(const Command& command, uint64_t id);

  std::unique_ptr<CoreCluster> cluster_;
  bool expect_failed_ = false;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_SCRIPT_H_
