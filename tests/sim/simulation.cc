#include "tests/sim/simulation.h"

#include <memory>
#include <optional>
#include <utility>

#include "common/error.h"
#include "tests/sim/sim_broker.h"
#include "tests/sim/workload.h"

namespace varve::sim {
namespace {

constexpr Nanos kPatience = 600 * kSecond;
constexpr Nanos kRestTime = 60 * kSecond;  // all timers that tidy up have run by then

class Simulation {
 public:
  explicit Simulation(const SimOptions& options)
      : options_(options),
        broker_(options),
        world_(broker_.scheduler(), options, oracle_),
        workload_(world_),
        random_(SeededRandom(options.seed ^ 0x5a11)) {}

  SimResult Run();

 private:
  [[nodiscard]] bool broken() const { return !oracle_.violations().empty(); }
  void Start();
  void LiveUntilDead(uint64_t writes);
  void WorkUntil(uint64_t operations);
  void EndLife();
  void Crash();
  void Stop();
  void ReadBack();
  void ReadLog(const Target& target);
  void LookAtTopics();
  void Finish();
  void CheckRest();
  SimResult Result();

  const SimOptions options_;
  Oracle oracle_;
  SimBroker broker_;
  World world_;
  Workload workload_;
  const std::unique_ptr<Random> random_;
  SimResult result_;
};

SimResult Simulation::Run() {
  if (options_.first_crash_after_writes)
    LiveUntilDead(*options_.first_crash_after_writes);
  else
    Start();
  for (uint32_t i = 1; i <= options_.crashes && !broken(); ++i) {
    WorkUntil(options_.operations * i / (options_.crashes + 1));
    if (broken()) break;
    EndLife();
    if (!broken()) Start();
  }
  if (!broken()) WorkUntil(options_.operations);
  if (!broken()) Finish();
  workload_.Leave();
  return Result();
}

void Simulation::Start() {
  if (absl::Status started = broker_.Start(); !started.ok())
    return oracle_.Violate("the broker does not start: ", MessageOf(started));
  LookAtTopics();
  ReadBack();
}

// One life on a disk that dies: whatever it was doing then, the next one must
// find its way.
void Simulation::LiveUntilDead(uint64_t writes) {
  broker_.disk().FailAfter(writes);
  if (broker_.Start().ok()) {
    workload_.Run(broker_.service());
    broker_.scheduler().RunUntil(
        [&] { return broker_.disk().dead() || world_.operations >= options_.operations; },
        kPatience);
  }
  result_.first_crash_came = broker_.disk().dead();
  ++result_.power_losses;
  workload_.Leave();
  oracle_.Crashed();
  broker_.Crash(CrashKind::kPower);
  if (!broken()) Start();
}

void Simulation::WorkUntil(uint64_t operations) {
  workload_.Run(broker_.service());
  if (!broker_.scheduler().RunUntil([&] { return world_.operations >= operations || broken(); },
                                    kPatience))
    oracle_.Violate("no progress: ", world_.operations, " operations after ", kPatience / kSecond,
                    " s, not ", operations);
}

// Now and then a clean stop in between; it counts as no crash.
void Simulation::EndLife() {
  if (random_->Below(100) < options_.stop_percent) {
    Stop();
    if (broken()) return;
    Start();
    if (broken()) return;
    WorkUntil(world_.operations + options_.operations / (10 * (options_.crashes + 1)));
    if (broken()) return;
  }
  Crash();
}

// Between two events, or in the middle of one: at a write to the disk.
void Simulation::Crash() {
  const CrashKind kind =
      random_->Below(100) < options_.power_loss_percent ? CrashKind::kPower : CrashKind::kProcess;
  ++(kind == CrashKind::kPower ? result_.power_losses : result_.process_crashes);
  if (random_->OneIn(2)) {
    broker_.disk().FailAfter(random_->Below(60));
    broker_.scheduler().RunUntil([&] { return broker_.disk().dead(); }, kSecond);
  }
  workload_.Leave();
  oracle_.Crashed();
  broker_.Crash(kind);
  if (random_->Below(100) >= options_.lost_folds_percent) return;
  ++result_.lost_folds;
  broker_.LoseFolds();
}

void Simulation::Stop() {
  ++result_.clean_stops;
  if (absl::Status stopped = broker_.Stop(); !stopped.ok())
    return oracle_.Violate("the broker does not stop: ", MessageOf(stopped));
  // What Stop answered is on its way.
  workload_.Pause();
  broker_.scheduler().RunFor(kSecond);
  if (world_.under_way() > 0) oracle_.Violate("a clean stop left unanswered: ", world_.UnderWay());
  workload_.Leave();
  oracle_.Crashed();
  broker_.End();
}

void Simulation::LookAtTopics() {
  std::vector<std::string> names;
  for (const auto& [name, topic] : oracle_.topics()) names.push_back(name);
  for (const std::string& name : names) {
    std::optional<absl::StatusOr<server::TopicInfo>> answer;
    broker_.service().GetTopic(world_.Context(kSecond), {.name = name},
                               [&](auto info) { answer = std::move(info); });
    if (!broker_.scheduler().RunUntil([&] { return answer.has_value(); }, 2 * kSecond))
      return oracle_.Violate("topic ", name, " cannot be looked up in time");
    oracle_.TopicLooked(name, *answer, true);
  }
}

void Simulation::ReadBack() {
  oracle_.BeginReadBack();
  for (const auto& [name, topic] : oracle_.topics()) {
    if (topic.state != KnownTopic::State::kExists) continue;
    for (uint32_t p = 0; p < topic.partitions; ++p) ReadLog({name, PartitionId(p)});
  }
  if (!broken()) oracle_.EndReadBack();
}

void Simulation::ReadLog(const Target& target) {
  for (Offset from; !broken();) {
    const Offset floor = oracle_.HighWatermark(target.topic, target.partition);
    std::optional<absl::StatusOr<server::FetchReply>> answer;
    server::FetchRequest request;
    request.partitions.push_back({target.topic, target.partition, from, 0});
    broker_.service().Fetch(world_.Context(kSecond), std::move(request),
                            [&](auto reply) { answer = std::move(reply); });
    broker_.scheduler().RunUntil([&] { return answer.has_value(); }, 2 * kSecond);
    absl::Status status = !answer        ? MakeError(Reason::INTERNAL, "no answer")
                          : answer->ok() ? (*answer)->results.at(0).status
                                         : answer->status();
    if (!status.ok())
      return oracle_.Violate("reading back ", target.topic, "/", target.partition, " from ", from,
                             ": ", MessageOf(status));
    const server::FetchResult& read = (*answer)->results[0];
    oracle_.Read(
        {target.topic, target.partition, from, read.next_offset, read.bounds.high_watermark, floor},
        read.entries);
    if (read.next_offset == read.bounds.high_watermark) return;
    if (read.next_offset <= from)
      return oracle_.Violate("reading back ", target.topic, "/", target.partition, " stands at ",
                             from);
    from = read.next_offset;
  }
}

// At the end: everything is answered and read, everything held is given back,
// everything is still there after a clean restart, and the folds are what the
// log makes of them.
void Simulation::Finish() {
  workload_.Settle();
  CheckRest();
  if (broken()) return;
  const auto before = broker_.FoldHash();
  Stop();
  broker_.LoseFolds();
  if (broken()) return;
  Start();
  if (broken()) return;
  const auto after = broker_.FoldHash();
  if (!before.ok() || !after.ok() || *before != *after)
    oracle_.Violate("the fold made from the log alone is another one");
  else
    broker_.scheduler().Trace("fold", *after);
}

void Simulation::CheckRest() {
  workload_.Leave();
  broker_.scheduler().RunFor(kRestTime);
  if (const size_t used = broker_.broker().gate().memory_used(); used != 0)
    oracle_.Violate("at rest, requests hold ", used, " bytes");
  if (const size_t dirty = broker_.broker().directory().dirty_bytes(); dirty != 0)
    oracle_.Violate("at rest, ", dirty, " bytes are dirty");
  if (const absl::Status health = broker_.broker().health(); !health.ok())
    oracle_.Violate("the directory has failed: ", MessageOf(health));
}

SimResult Simulation::Result() {
  SimResult out = result_;
  const SimScheduler& scheduler = broker_.scheduler();
  out.hash = scheduler.trace_hash();
  out.operations = world_.operations;
  out.events = scheduler.events_run();
  out.disk_operations = broker_.disk().ops();
  out.sent = oracle_.sent();
  out.acknowledged = oracle_.acknowledged();
  out.refused = oracle_.refused();
  out.read = oracle_.read();
  out.recovered_unknown = oracle_.recovered_unknown();
  out.lost_unknown = oracle_.lost_unknown();
  out.topics = oracle_.topics().size();
  out.simulated = scheduler.Now() - MonoTime(kSecond);
  out.violations = oracle_.violations();
  return out;
}

}  // namespace

std::string SimResult::Summary() const {
  return StrCat(operations, " operations, ", events, " events, ", disk_operations,
                " disk operations, ", process_crashes, " process crashes, ", power_losses,
                " power losses, ", clean_stops, " clean stops, ", lost_folds, " lost folds, ",
                topics, " topics, ", sent, " batches (", acknowledged, " acknowledged, ", refused,
                " refused; of the others ", recovered_unknown, " recovered, ", lost_unknown,
                " lost; ", read, " times read), ", simulated / kMillisecond, " ms simulated");
}

SimResult RunSimulation(const SimOptions& options) { return Simulation(options).Run(); }

}  // namespace varve::sim
