#include "storage/dirty_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace varve::storage {
namespace {

TEST(DirtyBudget, GrantsUpToItsLimit) {
  DirtyBudget budget(100);
  EXPECT_TRUE(budget.TryReserve(60, nullptr));
  EXPECT_FALSE(budget.TryReserve(41, nullptr));
  EXPECT_TRUE(budget.TryReserve(40, nullptr));
  EXPECT_EQ(budget.used(), 100u);
}

TEST(DirtyBudget, GrantsARequestLargerThanItselfWhenNothingIsInUse) {
  DirtyBudget budget(100);
  EXPECT_TRUE(budget.TryReserve(500, nullptr));
  EXPECT_FALSE(budget.TryReserve(1, nullptr));
  budget.Release(500);
  EXPECT_TRUE(budget.TryReserve(1, nullptr));
  EXPECT_FALSE(budget.TryReserve(500, nullptr));
}

// Who was refused hears of room once; who was granted or did not ask hears nothing.
TEST(DirtyBudget, CallsEachWaiterOnceWhenThereIsRoom) {
  DirtyBudget budget(100);
  int granted = 0;
  int first = 0;
  int second = 0;
  EXPECT_TRUE(budget.TryReserve(100, [&] { ++granted; }));
  EXPECT_FALSE(budget.TryReserve(10, [&] { ++first; }));
  EXPECT_FALSE(budget.TryReserve(10, [&] { ++second; }));
  EXPECT_EQ(first + second, 0);
  budget.Release(50);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
  budget.Release(50);
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
  EXPECT_EQ(granted, 0);
}

TEST(DirtyBudget, WaitersAreNotCalledWhileChargesExceedTheLimit) {
  DirtyBudget budget(100);
  int called = 0;
  EXPECT_TRUE(budget.TryReserve(90, nullptr));
  budget.Charge(60);
  EXPECT_FALSE(budget.TryReserve(1, [&] { ++called; }));
  budget.Release(50);
  EXPECT_EQ(called, 0);
  budget.Release(1);
  EXPECT_EQ(called, 1);
}

TEST(DirtyBudget, AWaiterMayReserveFromWithinItsCall) {
  DirtyBudget budget(100);
  bool reserved = false;
  EXPECT_TRUE(budget.TryReserve(100, nullptr));
  EXPECT_FALSE(budget.TryReserve(80, [&] { reserved = budget.TryReserve(80, nullptr); }));
  budget.Release(100);
  EXPECT_TRUE(reserved);
  EXPECT_EQ(budget.used(), 80u);
}

TEST(DirtyBudget, NeverExceedsItsLimitUnderThreads) {
  constexpr size_t kLimit = 100;
  DirtyBudget budget(kLimit);
  std::atomic<size_t> held = 0;
  std::atomic<bool> exceeded = false;
  const auto work = [&] {
    for (int i = 0; i < 20'000; ++i) {
      if (!budget.TryReserve(40, nullptr)) continue;
      if (held.fetch_add(40) + 40 > kLimit) exceeded = true;
      held.fetch_sub(40);
      budget.Release(40);
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace varve::storage
