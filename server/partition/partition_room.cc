// Partition: full disks: what is admitted, and who leads while some are full.
#include <algorithm>
#include <optional>

#include "common/error.h"
#include "raft/core/quorum.h"
#include "server/partition/partition.h"

namespace varve::server {
namespace {

// How long a follower may be silent and yet be handed the lead.
constexpr uint64_t kMostTicksSilent = 10;

}  // namespace

storage::SpaceClass Partition::space_class() const {
  return options_.group < kFirstTopicGroup ? storage::SpaceClass::kSystem
                                           : storage::SpaceClass::kData;
}

// Partitions of the system go on in the reserve: their disk is full when that is, too.
void Partition::SetDiskFull(bool full) {
  const bool no_room = full && !directory_.Admit(space_class()).ok();
  raft_->Give(raft::DiskFull{no_room});
  if (no_room) LeadWhereRoomIs();
}

// Two of three replicas with room take records; so one of them leads.
void Partition::LeadWhereRoomIs() {
  const raft::Core& core = raft_->core();
  if (core.role() != raft::Role::kLeader) return;
  const std::vector<ReplicaId>& voters = core.log().configuration().voters;
  std::optional<ReplicaId> best;
  Index match;
  for (const auto& [id, follower] : core.followers()) {
    const bool votes = std::find(voters.begin(), voters.end(), id) != voters.end();
    if (!votes || follower.full || follower.ticks_silent > kMostTicksSilent) continue;
    if (best && follower.match <= match) continue;
    best = id;
    match = follower.match;
  }
  if (best) raft_->Give(raft::Transfer{*best});
}

// What is admitted is to fit: on this disk, and on those of a majority as far as they have said.
absl::Status Partition::CheckRoom() {
  if (absl::Status full = directory_.Admit(space_class()); !full.ok()) return full;
  const raft::Core& core = raft_->core();
  const bool fits = raft::HasMajority(core.log().configuration(), [&](ReplicaId voter) {
    const auto at = core.followers().find(voter);
    return at == core.followers().end() || !at->second.full;
  });
  if (fits) return absl::OkStatus();
  raft_->Give(raft::HeartbeatNow{});  // they may have room again
  return MakeError(Reason::NO_SPACE, "the disks of most replicas of partition group ",
                   options_.group, " are full");
}

}  // namespace varve::server
