#include "tests/raft/script/script.h"

#include <algorithm>
#include <istream>
#include <ostream>
#include <sstream>
#include <utility>

#include "common/error.h"
#include "tests/raft/core_harness.h"

namespace varve::raft {
namespace {

constexpr uint64_t kMaxNodes = 99;

// ID or ID:EPOCH.
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
  return replicas;
}

absl::StatusOr<Configuration> ParseMembers(const Command& command, uint64_t nodes) {
  Configuration configuration;
  if (const auto learners = command.option("learners")) {
    auto parsed = ParseReplicas(*learners);
    if (!parsed.ok()) return parsed.status();
    configuration.learners = *std::move(parsed);
  }
  if (const auto voters = command.option("voters")) {
    auto parsed = ParseReplicas(*voters);
    if (!parsed.ok()) return parsed.status();
    configuration.voters = *std::move(parsed);
    return configuration;
  }
  for (uint64_t node = 1; node <= nodes; ++node) {
    const ReplicaId replica{NodeId{static_cast<NodeId::rep>(node)}, ReplicaEpoch{1}};
    const auto& learners = configuration.learners;
    if (std::find(learners.begin(), learners.end(), replica) == learners.end()) {
      configuration.voters.push_back(replica);
    }
  }
  return configuration;
}

void Remove(std::vector<ReplicaId>& from, ReplicaId replica) {
  from.erase(std::remove(from.begin(), from.end(), replica), from.end());
}

void Add(std::vector<ReplicaId>& to, ReplicaId replica) {
  to.insert(std::lower_bound(to.begin(), to.end(), replica), replica);
}

absl::StatusOr<uint64_t> NumberOption(const Command& command, std::string_view key,
                                      uint64_t otherwise, uint64_t least) {
  const auto text = command.option(key);
  if (!text) return otherwise;
  return ParseNumber(*text, least, key);
}

}  // namespace

int Script::Run(std::istream& in, std::ostream& out) {
  for (std::string line; std::getline(in, line);) {
    const auto command = ParseCommand(line);
    if (command.ok() && !command->has_value()) continue;
    const absl::Status status = command.ok() ? Do(**command) : command.status();
    if (!status.ok()) {
      out << nlohmann::ordered_json{{"error", std::string(ToStd(status.message()))}}.dump() << '\n';
      return expect_failed_ ? kExpectFailed : kBadCommand;
    }
    line.resize(std::min(line.size(), line.find('#')));
    line.erase(line.find_last_not_of(" \t\r") + 1);
    out << Line(line) << '\n';
  }
  return kDone;
}

std::string Script::Line(std::string_view command) const {
  std::vector<NodeSnapshot> nodes;
  nodes.reserve(replicas_.size());
  for (const auto& [id, replica] : replicas_) nodes.push_back(replica->Snapshot());
  return ToJson(command, nodes).dump();
}

absl::StatusOr<Replica*> Script::Find(const std::string& id) {
  const auto number = ParseNumber(id, 1, "a node");
  if (!number.ok()) return number.status();
  const auto found = replicas_.find(*number);
  if (found == replicas_.end()) {
    return MakeError(Reason::INVALID_REQUEST, "there is no node ", *number);
  }
  return found->second.get();
}

absl::Status Script::Do(const Command& command) {
  if (command.name == "nodes") return Nodes(command);
  if (replicas_.empty()) return MakeError(Reason::INVALID_REQUEST, "a script begins with nodes");
  if (command.name == "state") return absl::OkStatus();
  const auto found = Find(command.arguments[0]);
  if (!found.ok()) return found.status();
  Replica& replica = **found;
  if (command.name == "expect") return Expect(command, replica);
  for (const auto& [id, each] : replicas_) each->ForgetResults();
  if (command.name == "propose") return Propose(command, replica);
  if (command.name == "propose-config") return ProposeConfig(command, replica);
  if (command.name == "disk") return Disk(command, replica);
  if (command.name == "tick" || command.name == "campaign") {
    const auto n = NumberOption(command, "n", 1, 0);
    if (!n.ok()) return n.status();
    replica.Step(Tick{static_cast<uint32_t>(*n)});
  } else if (command.name == "apply") {
    replica.Apply();
  } else if (command.name == "restart") {
    replica.Restart();
  } else if (command.name == "wipe") {
    replica.Wipe();
  }
  return absl::OkStatus();
}

