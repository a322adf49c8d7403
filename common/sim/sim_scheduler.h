// SimScheduler: one seeded event loop in virtual time, in place of threads and clocks.
//
//   SimScheduler scheduler(seed);
//   auto shard = scheduler.NewExecutor("shard0");
//   shard->Post([&] { ... });
//   scheduler.RunFor(kSecond);
//   EXPECT_EQ(scheduler.trace_hash(), ...);  // equal seeds and equal code: equal hashes
//
// Everything that happens is an event: a posted task or a timer. Events run one at a time, in order
// of virtual time; running one takes no virtual time. A posted task runs a small seeded delay after
// it was posted, so that each seed interleaves the executors differently while each executor keeps
// its order.
//
// Single-threaded: everything made from a scheduler is used on the thread that drives it.
#ifndef VARVE_COMMON_SIM_SIM_SCHEDULER_H_
#define VARVE_COMMON_SIM_SIM_SCHEDULER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/random.h"

namespace varve {

struct SimSchedulerOptions {
  // A posted task waits 1 ns to max_post_delay; at least 1, so that time moves even when tasks post
  // tasks for ever.
  Nanos max_post_delay = 20 * kMicrosecond;
  MonoTime start{kSecond};
  WallTime start_wall{1'700'000'000'000};
};

class SimScheduler {
 public:
  using Options = SimSchedulerOptions;
  // What Trace and every event report, to find where two runs part.
  using TraceObserver =
      absl::AnyInvocable<void(MonoTime when, std::string_view tag, uint64_t value)>;

  explicit SimScheduler(uint64_t seed, const Options& options = {});
  // Drops the events left. Executors must be gone.
  ~SimScheduler();
  SimScheduler(const SimScheduler&) = delete;
  SimScheduler& operator=(const SimScheduler&) = delete;

  // The scheduler must outlive the executor. Destroying an executor drops its tasks and timers, as
  // the crash of a process does; this must not happen within one of its own tasks.
  std::unique_ptr<Executor> NewExecutor(std::string name);
  // Lives as long as the scheduler.
  Clock& clock();
  // The scheduler's own generator: draws from elsewhere change the interleaving that follows.
  Random& random() { return *random_; }
  [[nodiscard]] MonoTime Now() const { return now_; }
  // Moves the wall clock, in either direction, without moving time.
  void StepWall(int64_t milliseconds) { wall_step_ += milliseconds; }
  void SetWall(WallTime wall);

  // Runs the next event; false when there is none.
  bool RunOne();
  // Runs events until none is left (true) or `limit` of virtual time has passed (false).
  bool RunUntilIdle(Nanos limit = 3600 * kSecond);
  // Runs all events due within `span` and advances time to its end.
  void RunFor(Nanos span);
  // Runs events until `predicate` holds (true); it is asked first and after every event. False when
  // no event is left or `limit` of virtual time has passed.
  bool RunUntil(absl::AnyInvocable<bool()> predicate, Nanos limit = 3600 * kSecond);

  // From within an event: its executor stands still for `span`, as in a call that blocks, while all
  // others run. Otherwise like RunFor.
  void Stall(Nanos span);
  // The executor runs nothing until Thaw, as a process that was stopped by a signal. From outside
  // events only; it may be destroyed while frozen.
  static void Freeze(Executor& executor);
  static void Thaw(Executor& executor);

  // Mixes something else that happened, such as a disk operation, into the hash.
  void Trace(std::string_view tag, uint64_t value);
  // Covers every event run (time, executor, task or timer) and every Trace, in order.
  [[nodiscard]] uint64_t trace_hash() const { return hash_; }
  [[nodiscard]] uint64_t events_run() const { return events_run_; }
  [[nodiscard]] size_t events_waiting() const { return events_.size() + parked_.size(); }
  // Costs time on every event; meant for a second run of a seed.
  void ObserveTrace(TraceObserver observer) { observer_ = std::move(observer); }

 private:
  friend class SimExecutor;
  class VirtualClock;
  struct ExecutorState;

  enum class Kind : uint8_t { kTask, kTimer };
  // Events of equal time run in order of creation.
  using EventKey = std::pair<MonoTime, uint64_t>;
  struct Event {
    ExecutorState* executor;
    Kind kind;
    Task task;
  };
  using Events = std::map<EventKey, Event>;

  uint64_t Add(ExecutorState& executor, Kind kind, MonoTime when, Task task);
  void AddTask(ExecutorState& executor, Task task);
  TimerId AddTimer(ExecutorState& executor, MonoTime when, Task task);
  bool CancelTimer(ExecutorState& executor, TimerId timer);
  void Drop(ExecutorState& executor);
  Events::node_type TakeOut(const EventKey& key);
  void Unpark(const ExecutorState& executor);
  // Runs the next event, of an executor that does not stand still, when it is due at `deadline` or
  // before.
  bool RunNextBy(MonoTime deadline);
  void AdvanceTo(MonoTime when);
  void Mix(uint64_t value);

  const Options options_;
  const std::unique_ptr<Random> random_;
  const std::unique_ptr<VirtualClock> clock_;
  MonoTime now_;
  int64_t wall_step_ = 0;
  Events events_;
  Events parked_;  // those that were due while their executor stood still: nobody looks twice
  uint64_t last_event_ = 0;
  uint64_t last_executor_ = 0;
  uint64_t live_executors_ = 0;
  ExecutorState* running_ = nullptr;
  uint64_t events_run_ = 0;
  uint64_t hash_ = 0;
  TraceObserver observer_;
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_SCHEDULER_H_
