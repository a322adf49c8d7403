// What counting costs a batch: the watch of a group whose leader has two followers, and the cells
// of a commit, with the machine's clock. Both stages of a batch are in each figure.
#include <benchmark/benchmark.h>

#include <vector>

#include "common/metric_cells.h"
#include "raft/shell/group_watch.h"

namespace varve::raft {
namespace {

constexpr GroupId kGroup{70'000};
ReplicaId Node(uint32_t node) { return {NodeId{node}, ReplicaEpoch{1}}; }

// Proposed and committed: two readings of the clock and one histogram.
void CommitLatency(benchmark::State& state) {
  LatencyHistogram histogram;
  for (auto _ : state) {
    const MonoTime begun = RealClock().Now();
    benchmark::ClobberMemory();
    histogram.Observe(RealClock().Now() - begun);
  }
}
BENCHMARK(CommitLatency);

// A batch that goes to two followers, is acknowledged by both and committed.
void WatchOfABatch(benchmark::State& state) {
  CoreState fresh;
  fresh.configurations.committed.configuration.voters = {Node(1), Node(2), Node(3)};
  CoreOptions options;
  options.group = kGroup;
  options.self = Node(1);
  const Core core(options, fresh);
  GroupMetrics metrics;
  GroupWatch watch(core, RealClock(), &metrics);
  std::vector<Effects> appended(1);
  std::vector<Input> replies;
  for (const uint32_t to : {2, 3}) {
    AppendRequest append;
    append.entries.resize(1);
    appended[0].messages.push_back({kGroup, Node(1), Node(to), core.term(), append});
    replies.emplace_back(Receive{{kGroup, Node(to), Node(1), core.term(), AppendReply{}}});
  }
  Effects committed;
  committed.results.push_back({ProposalId{1}, ProposalCommitted{}});
  uint64_t index = 0;
  for (auto _ : state) {
    ++index;
    for (Message& message : appended[0].messages) {
      auto& append = std::get<AppendRequest>(message.body);
      append.prev_index = Index{index - 1};
      append.entries[0].header.last_index = Index{index};
    }
    watch.OnEffects(appended[0]);
    for (Input& reply : replies) {
      std::get<AppendReply>(std::get<Receive>(reply).message.body).report.match = Index{index};
      watch.OnInput(reply);
    }
    watch.OnEffects(committed);
  }
  state.counters["timed"] = static_cast<double>(metrics.append_round_trip.Read().sum > 0);
}
BENCHMARK(WatchOfABatch);

}  // namespace
}  // namespace varve::raft
