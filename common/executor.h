// Executor: the seam through which core code runs something later or elsewhere.
#ifndef VARVE_COMMON_EXECUTOR_H_
#define VARVE_COMMON_EXECUTOR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"

namespace varve {

using Task = absl::AnyInvocable<void()>;
// Names a timer of one executor; 0 names none.
using TimerId = StrongInt<struct TimerIdTag, uint64_t>;

// Runs tasks one at a time, in the order in which they were posted; two tasks of one executor never
// overlap. A shard is an executor; so are the journal writer and the segment writer of a data
// directory. Post and the timer calls are thread-safe and never block or run the task inline.
// Tasks posted by one thread run in that thread's order. Timers run no earlier than their time and
// in order of time, those of equal time in order of creation.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void Post(Task task) = 0;
  // The new timer; 0, and the task dropped, once the destructor has begun.
  virtual TimerId RunAt(MonoTime when, Task task) = 0;
  // True when the timer had not begun and now never will; otherwise nothing happens.
  virtual bool Cancel(TimerId timer) = 0;
  // Whether the caller runs on this executor. For assertions.
  [[nodiscard]] virtual bool InExecutor() const = 0;
};

// One thread with a queue and timers. The destructor lets the running task finish, drops what waits
// and joins; it must not run on the executor itself. `name` (at most 15 bytes) is the thread's
// name.
std::unique_ptr<Executor> ThreadExecutor(std::string name, const Clock& clock = RealClock());

}  // namespace varve

#endif  // VARVE_COMMON_EXECUTOR_H_
