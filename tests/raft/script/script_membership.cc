// propose-config: one change of the configuration on which the node acts.
#include <algorithm>

#include "common/error.h"
#include "tests/raft/script/parse.h"
#include "tests/raft/script/script.h"

namespace varve::raft {
namespace {

bool Has(const std::vector<ReplicaId>& list, ReplicaId replica) {
  return std::find(list.begin(), list.end(), replica) != list.end();
}

void Remove(std::vector<ReplicaId>& from, ReplicaId replica) { std::erase(from, replica); }

void Add(std::vector<ReplicaId>& to, ReplicaId replica) {
  to.insert(std::lower_bound(to.begin(), to.end(), replica), replica);
}

void Leave(Configuration& configuration) {
  configuration.outgoing.clear();
  for (const ReplicaId learner : configuration.learners_next) Add(configuration.learners, learner);
  configuration.learners_next.clear();
  configuration.auto_leave = false;
}

absl::StatusOr<Configuration> Joint(const Command& command, const Configuration& now) {
  Configuration next;
  auto voters = ParseReplicas(*command.option("joint"));
  if (!voters.ok()) return voters.status();
  next.voters = *std::move(voters);
  next.outgoing = now.voters;
  auto learners = ParseReplicas(command.option("learners").value_or(""));
  if (!learners.ok()) return learners.status();
  const auto auto_leave = SwitchOption(command, "auto-leave", false);
  if (!auto_leave.ok()) return auto_leave.status();
  next.auto_leave = *auto_leave;
  for (const ReplicaId learner : command.option("learners") ? *learners : now.learners) {
    if (Has(next.voters, learner)) continue;
    Add(Has(next.outgoing, learner) ? next.learners_next : next.learners, learner);
  }
  return next;
}

absl::StatusOr<Configuration> ChangeOf(const Command& command, const Configuration& now) {
  Configuration next = now;
  if (command.arguments.size() == 2) {
    if (command.arguments[1] != "leave" || !command.options.empty()) {
      return MakeError(Reason::INVALID_REQUEST, "propose-config does not know '",
                       command.arguments[1], "' here");
    }
    Leave(next);
    return next;
  }
  if (command.option("joint")) return Joint(command, now);
  if (command.options.size() != 1 || command.options[0].first == "learners" ||
      command.options[0].first == "auto-leave") {
    return MakeError(Reason::INVALID_REQUEST, "propose-config takes exactly one change");
  }
  const auto& [change, member] = command.options[0];
  const auto replica = ParseReplica(member);
  if (!replica.ok()) return replica.status();
  Remove(next.voters, *replica);
  Remove(next.learners, *replica);
  if (change == "add-voter") Add(next.voters, *replica);
  if (change == "add-learner") Add(next.learners, *replica);
  return next;
}

}  // namespace

absl::Status Script::ProposeConfig(const Command& command, uint64_t id) {
  const auto next = ChangeOf(command, cluster_->core(id).log().configuration());
  if (!next.ok()) return next.status();
  cluster_->ProposeConfig(id, *next);
  return absl::OkStatus();
}

}  // namespace varve::raft
