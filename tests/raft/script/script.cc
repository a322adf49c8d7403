#include "tests/raft/script/script.h"

#include <algorithm>
#include <istream>
#include <ostream>
#include <utility>

#include "common/error.h"
#include "tests/raft/script/parse.h"
#include "tests/raft/script/snapshot.h"

namespace varve::raft {
namespace {

constexpr uint64_t kMaxNodes = 99;

absl::StatusOr<Configuration> ParseMembers(const Command& command, uint64_t nodes) {
  Configuration configuration;
  auto learners = ParseReplicas(command.option("learners").value_or(""));
  if (!learners.ok()) return learners.status();
  configuration.learners = *std::move(learners);
  if (const auto voters = command.option("voters")) {
    auto parsed = ParseReplicas(*voters);
    if (!parsed.ok()) return parsed.status();
    configuration.voters = *std::move(parsed);
    return configuration;
  }
  for (uint64_t node = 1; node <= nodes; ++node) {
    const auto& them = configuration.learners;
    if (std::find(them.begin(), them.end(), ReplicaOf(node)) == them.end()) {
      configuration.voters.push_back(ReplicaOf(node));
    }
  }
  return configuration;
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
  return ToJson(command, *cluster_).dump();
}

absl::StatusOr<uint64_t> Script::Find(const std::string& id) const {
  const auto number = ParseNumber(id, 1, "a node");
  if (!number.ok()) return number.status();
  if (!cluster_->nodes().contains(*number)) {
    return MakeError(Reason::INVALID_REQUEST, "there is no node ", *number);
  }
  return *number;
}

absl::Status Script::Do(const Command& command) {
  if (command.name == "nodes") return Nodes(command);
  if (!cluster_) return MakeError(Reason::INVALID_REQUEST, "a script begins with nodes");
  if (command.name == "state") return absl::OkStatus();
  if (command.name != "expect") cluster_->ForgetResults();
  if (command.name == "heal" || command.name == "stabilize") return DoForAll(command);
  const auto id = Find(command.arguments[0]);
  if (!id.ok()) return id.status();
  return DoFor(command, *id);
}

absl::Status Script::DoForAll(const Command& command) {
  if (command.name == "stabilize") return Stabilize(command);
  cluster_->Heal();
  return absl::OkStatus();
}

absl::Status Script::DoFor(const Command& command, uint64_t id) {
  const std::string& name = command.name;
  if (name == "expect") return Expect(command, id);
  if (name == "propose") return Propose(command, id);
  if (name == "propose-config") return ProposeConfig(command, id);
  if (name == "disk") return Disk(command, id);
  if (name == "compact") return Compact(command, id);
  if (name == "deliver" || name == "drop") return Deliver(command, id);
  if (name == "transfer") return Transfer(command, id);
  if (name == "tick") {
    const auto n = NumberOption(command, "n", 1, 0);
    if (!n.ok()) return n.status();
    cluster_->Step(id, Tick{*n});
  } else if (name == "set-timeout") {
    const auto ticks = ParseNumber(command.arguments[1], 1, "a timeout");
    if (!ticks.ok()) return ticks.status();
    cluster_->FixElectionTimeout(id, *ticks);
  } else if (name == "campaign") {
    cluster_->Step(id, Campaign{});
  } else if (name == "heartbeat") {
    cluster_->Step(id, HeartbeatNow{});
  } else if (name == "read-barrier") {
    cluster_->ReadBarrier(id);
  } else if (name == "isolate") {
    cluster_->Isolate(id);
  } else if (name == "apply") {
    cluster_->node(id).applied = cluster_->core(id).commit_index();
  } else if (name == "restart") {
    cluster_->Restart(id);
  } else if (name == "wipe") {
    cluster_->Wipe(id);
  }
  return absl::OkStatus();
}

absl::Status Script::Nodes(const Command& command) {
  if (cluster_) return MakeError(Reason::INVALID_REQUEST, "nodes comes only once");
  const auto count = ParseNumber(command.arguments[0], 1, "the number of nodes");
  if (!count.ok()) return count.status();
  if (*count > kMaxNodes) {
    return MakeError(Reason::INVALID_REQUEST, "at most ", kMaxNodes, " nodes");
  }
  const auto index = NumberOption(command, "index", 0, 0);
  if (!index.ok()) return index.status();
  const auto pre_vote = SwitchOption(command, "prevote", true);
  if (!pre_vote.ok()) return pre_vote.status();
  const auto check_quorum = SwitchOption(command, "checkquorum", true);
  if (!check_quorum.ok()) return check_quorum.status();
  auto configuration = ParseMembers(command, *count);
  if (!configuration.ok()) return configuration.status();
  if (configuration->voters.empty()) {
    return MakeError(Reason::INVALID_REQUEST, "nodes needs a voter");
  }
  if (const auto valid = DecodeConfiguration(EncodeConfiguration(*configuration)); !valid.ok()) {
    return valid.status();
  }
  ClusterOptions options;
  options.nodes = static_cast<uint32_t>(*count);
  options.configuration = *std::move(configuration);
  options.index = Index{*index};
  options.core.max_uncommitted_bytes = 64 << 10;
  options.core.heartbeat_ticks = 1;
  options.core.election_ticks = 10;
  options.core.pre_vote = *pre_vote;
  options.core.check_quorum = *check_quorum;
  cluster_ = std::make_unique<CoreCluster>(std::move(options));
  return absl::OkStatus();
}

absl::Status Script::Propose(const Command& command, uint64_t id) {
  const auto records = NumberOption(command, "records", 1, 1);
  if (!records.ok()) return records.status();
  if (*records > 1000) return MakeError(Reason::INVALID_REQUEST, "at most 1000 records");
  cluster_->Propose(id, static_cast<uint32_t>(*records));
  return absl::OkStatus();
}

absl::Status Script::Expect(const Command& command, uint64_t id) {
  if (command.options.empty()) {
    return MakeError(Reason::INVALID_REQUEST, "expect takes at least one FIELD=VALUE");
  }
  const auto json = ToJson(cluster_->node(id));
  for (const auto& [field, wanted] : command.options) {
    const auto value = FieldOf(json, field);
    if (!value.ok()) return value.status();
    const std::string text = Text(*value);
    if (text == wanted || (value->is_array() && value->dump() == wanted)) continue;
    expect_failed_ = true;
    return MakeError(Reason::INVALID_REQUEST, "node ", command.arguments[0], ": ", field, " is '",
                     text, "', not '", wanted, "'");
  }
  return absl::OkStatus();
}

}  // namespace varve::raft
