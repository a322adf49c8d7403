// What every Clock promises; the simulated one's virtual time is in sim_scheduler_test.cc.
#include "common/clock.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "common/sim/sim_scheduler.h"

namespace varve {
namespace {

class ClockConformance : public testing::TestWithParam<bool> {
 protected:
  Clock& clock() { return GetParam() ? scheduler_.clock() : RealClock(); }
  // Lets time pass, virtual or real.
  void Pass() {
    const MonoTime start = RealClock().Now();
    if (GetParam()) return scheduler_.RunFor(kMicrosecond);
    while (RealClock().Now() == start) {
    }
  }

 private:
  SimScheduler scheduler_{1};
};

INSTANTIATE_TEST_SUITE_P(All, ClockConformance, testing::Bool(),
                         [](const auto& tested) { return tested.param ? "Simulated" : "Real"; });

TEST_P(ClockConformance, NeverGoesBackAndMovesOn) {
  const MonoTime first = clock().Now();
  MonoTime last = first;
  for (int i = 0; i < 1000; ++i) {
    const MonoTime now = clock().Now();
    ASSERT_GE(now, last);
    last = now;
  }
  Pass();
  EXPECT_GT(clock().Now(), first);
}

TEST_P(ClockConformance, WallTimeIsInMillisecondsOfThisEra) {
  EXPECT_GT(clock().Wall(), WallTime{1'600'000'000'000});   // 2020
  EXPECT_LT(clock().Wall(), WallTime{10'000'000'000'000});  // 2286
}

TEST(RealClockTest, WallTimeIsTheSystemClock) {
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  using std::chrono::system_clock;
  const auto now = [] {
    return WallTime{duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
  };
  const WallTime before = now();
  const WallTime wall = RealClock().Wall();
  const WallTime after = now();
  EXPECT_GE(wall, before);
  EXPECT_LE(wall, after);
}

TEST(RealClockTest, IsOneObject) { EXPECT_EQ(&RealClock(), &RealClock()); }

}  // namespace
}  // namespace varve
