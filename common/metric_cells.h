// Cells of metrics: counters and histograms that the hot path adds to and a scrape reads.
#ifndef VARVE_COMMON_METRIC_CELLS_H_
#define VARVE_COMMON_METRIC_CELLS_H_

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "common/clock.h"

namespace varve {

// Thread-safe; relaxed: a scrape sees every increment sooner or later, and none twice.
class Counter {
 public:
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Counts by size in buckets whose bounds double from kFirst: the same everywhere, so that quantiles
// of several brokers add up. Not thread-safe.
template <uint64_t kFirst, size_t kCount>
struct DoublingCounts {
  static constexpr size_t kBuckets = kCount;
  // Inclusive upper bound of bucket `i`; the last of `counts` has none.
  static constexpr uint64_t UpperBound(size_t i) { return kFirst << i; }
  static constexpr size_t BucketOf(uint64_t value) {
    if (value <= kFirst) return 0;
    const auto bucket = static_cast<size_t>(std::bit_width((value - 1) / kFirst));
    return bucket < kCount ? bucket : kCount;
  }
  void Observe(uint64_t value) {
    ++counts[BucketOf(value)];
    sum += value;
  }
  void Add(const DoublingCounts& other) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
  }
  std::array<uint64_t, kCount + 1> counts{};
  uint64_t sum = 0;
};

// The same, thread-safe and relaxed.
template <uint64_t kFirst, size_t kCount>
class DoublingHistogram {
 public:
  using Counts = DoublingCounts<kFirst, kCount>;
  void Observe(int64_t value) {
    const uint64_t counted = value < 0 ? 0 : static_cast<uint64_t>(value);
    counts_[Counts::BucketOf(counted)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(counted, std::memory_order_relaxed);
  }
  [[nodiscard]] Counts Read() const {
    Counts out;
    for (size_t i = 0; i < counts_.size(); ++i)
      out.counts[i] = counts_[i].load(std::memory_order_relaxed);
    out.sum = sum_.load(std::memory_order_relaxed);
    return out;
  }

 private:
  std::array<std::atomic<uint64_t>, kCount + 1> counts_{};
  std::atomic<uint64_t> sum_{0};
};

// Nanoseconds, from 100 µs to 13 s.
using LatencyCounts = DoublingCounts<uint64_t{100 * kMicrosecond}, 18>;
using LatencyHistogram = DoublingHistogram<uint64_t{100 * kMicrosecond}, 18>;
// Pieces, from 1 to 4,096.
using PieceCounts = DoublingCounts<1, 13>;
// Bytes, from 512 B to 8 MiB.
using ByteCounts = DoublingCounts<512, 15>;

}  // namespace varve

#endif  // VARVE_COMMON_METRIC_CELLS_H_
