// Histogram: cells cover every value, percentiles are right to within a cell.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "client/cli/histogram.h"

namespace varve::cli {
namespace {

TEST(HistogramCellsTest, CoverEveryValueInOrder) {
  uint64_t previous_upper = 0;
  for (size_t i = 0; i < HistogramCells::kCount; ++i) {
    const uint64_t upper = HistogramCells::UpperOf(i);
    ASSERT_EQ(HistogramCells::IndexOf(upper), i);
    if (i > 0) {
      ASSERT_EQ(HistogramCells::IndexOf(previous_upper + 1), i);
      // Narrower than 1/128 of its smallest value, or exact.
      ASSERT_LE(upper - previous_upper, std::max<uint64_t>(1, (previous_upper + 1) / 128));
    }
    previous_upper = upper;
  }
  EXPECT_EQ(previous_upper, HistogramCells::kMaxValue);
  EXPECT_EQ(HistogramCells::IndexOf(UINT64_MAX), HistogramCells::kCount - 1);
}

TEST(HistogramTest, EmptyAnswersZero) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.max(), 0u);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.Percentile(99), 0u);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t v = 1; v <= 100; ++v) histogram.Record(v);
  EXPECT_EQ(histogram.Percentile(0), 1u);
  EXPECT_EQ(histogram.Percentile(50), 50u);
  EXPECT_EQ(histogram.Percentile(99), 99u);
  EXPECT_EQ(histogram.Percentile(99.9), 100u);
  EXPECT_EQ(histogram.Percentile(100), 100u);
  EXPECT_EQ(histogram.mean(), 50.5);
}

TEST(HistogramTest, PercentilesAreWithinACellOfTheTrueOnes) {
  const uint64_t seed = 20240501;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(13, 2);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<uint64_t>(latency(random)));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (double percent : {1.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto rank = static_cast<size_t>(std::ceil(percent / 100 * 50'000 - 1e-9));
    const uint64_t exact = values[rank - 1];
    const uint64_t answered = histogram.Percentile(percent);
    EXPECT_GE(answered, exact) << percent;
    EXPECT_LE(answered, exact + exact / 127 + 1) << percent;
  }
  EXPECT_EQ(histogram.Percentile(100), values.back());
}

TEST(HistogramTest, DifferenceHoldsWhatCameBetween) {
  ConcurrentHistogram source;
  source.Record(1'000'000);
  const Histogram before = source.Snapshot();
  source.Record(50);
  source.Record(60);
  const Histogram since = source.Snapshot().Since(before);
  EXPECT_EQ(since.count(), 2u);
  EXPECT_EQ(since.Percentile(50), 50u);
  EXPECT_EQ(since.max(), 60u);
  EXPECT_EQ(since.mean(), 55);
}

TEST(HistogramTest, CountsFromManyThreads) {
  ConcurrentHistogram shared;
  std::vector<std::thread> threads;
  for (uint64_t t = 1; t <= 4; ++t) {
    threads.emplace_back([&shared, t] {
      for (uint64_t i = 0; i < 10'000; ++i) shared.Record(t * 1000 + i % 7);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Histogram total = shared.Snapshot();
  EXPECT_EQ(total.count(), 40'000u);
  EXPECT_EQ(total.max(), 4006u);
}

}  // namespace
}  // namespace varve::cli
