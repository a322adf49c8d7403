// MetricFamilies: builds one page of Prometheus' text format.
#ifndef VARVE_SERVER_HTTP_METRIC_FAMILIES_H_
#define VARVE_SERVER_HTTP_METRIC_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/metric_cells.h"

namespace varve::server {

inline constexpr double kNanosPerSecond = 1e9;

// Not thread-safe. Families come out in the order in which they were added; a reference to one is
// good until the next is added.
class MetricFamilies {
 public:
  using Labels = std::vector<prometheus::ClientMetric::Label>;

  prometheus::MetricFamily& Add(std::string name, prometheus::MetricType type, std::string help);
  void Gauge(std::string name, std::string help, double value, Labels labels = {});
  void Counter(std::string name, std::string help, uint64_t value, Labels labels = {});
  // `scale` values are one unit of the metric: 1e9 for nanoseconds.
  template <uint64_t kFirst, size_t kCount>
  void Histogram(std::string name, std::string help, const DoublingCounts<kFirst, kCount>& counts,
                 double scale) {
    AddHistogram(Add(std::move(name), prometheus::MetricType::Histogram, std::move(help)), counts,
                 scale, {});
  }

  static void AddGauge(prometheus::MetricFamily& family, double value, Labels labels);
  static void AddCounter(prometheus::MetricFamily& family, double value, Labels labels);
  template <uint64_t kFirst, size_t kCount>
  static void AddHistogram(prometheus::MetricFamily& family,
                           const DoublingCounts<kFirst, kCount>& counts, double scale,
                           Labels labels) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    uint64_t count = 0;
    for (size_t i = 0; i <= kCount; ++i) {
      count += counts.counts[i];
      const double bound = i < kCount ? static_cast<double>(counts.UpperBound(i)) / scale
                                      : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(counts.sum) / scale;
    family.metric.push_back(std::move(metric));
  }

  [[nodiscard]] std::string Text() const;

 private:
  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_HTTP_METRIC_FAMILIES_H_
