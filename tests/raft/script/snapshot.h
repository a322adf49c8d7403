// What a Raft script shows after a command: one line of JSON whose field names and order are the
// ones that docs/raft_script.md gives.
#ifndef VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_
#define VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/raft/core_cluster.h"

namespace varve::raft {

nlohmann::ordered_json ToJson(const CoreCluster::Node& node);
nlohmann::ordered_json ToJson(std::string_view command, const CoreCluster& cluster);

// The value at `path` ("last.index", "config.voters", "results.0.result"). INVALID_REQUEST when
// there is none.
absl::StatusOr<nlohmann::ordered_json> FieldOf(const nlohmann::ordered_json& node,
                                               std::string_view path);
// As `expect` compares it: text without quotes, list elements with commas between them.
std::string Text(const nlohmann::ordered_json& value);

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_SNAPSHOT_H_
