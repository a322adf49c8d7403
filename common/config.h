// Configuration of a group: who votes, who learns. The payload of a Config entry, and part of
// segment starts, checkpoints and bootstrap. docs/formats.md, "Configuration".
#ifndef VARVE_COMMON_CONFIG_H_
#define VARVE_COMMON_CONFIG_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/types.h"

namespace varve {

// Joint consensus as in section 4.3 of Ongaro's thesis: while `outgoing` is not empty, decisions
// need a majority of `voters` and of `outgoing`. Each list is sorted by replica and free of
// duplicates, and a node is in at most one of voters and learners.
struct Configuration {
  std::vector<ReplicaId> voters;
  std::vector<ReplicaId> outgoing;
  std::vector<ReplicaId> learners;
  std::vector<ReplicaId> learners_next;  // voters of `outgoing` that become learners on leaving
  bool auto_leave = false;
  bool operator==(const Configuration&) const = default;
};

// Deterministic: equal configurations have equal bytes.
std::string EncodeConfiguration(const Configuration& configuration);
// DATA_LOSS when the bytes are not exactly one valid configuration (hostile input is fine).
absl::StatusOr<Configuration> DecodeConfiguration(std::string_view bytes);

}  // namespace varve

#endif  // VARVE_COMMON_CONFIG_H_
