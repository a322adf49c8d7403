// Clock: the seam through which core code learns the time.
#ifndef VARVE_COMMON_CLOCK_H_
#define VARVE_COMMON_CLOCK_H_

#include <cstdint>

#include "common/types.h"

namespace varve {

// Nanoseconds of a clock that never goes back; only differences mean anything.
using MonoTime = StrongInt<struct MonoTimeTag, int64_t>;
// A span of time in nanoseconds; may be negative.
using Nanos = int64_t;
inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;

// Thread-safe. The simulator's clock moves only between events.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonoTime Now() const = 0;
  // May step in either direction at any time; never used to measure a span.
  [[nodiscard]] virtual WallTime Wall() const = 0;
};

// The machine's clocks. Never destroyed.
Clock& RealClock();

}  // namespace varve

#endif  // VARVE_COMMON_CLOCK_H_
