// What a Raft script shows after a command. Plain data, printed as one line of JSON whose field
// names and order are the ones that docs/raft_script.md gives.
#ifndef VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_
#define VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/config.h"
#include "raft/core/effects.h"

namespace varve::raft {

struct NodeSnapshot {
  ReplicaId self;
  Role role = Role::kFollower;
  Term term;
  ReplicaId vote;
  ReplicaId leader;
  Index commit;
  Index applied;
  Index first;
  LogEnd last;
  Index durable;
  Configuration configuration;
  std::vector<ProposalResult> results;
};

nlohmann::ordered_json ToJson(const NodeSnapshot& node);
nlohmann::ordered_json ToJson(std::string_view command, const std::vector<NodeSnapshot>& nodes);

// The value at `path` ("last.index", "config.voters", "results.0.result") as `expect` compares it:
// text without quotes, list elements with commas between them. INVALID_REQUEST when there is none.
absl::StatusOr<std::string> FieldOf(const nlohmann::ordered_json& node, std::string_view path);

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_
