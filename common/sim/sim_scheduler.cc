#include "common/sim/sim_scheduler.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "common/check.h"
#include "common/sim/trace_hash.h"

namespace varve {

struct SimScheduler::ExecutorState {
  uint64_t id = 0;
  std::string name;
  bool alive = true;
  bool stalled = false;
  bool frozen = false;
  [[nodiscard]] bool blocked() const { return stalled || frozen; }
  MonoTime last_task;                  // time of the task posted last: later ones never overtake it
  std::deque<EventKey> tasks;          // those waiting, in the order in which they will run
  std::map<TimerId, MonoTime> timers;  // those waiting, with their place in the queue
};

class SimScheduler::VirtualClock final : public Clock {
 public:
  explicit VirtualClock(const SimScheduler& scheduler) : scheduler_(scheduler) {}
  [[nodiscard]] MonoTime Now() const override { return scheduler_.now_; }
  [[nodiscard]] WallTime Wall() const override {
    const Nanos passed = scheduler_.now_ - scheduler_.options_.start;
    return scheduler_.options_.start_wall + (passed / kMillisecond + scheduler_.wall_step_);
  }

 private:
  const SimScheduler& scheduler_;
};

class SimExecutor final : public Executor {
 public:
  SimExecutor(SimScheduler& scheduler, uint64_t id, std::string name) : scheduler_(scheduler) {
    state_.id = id;
    state_.name = std::move(name);
    state_.last_task = scheduler_.now_;
    ++scheduler_.live_executors_;
  }
  ~SimExecutor() override {
    VARVE_CHECK(!InExecutor() && !state_.stalled, "executor ", state_.name,
                " is destroyed by its own task");
    scheduler_.Drop(state_);
    --scheduler_.live_executors_;
  }
  void Post(Task task) override { scheduler_.AddTask(state_, std::move(task)); }
  TimerId RunAt(MonoTime when, Task task) override {
    return scheduler_.AddTimer(state_, when, std::move(task));
  }
  bool Cancel(TimerId timer) override { return scheduler_.CancelTimer(state_, timer); }
  [[nodiscard]] bool InExecutor() const override { return scheduler_.running_ == &state_; }
  void SetFrozen(bool frozen) {
    state_.frozen = frozen;
    scheduler_.Unpark(state_);
  }

