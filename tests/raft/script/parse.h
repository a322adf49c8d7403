// Words of Raft scripts: replicas, lists of them, switches.
#ifndef VARVE_TESTS_RAFT_SCRIPT_PARSE_H_
#define VARVE_TESTS_RAFT_SCRIPT_PARSE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/types.h"
#include "tests/raft/script/command.h"

namespace varve::raft {

// ID or ID:EPOCH.
absl::StatusOr<ReplicaId> ParseReplica(std::string_view text);
// With commas between them; sorted. Empty text is an empty list.
absl::StatusOr<std::vector<ReplicaId>> ParseReplicas(std::string_view text);
// The option's number or switch, `otherwise` when it is not given.
absl::StatusOr<uint64_t> NumberOption(const Command& command, std::string_view key,
                                      uint64_t otherwise, uint64_t least);
absl::StatusOr<bool> SwitchOption(const Command& command, std::string_view key, bool otherwise);

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_SCRIPT_PARSE_H_
