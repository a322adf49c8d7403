// The Raft core alone: proposals of a group of three with instant disks and an instant network,
// steps of a leader, and what ten thousand idle groups cost.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <vector>

#include "common/record_batch.h"
#include "raft/core/core.h"

namespace varve::raft {
namespace {

constexpr GroupId kGroup{70'000};
constexpr size_t kIdleGroups = 10'000;

ReplicaId Node(uint32_t node) { return {NodeId{node}, ReplicaEpoch{1}}; }

CoreOptions Options(uint32_t node) {
  CoreOptions options;
  options.group = kGroup;
  options.self = Node(node);
  options.max_uncommitted_bytes = 64 << 20;
  options.seed = node;
  return options;
}

// Three replicas whose disk operations finish, and whose messages arrive, as soon as they are
// taken.
class Trio {
 public:
  Trio() {
    CoreState state;
    state.configurations.committed.configuration.voters = {Node(1), Node(2), Node(3)};
    for (uint32_t node = 1; node <= 3; ++node) {
      cores_.push_back(std::make_unique<Core>(Options(node), state));
    }
    leader().Step(Campaign{});
    Settle();
  }
  Core& leader() { return *cores_[0]; }

  void Propose(size_t payload_bytes) {
    FrameBuffer payload(payload_bytes);
    leader().Step(raft::Propose{ProposalId{++last_proposal_}, EntryKind::kData, std::move(payload),
                                1, std::nullopt, WallTime{1}});
  }

  // Until nothing moves; steps taken.
  uint64_t Settle() {
    uint64_t steps = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& core : cores_) {
        Effects effects = core->TakeEffects();
        for (const DiskOperation& operation : effects.disk) {
          core->Step(DiskDone{operation.sequence, operation.term});
          ++steps;
        }
        moved = moved || !effects.disk.empty() || !effects.messages.empty();
        for (Message& message : effects.messages) {
          const uint32_t to = message.to.node.value();
          cores_[to - 1]->Step(Receive{std::move(message)});
          ++steps;
        }
      }
    }
    return steps;
  }

 private:
  std::vector<std::unique_ptr<Core>> cores_;
  uint64_t last_proposal_ = 0;
};

void BM_Proposals(benchmark::State& state) {
  Trio trio;
  const auto burst = static_cast<uint64_t>(state.range(0));
  uint64_t steps = 0;
  for (auto _ : state) {
    for (uint64_t i = 0; i < burst; ++i) trio.Propose(kBatchHeaderBytes + 100);
    steps += burst + trio.Settle();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["steps"] =
      benchmark::Counter(static_cast<double>(steps), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Proposals)->Name("Proposals/burst")->Arg(1)->Arg(16)->Arg(256);

// A heartbeat to a follower and its answer.
void BM_Heartbeat(benchmark::State& state) {
  Trio trio;
  uint64_t steps = 0;
  for (auto _ : state) {
    trio.leader().Step(HeartbeatNow{});
    steps += 1 + trio.Settle();
  }
  state.SetItemsProcessed(static_cast<int64_t>(steps));
}
BENCHMARK(BM_Heartbeat)->Name("Heartbeats/steps");

size_t HeapBytes() { return mallinfo2().uordblks; }

// Leaders with two followers that have everything: what a tick of all of them costs, when their
// node does not vouch for them, and what one takes of memory.
void BM_IdleLeaders(benchmark::State& state) {
  const size_t before = HeapBytes();
  std::vector<std::unique_ptr<Trio>> groups;
  groups.reserve(kIdleGroups);
  for (size_t i = 0; i < kIdleGroups; ++i) {
    groups.push_back(std::make_unique<Trio>());
    groups.back()->Propose(kBatchHeaderBytes + 100);
    groups.back()->Settle();
    groups.back()->leader().Step(HeartbeatNow{});
    groups.back()->Settle();
  }
  const double bytes = static_cast<double>(HeapBytes() - before) / (3.0 * kIdleGroups);
  size_t quiet = 0;
  for (const auto& group : groups) quiet += group->leader().quiet() ? 1 : 0;
  for (auto _ : state) {
    for (const auto& group : groups) {
      group->leader().Step(Tick{1});
      benchmark::DoNotOptimize(group->leader().TakeEffects());
    }
    state.PauseTiming();
    // Answers keep the leaders leading.
    for (const auto& group : groups) {
      for (uint32_t node = 2; node <= 3; ++node) {
        group->leader().Step(PeerAlive{Node(node), group->leader().term()});
      }
    }
    state.ResumeTiming();
  }
  state.counters["bytes_per_replica"] = bytes;
  state.counters["quiet"] = static_cast<double>(quiet);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kIdleGroups));
}
BENCHMARK(BM_IdleLeaders)
    ->Name("IdleLeaders/ticks")
    ->Iterations(200)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace varve::raft
