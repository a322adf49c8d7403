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

Json ToJson(const ReadResult& read) {
  Json json = {{"id", read.id.value()}, {"result", read.index ? "read" : "not_confirmed"}};
  if (read.index) json["index"] = read.index->value();
  return json;
}

std::string_view NameOf(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "probe";
    case ProgressState::kReplicate:
      return "replicate";
    case ProgressState::kInstall:
      return "install";
  }
  return "";
}

Json ToJson(const ReplicaId& peer, const Progress& progress) {
  return {{"peer", Member(peer)},
          {"state", std::string(NameOf(progress.state))},
          {"match", progress.match.value()},
          {"next", progress.next.value()},
          {"paused", progress.paused()},
          {"inflight", progress.window.appends() + (progress.probe_sent ? 1 : 0)}};
}

std::string_view NameOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kData:
      return "data";
    case EntryKind::kBarrier:
      return "barrier";
    case EntryKind::kConfig:
      return "config";
    case EntryKind::kMeta:
      return "meta";
  }
  return "";
}

Json ToJson(const Entry& entry) {
  return {{"index", entry.header.first_index.value()},
          {"term", entry.header.term.value()},
          {"kind", std::string(NameOf(entry.header.kind))},
          {"base", entry.header.base_offset.value()},
          {"last", entry.header.last_offset.value()}};
}

// What the types have in common, zero where a message does not have it.
Json ToJson(const Message& message) {
  Index prev_index;
  Term prev_term;
  Index commit;
  bool reject = false;
  Json entries = Json::array();
  if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
    prev_index = vote->last_index;
    prev_term = vote->last_term;
  } else if (const auto* answer = std::get_if<VoteReply>(&message.body)) {
    reject = !answer->granted;
  } else if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
    prev_index = append->prev_index;
    prev_term = append->prev_term;
    commit = append->commit;
    for (const Entry& entry : append->entries) entries.push_back(ToJson(entry));
  } else if (const auto* reply = std::get_if<AppendReply>(&message.body)) {
    reject = reply->rejected;
    prev_index = reply->rejected ? reply->rejected_prev : reply->report.match;
    commit = reply->report.commit;
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&message.body)) {
    commit = heartbeat->commit;
  } else if (const auto* beat = std::get_if<HeartbeatReply>(&message.body)) {
    prev_index = beat->report.match;
    commit = beat->report.commit;
  } else if (const auto* install = std::get_if<InstallRequest>(&message.body)) {
    prev_index = install->point.end.last_index;
    prev_term = install->point.end.last_term;
  } else if (const auto* installed = std::get_if<InstallReply>(&message.body)) {
    prev_index = installed->report.match;
    commit = installed->report.commit;
  }
  return {{"type", std::string(NameOf(TypeOf(message)))},
          {"from", Member(message.from)},
          {"to", Member(message.to)},
          {"term", message.term.value()},
          {"prev", {{"index", prev_index.value()}, {"term", prev_term.value()}}},
          {"entries", std::move(entries)},
          {"commit", commit.value()},
          {"reject", reject}};
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

Json ToJson(const CoreCluster::Node& node) {
  const Core& core = *node.core;
  Json progress = Json::array();
  for (const auto& [peer, follower] : core.followers()) progress.push_back(ToJson(peer, follower));
  Json results = Json::array();
  for (const ProposalResult& result : node.results) results.push_back(ToJson(result));
  for (const ReadResult& read : node.reads) results.push_back(ToJson(read));
  return {{"id", node.self.node.value()},
          {"epoch", node.self.epoch.value()},
          {"role", std::string(NameOf(core.role()))},
          {"term", core.term().value()},
          {"vote", Member(core.vote())},
          {"leader", Member(core.leader())},
          {"commit", core.commit_index().value()},
          {"applied", node.applied.value()},
          {"first", core.log().start().index.value()},
          {"last",
           {{"index", core.end().last_index.value()},
            {"term", core.end().last_term.value()},
            {"offset", core.end().next_offset.value() - 1}}},
          {"durable", core.durable_index().value()},
          {"config", ToJson(core.log().configuration())},
          {"progress", std::move(progress)},
          {"results", std::move(results)}};
}

Json ToJson(std::string_view command, const CoreCluster& cluster) {
  Json nodes = Json::array();
  for (const auto& [id, node] : cluster.nodes()) nodes.push_back(ToJson(node));
  Json inflight = Json::array();
  for (const Message& message : cluster.messages()) inflight.push_back(ToJson(message));
  return {{"cmd", std::string(command)},
          {"nodes", std::move(nodes)},
          {"inflight", std::move(inflight)}};
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

absl::StatusOr<Json> FieldOf(const Json& node, std::string_view path) {
  std::istringstream steps{std::string(path)};
  const Json* value = &node;
  for (std::string step; std::getline(steps, step, '.');) {
    value = Below(*value, step);
    if (value == nullptr) {
      return MakeError(Reason::INVALID_REQUEST, "there is no field '", path, "'");
    }
  }
  return *value;
}

}  // namespace varve::raft
