#include "tests/raft/script/parse.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "common/error.h"

namespace varve::raft {

absl::StatusOr<ReplicaId> ParseReplica(std::string_view text) {
  const size_t colon = text.find(':');
  const auto node = ParseNumber(text.substr(0, colon), 1, "a node");
  if (!node.ok()) return node.status();
  uint64_t epoch = 1;
  if (colon != std::string_view::npos) {
    const auto number = ParseNumber(text.substr(colon + 1), 1, "a replica epoch");
    if (!number.ok()) return number.status();
    epoch = *number;
  }
  return ReplicaId{NodeId{static_cast<NodeId::rep>(*node)},
                   ReplicaEpoch{static_cast<ReplicaEpoch::rep>(epoch)}};
}

absl::StatusOr<std::vector<ReplicaId>> ParseReplicas(std::string_view text) {
  std::vector<ReplicaId> replicas;
  std::istringstream items{std::string(text)};
  for (std::string item; std::getline(items, item, ',');) {
    const auto replica = ParseReplica(item);
    if (!replica.ok()) return replica.status();
    replicas.push_back(*replica);
  }
  std::sort(replicas.begin(), replicas.end());
  if (std::adjacent_find(replicas.begin(), replicas.end()) != replicas.end()) {
    return MakeError(Reason::INVALID_REQUEST, "'", text, "' names a replica twice");
  }
  return replicas;
}

absl::StatusOr<uint64_t> NumberOption(const Command& command, std::string_view key,
                                      uint64_t otherwise, uint64_t least) {
  const auto text = command.option(key);
  if (!text) return otherwise;
  return ParseNumber(*text, least, key);
}

absl::StatusOr<bool> SwitchOption(const Command& command, std::string_view key, bool otherwise) {
  const auto text = command.option(key);
  if (!text) return otherwise;
  if (*text == "on") return true;
  if (*text == "off") return false;
  return MakeError(Reason::INVALID_REQUEST, key, " is on or off, not '", *text, "'");
}

}  // namespace varve::raft
