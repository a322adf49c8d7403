#include <time.h>

#include "common/check.h"
#include "common/clock.h"

namespace varve {
namespace {

timespec Read(clockid_t id) {
  timespec at;
  VARVE_CHECK(clock_gettime(id, &at) == 0, "clock ", id, " is missing");
  return at;
}

class MachineClock final : public Clock {
 public:
  [[nodiscard]] MonoTime Now() const override {
    const timespec at = Read(CLOCK_MONOTONIC);
    return MonoTime{at.tv_sec * kSecond + at.tv_nsec};
  }
  [[nodiscard]] WallTime Wall() const override {
    const timespec at = Read(CLOCK_REALTIME);
    return WallTime{at.tv_sec * 1000 + at.tv_nsec / kMillisecond};
  }
};

}  // namespace

Clock& RealClock() {
  static MachineClock* const clock = new MachineClock();  // outlives every thread
  return *clock;
}

}  // namespace varve
