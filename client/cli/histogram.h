// Histogram: log-linear counts of non-negative integers, for latencies in nanoseconds.
//
// Every value from 0 to 2^63-1 has a cell; a cell spans less than 1/128 of the values in it, so
// that a percentile is less than 0.8 % too high. ConcurrentHistogram counts from any thread without
// a lock; Histogram is a value, for sums, differences and questions.
#ifndef VARVE_CLIENT_CLI_HISTOGRAM_H_
#define VARVE_CLIENT_CLI_HISTOGRAM_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace varve::cli {

struct HistogramCells {
  static constexpr int kSubBits = 7;  // 128 cells for each power of two
  static constexpr uint64_t kSub = uint64_t{1} << kSubBits;
  static constexpr uint64_t kMaxValue = INT64_MAX;
  static constexpr size_t kCount = (63 - kSubBits) * kSub + kSub;

  static constexpr size_t IndexOf(uint64_t value) {
    value = std::min(value, kMaxValue);
    if (value < kSub) return static_cast<size_t>(value);
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return static_cast<size_t>(static_cast<uint64_t>(shift) * kSub + (value >> shift));
  }
  // The largest value of a cell: what a percentile answers, so that it never flatters.
  static constexpr uint64_t UpperOf(size_t index) {
    if (index < 2 * kSub) return index;
    const int shift = static_cast<int>(index / kSub) - 1;
    const uint64_t top = index - static_cast<uint64_t>(shift) * kSub;
    return ((top + 1) << shift) - 1;
  }
};

class Histogram {
 public:
  Histogram() : cells_(HistogramCells::kCount, 0) {}

  void Record(uint64_t value) {
    ++cells_[HistogramCells::IndexOf(value)];
    ++count_;
    sum_ += static_cast<double>(value);
    max_ = std::max(max_, value);
  }
  // The values counted since `earlier`, a snapshot of the same source. Its max() is exact to a
  // cell.
  [[nodiscard]] Histogram Since(const Histogram& earlier) const {
    Histogram difference;
    for (size_t i = 0; i < cells_.size(); ++i) {
      difference.cells_[i] = cells_[i] - earlier.cells_[i];
      if (difference.cells_[i] > 0) difference.max_ = HistogramCells::UpperOf(i);
    }
    difference.count_ = count_ - earlier.count_;
    difference.sum_ = sum_ - earlier.sum_;
    difference.max_ = std::min(difference.max_, max_);
    return difference;
  }

  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  // The smallest recorded value that at least `percent` of the values do not exceed, up to a cell's
  // width; 0 when nothing was recorded.
  [[nodiscard]] uint64_t Percentile(double percent) const {
    if (count_ == 0) return 0;
    const double wanted = std::ceil(percent / 100 * static_cast<double>(count_) - 1e-9);
    const auto rank = static_cast<uint64_t>(std::clamp(wanted, 1.0, static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < cells_.size(); ++i) {
      seen += cells_[i];
      if (seen >= rank) return std::min(HistogramCells::UpperOf(i), max_);
    }
    return max_;
  }

 private:
  friend class ConcurrentHistogram;
  std::vector<uint64_t> cells_;
  uint64_t count_ = 0;
  double sum_ = 0;
  uint64_t max_ = 0;
};

// Record from any thread; Snapshot from any other. A snapshot taken while others record may miss
// what is being recorded, and nothing else.
class ConcurrentHistogram {
 public:
  ConcurrentHistogram() : cells_(new std::atomic<uint64_t>[HistogramCells::kCount]()) {}

  void Record(uint64_t value) {
    value = std::min(value, HistogramCells::kMaxValue);
    cells_[HistogramCells::IndexOf(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
    uint64_t seen = max_.load(std::memory_order_relaxed);
    while (value > seen && !max_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
    }
  }

  [[nodiscard]] Histogram Snapshot() const {
    Histogram out;
    for (size_t i = 0; i < HistogramCells::kCount; ++i) {
      out.cells_[i] = cells_[i].load(std::memory_order_relaxed);
      out.count_ += out.cells_[i];
    }
    out.sum_ = static_cast<double>(sum_.load(std::memory_order_relaxed));
    out.max_ = max_.load(std::memory_order_relaxed);
    return out;
  }

 private:
  std::unique_ptr<std::atomic<uint64_t>[]> cells_;
  std::atomic<uint64_t> sum_ = 0;
  std::atomic<uint64_t> max_ = 0;
};

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_HISTOGRAM_H_
