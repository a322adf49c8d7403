#include "tests/raft/script/snapshot.h"

#include <sstream>
#include <utility>

#include "common/error.h"
#include "common/strings.h"

namespace varve::raft {
namespace {

using Json = nlohmann::ordered_json;

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "precandidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "";
}

// The number of the node; with its epoch unless that is the first.
Json Member(const ReplicaId& replica) {
  if (replica.epoch <= ReplicaEpoch{1}) return replica.node.value();
  return StrCat(replica.node, ":", replica.epoch);
}

Json Members(const std::vector<ReplicaId>& replicas) {
  Json list = Json::array();
  for (const ReplicaId& replica : replicas) list.push_back(Member(replica));
  return list;
}

Json ToJson(const Configuration& configuration) {
  return {{"voters", Members(configuration.voters)},
          {"outgoing", Members(configuration.outgoing)},
          {"learners", Members(configuration.learners)},
          {"learners_next", Members(configuration.learners_next)},
          {"auto_leave", configuration.auto_leave}};
}

Json ToJson(const ProposalResult& result) {
  Json json = {{"id", result.id.value()}};
  if (const auto* accepted = std::get_if<ProposalAccepted>(&result.result)) {
    json["result"] = "accepted";
    json["index"] = accepted->index.value();
    json["term"] = accepted->term.value();
    json["base"] = accepted->base_offset.value();
  } else if (const auto* committed = std::get_if<ProposalCommitted>(&result.result)) {
    json["result"] = "committed";
    json["index"] = committed->index.value();
    json["base"] = committed->base_offset.value();
  } else if (const auto* refused = std::get_if<ProposalRefused>(&result.result)) {
    json["result"] = "refused";
    json["reason"] = std::string(InfoOf(refused->reason).name);
  } else {
    const bool lost = std::holds_alternative<ProposalLost>(result.result);
    json["result"] = lost ? "lost" : "unknown";
  }
  return json;
}

std::string Text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& element : value) {
    text += StrCat(text.empty() ? "" : ",", Text(element));
  }
  return text;
}

// The element that `step` names, or null.
const Json* Below(const Json& value, const std::string& step) {
  if (value.is_object() && value.contains(step)) return &value[step];
  const bool number =
      !step.empty() && step.size() < 6 && step.find_first_not_of("0123456789") == std::string::npos;
  if (!value.is_array() || !number || std::stoul(step) >= value.size()) return nullptr;
  return &value[std::stoul(step)];
}

}  // namespace

Json ToJson(const NodeSnapshot& node) {
  Json results = Json::array();
  for (const ProposalResult& result : node.results) results.push_back(ToJson(result));
  return {{"id", node.self.node.value()},
          {"epoch", node.self.epoch.value()},
          {"role", std::string(NameOf(node.role))},
          {"term", node.term.value()},
          {"vote", Member(node.vote)},
          {"leader", Member(node.leader)},
          {"commit", node.commit.value()},
          {"applied", node.applied.value()},
          {"first", node.first.value()},
          {"last",
           {{"index", node.last.last_index.value()},
            {"term", node.last.last_term.value()},
            {"offset", node.last.next_offset.value() - 1}}},
          {"durable", node.durable.value()},
          {"config", ToJson(node.configuration)},
          {"progress", Json::array()},
          {"results", std::move(results)}};
}

Json ToJson(std::string_view command, const std::vector<NodeSnapshot>& nodes) {
  Json list = Json::array();
  for (const NodeSnapshot& node : nodes) list.push_back(ToJson(node));
  return {{"cmd", std::string(command)}, {"nodes", std::move(list)}, {"inflight", Json::array()}};
}

absl::StatusOr<std::string> FieldOf(const Json& node, std::string_view path) {
  std::istringstream steps{std::string(path)};
  const Json* value = &node;
  for (std::string step; std::getline(steps, step, '.');) {
    value = Below(*value, step);
    if (value == nullptr) {
      return MakeError(Reason::INVALID_REQUEST, "there is no field '", path, "'");
    }
  }
  return Text(*value);
}

}  // namespace varve::raft
