#include "tests/sim/cluster/storm.h"

#include <algorithm>

namespace varve::clustersim {
namespace {

constexpr uint64_t kRoomyDisk = 1ULL << 40;

}  // namespace

Storm::Storm(World& world)
    : world_(world),
      random_(SeededRandom(world.options.seed ^ 0x5707)),
      victim_(random_->Below(world.options.brokers)),
      next_(world.Now()) {}

Nanos Storm::Below(Nanos most) {
  return static_cast<Nanos>(random_->Below(static_cast<uint64_t>(most)));
}

void Storm::Until(Nanos most, size_t node, std::function<void()> finish) {
  busy_.insert(node);
  // Short ones are likely: they meet with what the last one left.
  const Nanos span = random_->OneIn(2) ? Below(most) : Below(most / 8);
  active_.push_back({world_.Now() + span, node, std::move(finish)});
}

FaultKind Storm::Draw() {
  uint64_t sum = 0;
  for (const uint32_t weight : world_.options.weights) sum += weight;
  uint64_t at = random_->Below(sum);
  size_t kind = 0;
  while (at >= world_.options.weights[kind]) at -= world_.options.weights[kind++];
  return static_cast<FaultKind>(kind);
}

void Storm::Step() {
  for (size_t i = 0; i < active_.size();) {
    if (active_[i].until > world_.Now()) {
      ++i;
      continue;
    }
    const Active over = std::move(active_[i]);
    active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
    busy_.erase(over.node);
    over.finish();
  }
  Revive();
  if (world_.options.fault_gap == 0 || world_.Now() < next_) return;
  next_ = world_.Now() + Below(2 * world_.options.fault_gap);
  const FaultKind kind = Draw();
  if (!Begin(kind)) return;
  ++counts_[static_cast<size_t>(kind)];
  world_.Note("fault", static_cast<uint64_t>(kind));
}

void Storm::End() {
  for (const Active& active : std::exchange(active_, {})) active.finish();
  busy_.clear();
  world_.cluster.network.Heal();
}

// The controller may take the former process of a wiped broker for one that lives.
void Storm::Revive() {
  if (world_.Now() < revived_ + 2 * kSecond) return;
  for (size_t i = 0; i < world_.cluster.size(); ++i) {
    server::SimNode& node = world_.cluster.node(i);
    if (!node.running() || node.failure().ok() || busy_.contains(i)) continue;
    revived_ = world_.Now();
    world_.Crash(i, false);
    node.Start();
  }
}

bool Storm::Begin(FaultKind kind) {
  switch (kind) {
    case FaultKind::kSlowNetwork:
      if (busy_.contains(kNoBroker)) return false;
      world_.cluster.network.SetDelay(kMillisecond, kMillisecond + Below(80 * kMillisecond));
      Until(4 * kSecond, kNoBroker, [this] {
        world_.cluster.network.SetDelay(world_.options.links.min_delay,
                                        world_.options.links.max_delay);
      });
      return true;
    case FaultKind::kBreakConnections: {
      const size_t one = random_->Below(world_.cluster.size());
      const size_t other =
          (one + 1 + random_->Below(world_.cluster.size() - 1)) % world_.cluster.size();
      world_.cluster.network.BreakConnections(world_.cluster.node(one).id(),
                                              world_.cluster.node(other).id());
      return true;
    }
    default:
      break;
  }
  const bool destroys = kind == FaultKind::kWipe;
  const size_t node = destroys ? victim_ : random_->Below(world_.cluster.size());
  if (busy_.contains(node) || !world_.cluster.node(node).running()) return false;
  return BeginOnBroker(kind, node);
}

bool Storm::BeginOnBroker(FaultKind kind, size_t i) {
  server::SimNode& node = world_.cluster.node(i);
  switch (kind) {
    case FaultKind::kProcessCrash:
    case FaultKind::kPowerLoss:
      world_.Crash(i, kind == FaultKind::kPowerLoss);
      Until(4 * kSecond, i, [&node] { node.Start(); });
      return true;
    case FaultKind::kCleanRestart:
      if (!node.ready()) return false;
      // On a full disk the journal keeps what segments have no room for.
      if (const absl::Status stopped = node.TryStop();
          !stopped.ok() && ReasonOf(stopped) != Reason::NO_SPACE)
        world_.oracle.Violate("broker ", i + 1, " does not stop: ", MessageOf(stopped));
      world_.Crash(i, false);
      Until(2 * kSecond, i, [&node] { node.Start(); });
      return true;
    case FaultKind::kFreeze:
      node.Freeze();
      Until(5 * kSecond, i, [&node] { node.Thaw(); });
      return true;
    case FaultKind::kClockStep: {
      const int64_t ahead = 100 + Below(random_->OneIn(4) ? 30LL * 86'400'000 : 5'000);
      node.StepWall(ahead);
      Until(5 * kSecond, i, [&node, ahead] { node.StepWall(-ahead); });
      return true;
    }
    case FaultKind::kWipe:
      if (wiped_ || !node.ready() || !world_.formed) return false;
      wiped_ = true;
      world_.Crash(i, true);
      node.Wipe();
      Until(6 * kSecond, i, [&node] { node.Start(); });
      return true;
    case FaultKind::kDiskStall:
    case FaultKind::kDiskFull:
      return BeginOnDisk(kind, i);
    default:
      return BeginOnLinks(kind, i);
  }
}

void Storm::Isolate(size_t i) { world_.cluster.Isolate(i); }

bool Storm::BeginOnLinks(FaultKind kind, size_t i) {
  sim::SimNetwork& network = world_.cluster.network;
  const NodeId node = world_.cluster.node(i).id();
  const auto mend = [this, &network, node] {
    for (const NodeId other : world_.cluster.Ids()) {
      if (other == node) continue;
      network.Mend(node, other);
      network.Mend(other, node);
    }
  };
  if (kind == FaultKind::kIsolate) {
    Isolate(i);
  } else {
    const NodeId other =
        world_.cluster
            .node((i + 1 + random_->Below(world_.cluster.size() - 1)) % world_.cluster.size())
            .id();
    if (kind == FaultKind::kOneWayCut) {
      network.Cut(node, other);
    } else {
      network.CutLane(node, other, random_->OneIn(2) ? raft::Lane::kControl : raft::Lane::kBulk);
    }
  }
  Until(5 * kSecond, i, mend);
  return true;
}

bool Storm::BeginOnDisk(FaultKind kind, size_t i) {
  SimFileSystem& disk = world_.cluster.node(i).disk();
  if (kind == FaultKind::kDiskFull) {
    disk.SetCapacity(disk.used_bytes() + random_->Below(4 << 20));
    Until(4 * kSecond, i, [&disk] { disk.SetCapacity(kRoomyDisk); });
    return true;
  }
  SimFault stall;
  stall.kind = SimFault::Kind::kStall;
  stall.path_prefix = "data";
  stall.one_in = 1 + random_->Below(20);
  stall.stall = kMillisecond + Below(random_->OneIn(3) ? 2 * kSecond : 50 * kMillisecond);
  disk.AddFault(stall);
  Until(4 * kSecond, i, [&disk] { disk.ClearFaults(); });
  return true;
}

void Storm::Strike(size_t i) {
  server::SimNode& node = world_.cluster.node(i);
  switch (random_->Below(4)) {
    case 0:
      return node.Freeze();
    case 1:
      return Isolate(i);
    default:
      world_.Crash(i, random_->OneIn(2));
  }
}

}  // namespace varve::clustersim
