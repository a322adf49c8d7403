#include "client/core/backoff.h"

#include <gtest/gtest.h>

namespace varve::client {
namespace {

TEST(BackoffTest, DoublesUpToTheMostAndJittersByAtMostHalf) {
  const BackoffLimits limits{50 * kMillisecond, kSecond};
  const auto random = SeededRandom(7);
  const Nanos full[] = {50, 50, 100, 200, 400, 800, 1'000, 1'000};
  for (uint32_t failures = 0; failures < std::size(full); ++failures) {
    for (int i = 0; i < 100; ++i) {
      const Nanos pause = BackoffAfter(failures, limits, *random);
      EXPECT_LE(pause, full[failures] * kMillisecond) << failures;
      EXPECT_GE(pause, full[failures] * kMillisecond / 2) << failures;
    }
  }
  EXPECT_LE(BackoffAfter(4'000'000'000u, limits, *random), kSecond);
}

TEST(BackoffTest, ClientsThatFailTogetherDoNotComeBackTogether) {
  const auto random = SeededRandom(7);
  const Nanos first = BackoffAfter(5, {}, *random);
  bool differs = false;
  for (int i = 0; i < 10; ++i) differs |= BackoffAfter(5, {}, *random) != first;
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace varve::client
