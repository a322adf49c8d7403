#include "common/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/xoshiro.h"

namespace varve {
namespace {

using ::testing::ElementsAre;

template <class Generator>
std::vector<uint64_t> Draw(Generator& generator, int count) {
  std::vector<uint64_t> drawn;
  for (int i = 0; i < count; ++i) drawn.push_back(generator.Next());
  return drawn;
}

// Sequences published with the reference implementations' ports.
TEST(SplitMix64Test, GivesThePublishedSequence) {
  SplitMix64 generator(1234567);
  EXPECT_THAT(Draw(generator, 5),
              ElementsAre(6457827717110365317U, 3203168211198807973U, 9817491932198370423U,
                          4593380528125082431U, 16408922859458223821U));
}

TEST(Xoshiro256Test, GivesThePublishedSequence) {
  Xoshiro256 generator({1, 2, 3, 4});
  EXPECT_THAT(Draw(generator, 10),
              ElementsAre(11520U, 0U, 1509978240U, 1215971899390074240U, 1216172134540287360U,
                          607988272756665600U, 16172922978634559625U, 8476171486693032832U,
                          10595114339597558777U, 2904607092377533576U));
}

TEST(SeededRandomTest, IsXoshiroOverASplitSeed) {
  SplitMix64 spread(42);
  Xoshiro256::State state;
  for (uint64_t& word : state) word = spread.Next();
  Xoshiro256 expected(state);
  const auto random = SeededRandom(42);
  EXPECT_EQ(Draw(*random, 20), Draw(expected, 20));
}

TEST(SeededRandomTest, EqualSeedsGiveEqualSequencesAndOthersDiffer) {
  EXPECT_EQ(Draw(*SeededRandom(7), 20), Draw(*SeededRandom(7), 20));
  EXPECT_NE(Draw(*SeededRandom(7), 20), Draw(*SeededRandom(8), 20));
  EXPECT_NE(Draw(*SeededRandom(0), 2), std::vector<uint64_t>(2, 0));
}

TEST(SystemRandomTest, DiffersFromOneToTheNext) {
  EXPECT_NE(Draw(*SystemRandom(), 4), Draw(*SystemRandom(), 4));
}

// --- What every Random promises

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<Random>()> make;
};

class RandomConformance : public testing::TestWithParam<Implementation> {
 protected:
  const std::unique_ptr<Random> random_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(All, RandomConformance,
                         testing::Values(Implementation{"Seeded", [] { return SeededRandom(42); }},
                                         Implementation{"System", [] { return SystemRandom(); }}),
                         [](const auto& tested) { return tested.param.name; });

TEST_P(RandomConformance, BelowStaysBelowAndReachesEveryValue) {
  std::array<int, 10> seen{};
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t drawn = random_->Below(10);
    ASSERT_LT(drawn, 10U);
    ++seen[drawn];
  }
  // A fair generator is outside of these bounds once in 10^20 runs.
  for (const int count : seen) EXPECT_TRUE(count > 700 && count < 1300) << count;
  EXPECT_EQ(random_->Below(1), 0U);
}

TEST_P(RandomConformance, OneInHitsItsShare) {
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += random_->OneIn(4) ? 1 : 0;
  EXPECT_TRUE(hits > 2000 && hits < 3000) << hits;
  EXPECT_TRUE(random_->OneIn(1));
}

TEST_P(RandomConformance, EveryBitTakesBothValues) {
  uint64_t ones = 0;
  uint64_t zeros = 0;
  for (int i = 0; i < 200; ++i) {
    const uint64_t drawn = random_->Next();
    ones |= drawn;
    zeros |= ~drawn;
  }
  EXPECT_EQ(ones, UINT64_MAX);
  EXPECT_EQ(zeros, UINT64_MAX);
}

TEST_P(RandomConformance, RefusesABoundOfZero) { EXPECT_DEATH(random_->Below(0), "bound > 0"); }

}  // namespace
}  // namespace varve
