// Faults: which, where, how long; and the end of all of them.
#include <algorithm>
#include <vector>

#include "tests/sim/raft/world.h"

namespace varve::raftsim {

void World::MakeFault() {
  if (healing_ || result_.steps >= options_.fault_steps) return;
  Add(now_ + 1 + random_->Below(2 * options_.between_faults), Kind::kFault, 0);
  // The first three are drawn for each message, the last three are what operators do.
  const auto fault = static_cast<Fault>(3 + random_->Below(kFaults - 3));
  Node* node = &nodes_[random_->Below(nodes_.size())];
  // What hits the leader tells more.
  if (random_->OneIn(3) && Leader() != nullptr && fault != Fault::kTransfer) node = Leader();
  if (!options_.on[static_cast<size_t>(fault)]) return;
  MakeNetworkFault(fault, Number(*node));
  MakeNodeFault(fault, *node);
}

void World::MakeNetworkFault(Fault fault, uint32_t node) {
  const auto count = static_cast<uint32_t>(nodes_.size());
  const auto other = static_cast<uint32_t>(random_->Below(count));
  const SimTime span = 500 * kMillis + random_->Below(5 * kSeconds);
  for (uint32_t i = 0; i < count; ++i) {
    if (fault == Fault::kIsolate) network_.Cut(i, node);
    if (fault == Fault::kIsolate || fault == Fault::kOneWay) network_.Cut(node, i);
    for (uint32_t j = 0; j < count && fault == Fault::kRing; ++j) {
      const uint32_t distance = (j + count - i) % count;
      if (distance > 1 && distance < count - 1) network_.Cut(i, j);
    }
  }
  if (fault == Fault::kClog) network_.Clog(node, other, now_ + span);
  if (fault == Fault::kBlackHole) network_.BlackHole(node, other);
  const bool lasting = fault == Fault::kIsolate || fault == Fault::kOneWay ||
                       fault == Fault::kRing || fault == Fault::kBlackHole;
  if (!lasting && fault != Fault::kClog) return;
  ++result_.faults[static_cast<size_t>(fault)];
  Tell(now_, " ", NameOf(fault), " of node ", node + 1, " towards ", other + 1);
  if (lasting) Add(now_ + span, Kind::kMend, 0);
}

// Whoever wipes a disk loses votes and entries: as many at a time as every acting configuration
// can lose.
bool World::MayWipe(const Node& node) const {
  const auto survives = [&](const std::vector<ReplicaId>& voters) {
    const auto lost = std::count_if(voters.begin(), voters.end(), [&](ReplicaId voter) {
      return voter == node.id || !Exists(voter);
    });
    return voters.empty() || 2 * static_cast<size_t>(lost) < voters.size();
  };
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& other) {
    const Configuration& acting = *other.written.Newest().configuration;
    return survives(acting.voters) && survives(acting.outgoing);
  });
}

void World::MakeNodeFault(Fault fault, Node& node) {
  const SimTime span = 100 * kMillis + random_->Below(4 * kSeconds);
  const uint32_t number = Number(node);
  switch (fault) {
    case Fault::kCrash:
      if (!node.replica) return;
      Crash(node);
      Add(now_ + span, Kind::kRestart, number);
      break;
    case Fault::kWipe:
      if (!MayWipe(node)) return;
      Crash(node);
      wiped_[node.id] = std::move(node.durable);
      node.durable = {};
      node.id.epoch = node.id.epoch + 1;
      Add(now_ + span, Kind::kRestart, number);
      break;
    case Fault::kPause:
      node.paused_until = now_ + span;
      break;
    case Fault::kDiskStall:
      node.stalled_until = now_ + span;
      break;
    case Fault::kSlowDisk:
      if (!node.replica) return;
      node.stalled_until = now_ + span;
      Add(now_ + span, Kind::kDiskMend, number);
      node.disk_slow = true;
      StepNode(node, [](Replica& r) { r.DiskSlow(true); });
      break;
    case Fault::kDiskFull:
      if (!node.replica) return;
      Add(now_ + span, Kind::kDiskMend, number);
      StepNode(node, [](Replica& r) { r.DiskFull(true); });
      break;
    case Fault::kDiskError: {
      if (!node.replica || node.disk_failed) return;
      uint64_t kept = random_->Below(node.pending.size() + 1);
      node.disk_failed = true;
      while (kept-- > 0) FinishWrite(node);
      node.pending.clear();
      StepNode(node, [](Replica& r) { r.DiskFailed(); });
      break;
    }
    case Fault::kTransfer:
      if (Leader() == nullptr) return;
      TransferTo(node, span);
      break;
    case Fault::kMembership: {
      Node* leader = Leader();
      if (leader == nullptr) return;
      ChangeMembership(*leader, false);
      break;
    }
    case Fault::kTrim:
      if (!node.replica || node.disk_failed || node.state.commit < node.written.start.index + 2) {
        return;
      }
      StepNode(node, [&](Replica& r) { r.Trim(node.state.commit + 1 - random_->Below(3)); });
      break;
    default:
      return;
  }
  ++result_.faults[static_cast<size_t>(fault)];
  Tell(now_, " ", NameOf(fault), " at ", Show(node.id));
}

// The target may be lost on the way.
void World::TransferTo(Node& target, SimTime span) {
  Node& leader = *Leader();
  if (random_->OneIn(2)) {
    network_.Cut(Number(leader), Number(target));
    Add(now_ + span, Kind::kMend, 0);
  }
  StepNode(leader, [&](Replica& r) { r.Transfer(target.id); });
}

// There is room again, and writes finish.
void World::MendDisk(Node& node) {
  Tell(now_, " the disk of ", Show(node.id), " is well");
  node.disk_slow = false;
  StepNode(node, [](Replica& r) {
    r.DiskSlow(false);
    r.DiskFull(false);
  });
}

void World::HealAll() {
  healing_ = true;
  network_.Heal();
  network_.Calm();
  for (Node& node : nodes_) {
    if (!result_.violation.empty()) return;
    node.paused_until = 0;
    if (node.disk_failed) Crash(node);
    if (!node.replica) Start(node);
    if (node.replica) MendDisk(node);
  }
  Tell(now_, " all faults end");
}

}  // namespace varve::raftsim