absl::Status Script::Nodes(const Command& command) {
  if (!replicas_.empty()) return MakeError(Reason::INVALID_REQUEST, "nodes comes only once");
  const auto count = ParseNumber(command.arguments[0], 1, "the number of nodes");
  if (!count.ok()) return count.status();
  if (*count > kMaxNodes) {
    return MakeError(Reason::INVALID_REQUEST, "at most ", kMaxNodes, " nodes");
  }
  const auto index = NumberOption(command, "index", 0, 0);
  if (!index.ok()) return index.status();
  const auto configuration = ParseMembers(command, *count);
  if (!configuration.ok()) return configuration.status();
  for (uint64_t node = 1; node <= *count; ++node) {
    const ReplicaId self{NodeId{static_cast<NodeId::rep>(node)}, ReplicaEpoch{1}};
    replicas_[node] = std::make_unique<Replica>(self, *configuration, Index{*index});
  }
  return absl::OkStatus();
}

absl::Status Script::Propose(const Command& command, Replica& replica) {
  const auto records = NumberOption(command, "records", 1, 1);
  if (!records.ok()) return records.status();
  if (*records > 1000) return MakeError(Reason::INVALID_REQUEST, "at most 1000 records");
  const auto width = static_cast<uint32_t>(*records);
  replica.Step(raft::Propose{ProposalId{++last_proposal_}, EntryKind::kData, Batch(width), width,
                             std::nullopt, WallTime{1'000}});
  return absl::OkStatus();
}

absl::Status Script::ProposeConfig(const Command& command, Replica& replica) {
  if (command.options.size() != 1) {
    return MakeError(Reason::INVALID_REQUEST, "propose-config takes exactly one change");
  }
  const auto& [change, member] = command.options[0];
  const auto parsed = ParseReplica(member);
  if (!parsed.ok()) return parsed.status();
  Configuration configuration = replica.configuration();
  Remove(configuration.voters, *parsed);
  Remove(configuration.learners, *parsed);
  if (change == "add-voter") Add(configuration.voters, *parsed);
  if (change == "add-learner") Add(configuration.learners, *parsed);
  replica.Step(raft::Propose{ProposalId{++last_proposal_}, EntryKind::kConfig,
                             FrameBuffer::Copy(EncodeConfiguration(configuration)), 0, std::nullopt,
                             WallTime{1'000}});
  return absl::OkStatus();
}

absl::Status Script::Disk(const Command& command, Replica& replica) {
  const bool word = command.arguments.size() == 2;
  if (word == command.option("n").has_value()) {
    return MakeError(Reason::INVALID_REQUEST, "disk takes either n= or one word");
  }
  if (!word) {
    const auto count = NumberOption(command, "n", 1, 1);
    if (!count.ok()) return count.status();
    replica.Finish(*count);
    return absl::OkStatus();
  }
  const std::string& what = command.arguments[1];
  if (what == "all") {
    replica.Finish(SIZE_MAX);
  } else if (what == "hold" || what == "release") {
    replica.Hold(what == "hold");
  } else if (what == "fail") {
    replica.Step(DiskFailed{});
  } else {
    return MakeError(Reason::INVALID_REQUEST, "disk does not know '", what, "'");
  }
  return absl::OkStatus();
}

absl::Status Script::Expect(const Command& command, const Replica& replica) {
  if (command.options.empty()) {
    return MakeError(Reason::INVALID_REQUEST, "expect takes at least one FIELD=VALUE");
  }
  const auto json = ToJson(replica.Snapshot());
  for (const auto& [field, wanted] : command.options) {
    const auto value = FieldOf(json, field);
    if (!value.ok()) return value.status();
    if (*value == wanted) continue;
    expect_failed_ = true;
    return MakeError(Reason::INVALID_REQUEST, "node ", command.arguments[0], ": ", field, " is '",
                     *value, "', not '", wanted, "'");
  }
  return absl::OkStatus();
}

}  // namespace varve::raft