 private:
  SimScheduler& scheduler_;
  SimScheduler::ExecutorState state_;
};

SimScheduler::SimScheduler(uint64_t seed, const Options& options)
    : options_(options),
      random_(SeededRandom(seed)),
      clock_(std::make_unique<VirtualClock>(*this)),
      now_(options.start) {
  VARVE_CHECK(options.max_post_delay >= 1, "max_post_delay ", options.max_post_delay);
}

SimScheduler::~SimScheduler() {
  VARVE_CHECK(live_executors_ == 0, live_executors_, " executors outlive their scheduler");
}

std::unique_ptr<Executor> SimScheduler::NewExecutor(std::string name) {
  return std::make_unique<SimExecutor>(*this, ++last_executor_, std::move(name));
}

Clock& SimScheduler::clock() { return *clock_; }

void SimScheduler::SetWall(WallTime wall) { wall_step_ += wall - clock_->Wall(); }

uint64_t SimScheduler::Add(ExecutorState& executor, Kind kind, MonoTime when, Task task) {
  const uint64_t number = ++last_event_;
  events_.emplace_hint(events_.end(), EventKey{when, number},
                       Event{&executor, kind, std::move(task)});
  return number;
}

void SimScheduler::AddTask(ExecutorState& executor, Task task) {
  if (!executor.alive) return;
  const auto delay = 1 + static_cast<Nanos>(random_->Below(options_.max_post_delay));
  executor.last_task = std::max(executor.last_task, now_ + delay);
  const uint64_t number = Add(executor, Kind::kTask, executor.last_task, std::move(task));
  executor.tasks.emplace_back(executor.last_task, number);
}

TimerId SimScheduler::AddTimer(ExecutorState& executor, MonoTime when, Task task) {
  if (!executor.alive) return TimerId{};
  const TimerId id{Add(executor, Kind::kTimer, when, std::move(task))};
  executor.timers.emplace_hint(executor.timers.end(), id, when);
  return id;
}

bool SimScheduler::CancelTimer(ExecutorState& executor, TimerId timer) {
  const auto at = executor.timers.find(timer);
  if (at == executor.timers.end()) return false;
  const EventKey key{at->second, timer.value()};
  executor.timers.erase(at);
  const auto dropped = TakeOut(key);  // destroyed last: its destructor may call back
  return true;
}

void SimScheduler::Drop(ExecutorState& executor) {
  executor.alive = false;
  std::vector<Events::node_type> dropped;
  for (const EventKey& key : executor.tasks) dropped.push_back(TakeOut(key));
  for (const auto& [id, when] : executor.timers)
    dropped.push_back(TakeOut(EventKey{when, id.value()}));
  executor.tasks.clear();
  executor.timers.clear();
}

SimScheduler::Events::node_type SimScheduler::TakeOut(const EventKey& key) {
  auto node = events_.extract(key);
  return node.empty() ? parked_.extract(key) : std::move(node);
}

// Back in their places, once the executor may run.
void SimScheduler::Unpark(const ExecutorState& executor) {
  if (executor.blocked() || parked_.empty()) return;
  for (const EventKey& key : executor.tasks) events_.insert(parked_.extract(key));
  for (const auto& [id, when] : executor.timers)
    events_.insert(parked_.extract(EventKey{when, id.value()}));
}

bool SimScheduler::RunNextBy(MonoTime deadline) {
  VARVE_CHECK(running_ == nullptr, "the scheduler is driven from within an event");
  while (!events_.empty() && events_.begin()->first.first <= deadline &&
         events_.begin()->second.executor->blocked())
    parked_.insert(events_.extract(events_.begin()));
  if (events_.empty() || events_.begin()->first.first > deadline) return false;
  auto node = events_.extract(events_.begin());
  Event& event = node.mapped();
  ExecutorState& executor = *event.executor;
  if (event.kind == Kind::kTask) {
    executor.tasks.pop_front();
  } else {
    executor.timers.erase(TimerId{node.key().second});
  }
  AdvanceTo(node.key().first);
  ++events_run_;
  Mix(static_cast<uint64_t>(now_.value()));
  Mix(executor.id << 1 | static_cast<uint64_t>(event.kind));
  if (observer_) observer_(now_, executor.name, static_cast<uint64_t>(event.kind));
  running_ = &executor;
  event.task();
  event.task = nullptr;  // what the task holds goes while it still counts as running
  running_ = nullptr;
  return true;
}

// Overdue timers keep their time as place in the queue; the clock never goes back.
void SimScheduler::AdvanceTo(MonoTime when) { now_ = std::max(now_, when); }

bool SimScheduler::RunOne() { return RunNextBy(MonoTime{INT64_MAX}); }

bool SimScheduler::RunUntilIdle(Nanos limit) {
  const MonoTime deadline = now_ + limit;
  while (RunNextBy(deadline)) {
  }
  return events_waiting() == 0;
}

void SimScheduler::RunFor(Nanos span) {
  const MonoTime end = now_ + span;
  while (RunNextBy(end)) {
  }
  AdvanceTo(end);
}

bool SimScheduler::RunUntil(absl::AnyInvocable<bool()> predicate, Nanos limit) {
  const MonoTime deadline = now_ + limit;
  while (!predicate()) {
    if (!RunNextBy(deadline)) return false;
  }
  return true;
}

void SimScheduler::Stall(Nanos span) {
  ExecutorState* const stalled = std::exchange(running_, nullptr);
  if (stalled != nullptr) stalled->stalled = true;
  RunFor(span);
  if (stalled != nullptr) {
    stalled->stalled = false;
    Unpark(*stalled);
  }
  running_ = stalled;
}

void SimScheduler::Freeze(Executor& executor) {
  static_cast<SimExecutor&>(executor).SetFrozen(true);
}

void SimScheduler::Thaw(Executor& executor) {
  static_cast<SimExecutor&>(executor).SetFrozen(false);
}

void SimScheduler::Trace(std::string_view tag, uint64_t value) {
  Mix(HashText(tag));
  Mix(value);
  if (observer_) observer_(now_, tag, value);
}

void SimScheduler::Mix(uint64_t value) { hash_ = MixHash(hash_, value); }

}  // namespace varve
