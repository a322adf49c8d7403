#include "tests/sim/cluster/runner.h"

#include "tests/sim/cluster/judge.h"

namespace varve::clustersim {
namespace {

constexpr Nanos kStep = 20 * kMillisecond;
constexpr Nanos kPatience = 90 * kSecond;
// What a packet of the control lane may have: no entries, but a heartbeat with many groups.
constexpr size_t kMostControlBytes = 256 << 10;

class Simulation final {
 public:
  explicit Simulation(const ClusterOptions& options)
      : world_(options), checker_(world_), storm_(world_), judge_(world_, storm_, checker_) {}
  RunResult Go();

 private:
  void Weather();
  void Finish();
  void CheckTransport();
  RunResult Result();

  World world_;
  Checker checker_;
  Storm storm_;
  Judge judge_;
};

void Simulation::Weather() {
  const MonoTime end = world_.Now() + world_.options.storm;
  for (uint64_t step = 0; world_.Now() < end && !world_.oracle.broken(); ++step) {
    world_.cluster.scheduler.RunFor(kStep);
    storm_.Step();
    if (step % 5 == 0) checker_.Look();
  }
}

void Simulation::CheckTransport() {
  const sim::SimNetwork::Stats& stats = world_.cluster.network.stats();
  // One that was asked for by a connection that broke at that moment may meet the next one.
  if (stats.unasked > 2 * stats.connections)
    world_.oracle.Violate(stats.unasked, " packets were sent that no connection had asked for");
  if (stats.largest_control_packet > kMostControlBytes)
    world_.oracle.Violate("a packet of the control lane has ", stats.largest_control_packet,
                          " bytes");
}

void Simulation::Finish() {
  storm_.End();
  world_.Rest();
  if (!judge_.AwaitSettled(kPatience)) return;
  judge_.CheckCalm();
  if (world_.options.fault_gap > 0 && !world_.oracle.broken()) {
    // A broker that lost its disk has no data to lead with: nobody else may be missed.
    size_t without = world_.random->Below(world_.cluster.size());
    for (size_t i = 0; i < world_.cluster.size(); ++i)
      if (storm_.wiped(i)) without = i;
    judge_.CheckSurvives(without);
    if (!judge_.AwaitSettled(kPatience)) return;
  }
  checker_.Look();
  world_.cluster.scheduler.RunFor(kMillisecond);
  judge_.CompareLogs();
  CheckTransport();
}

RunResult Simulation::Go() {
  world_.Work();
  Weather();
  if (!world_.oracle.broken()) Finish();
  return Result();
}

RunResult Simulation::Result() {
  RunResult out;
  SimScheduler& scheduler = world_.cluster.scheduler;
  out.hash = scheduler.trace_hash();
  out.events = scheduler.events_run();
  out.operations = world_.operations;
  out.sent = world_.oracle.sent();
  out.acknowledged = world_.oracle.acknowledged();
  out.refused = world_.oracle.refused();
  out.unknown = world_.oracle.unknown();
  out.found = world_.oracle.found();
  out.looks = checker_.looks();
  out.compared = checker_.compared();
  out.elections = checker_.elections();
  out.packets = world_.cluster.network.stats().packets;
  out.topics = world_.topics.size();
  out.moves = world_.moves;
  out.faults = storm_.counts();
  out.simulated = scheduler.Now() - MonoTime{kSecond};
  out.violations = world_.oracle.violations();
  return out;
}

}  // namespace

void RunResult::Add(const RunResult& other) {
  events += other.events;
  operations += other.operations;
  sent += other.sent;
  acknowledged += other.acknowledged;
  refused += other.refused;
  unknown += other.unknown;
  found += other.found;
  looks += other.looks;
  compared += other.compared;
  elections += other.elections;
  packets += other.packets;
  topics += other.topics;
  moves += other.moves;
  for (size_t i = 0; i < kFaultKinds; ++i) faults[i] += other.faults[i];
  simulated += other.simulated;
}

std::string RunResult::Summary() const {
  std::string out =
      StrCat(simulated / kSecond, " s simulated, ", events, " events, ", packets, " packets, ",
             operations, " requests; batches: ", sent, " sent, ", acknowledged, " acknowledged, ",
             refused, " refused, ", unknown, " unknown; ", found, " records judged, ", compared,
             " entries compared, ", looks, " replicas looked at, ", elections, " leaderships, ",
             topics, " topics, ", moves, " moves; faults:");
  for (size_t i = 0; i < kFaultKinds; ++i)
    if (faults[i] > 0) out += StrCat(" ", kFaultNames[i], " ", faults[i], ",");
  return out;
}

RunResult RunCluster(const ClusterOptions& options) { return Simulation(options).Go(); }

}  // namespace varve::clustersim
