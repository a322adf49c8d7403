// Commands about disks and logs: disk, compact.
#include "common/error.h"
#include "tests/raft/script/parse.h"
#include "tests/raft/script/script.h"

namespace varve::raft {

absl::Status Script::Disk(const Command& command, uint64_t id) {
  const bool word = command.arguments.size() == 2;
  if (word && command.option("n")) {
    return MakeError(Reason::INVALID_REQUEST, "disk takes either n= or one word");
  }
  if (!word) {
    const auto count = NumberOption(command, "n", 1, 1);
    if (!count.ok()) return count.status();
    cluster_->FinishDisk(id, *count);
    return absl::OkStatus();
  }
  const std::string& what = command.arguments[1];
  if (what == "all") {
    cluster_->FinishDisk(id, SIZE_MAX);
  } else if (what == "hold") {
    cluster_->HoldDisk(id, true);
  } else if (what == "release") {
    cluster_->HoldDisk(id, false);
    cluster_->Step(id, DiskSlow{false});
    cluster_->Step(id, DiskFull{false});
  } else if (what == "fail") {
    cluster_->Step(id, DiskFailed{});
  } else if (what == "slow") {
    cluster_->Step(id, DiskSlow{true});
  } else if (what == "full") {
    cluster_->Step(id, DiskFull{true});
  } else if (what == "suspect") {
    cluster_->Step(id, DiskSuspect{});
  } else {
    return MakeError(Reason::INVALID_REQUEST, "disk does not know '", what, "'");
  }
  return absl::OkStatus();
}

absl::Status Script::Compact(const Command& command, uint64_t id) {
  const auto number = ParseNumber(command.arguments[1], 0, "an index");
  if (!number.ok()) return number.status();
  const Index index{*number};
  const CoreCluster::Node& node = cluster_->node(id);
  if (index > node.core->commit_index() || index > node.durable.last_index()) {
    return MakeError(Reason::INVALID_REQUEST,
                     "only what is committed and durable is compacted: ", node.core->commit_index(),
                     " and ", node.durable.last_index());
  }
  cluster_->Compact(id, index);
  return absl::OkStatus();
}

}  // namespace varve::raft
