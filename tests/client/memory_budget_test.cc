#include "client/core/memory_budget.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

namespace varve::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(MemoryBudgetTest, RefusesBeyondTheLimitAndTakesWhatWasReleased) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.TryTake(60));
  EXPECT_FALSE(budget.TryTake(41));
  EXPECT_TRUE(budget.TryTake(40));
  budget.Release(60);
  EXPECT_TRUE(budget.TryTake(60));
  EXPECT_EQ(budget.used(), 100u);
}

TEST(MemoryBudgetTest, OneRequestAboveTheLimitFitsAnEmptyBudget) {
  MemoryBudget budget(100);
  EXPECT_TRUE(budget.TryTake(500));
  EXPECT_FALSE(budget.TryTake(1));
  budget.Release(500);
  EXPECT_EQ(budget.used(), 0u);
}

TEST(MemoryBudgetTest, WaitingEndsWithTheTimeout) {
  MemoryBudget budget(10);
  ASSERT_TRUE(budget.TryTake(10));
  EXPECT_FALSE(budget.Take(1, milliseconds(5)));
  EXPECT_EQ(budget.used(), 10u);
}

TEST(MemoryBudgetTest, AReleaseWakesWhoWaits) {
  MemoryBudget budget(10);
  ASSERT_TRUE(budget.TryTake(10));
  auto waiting = std::async(std::launch::async, [&] { return budget.Take(5, seconds(20)); });
  budget.Release(10);
  EXPECT_TRUE(waiting.get());
  EXPECT_EQ(budget.used(), 5u);
}

TEST(MemoryBudgetTest, ClosingEndsAllWaiting) {
  MemoryBudget budget(10);
  ASSERT_TRUE(budget.TryTake(10));
  auto waiting = std::async(std::launch::async, [&] { return budget.Take(5, seconds(20)); });
  budget.Close();
  EXPECT_FALSE(waiting.get());
  EXPECT_FALSE(budget.Take(5, seconds(20)));
}

}  // namespace
}  // namespace varve::client
