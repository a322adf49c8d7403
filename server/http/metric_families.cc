#include "server/http/metric_families.h"

#include <prometheus/text_serializer.h>

#include <sstream>

namespace varve::server {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily& MetricFamilies::Add(std::string name, MetricType type, std::string help) {
  MetricFamily family;
  family.name = std::move(name);
  family.help = std::move(help);
  family.type = type;
  families_.push_back(std::move(family));
  return families_.back();
}

void MetricFamilies::Gauge(std::string name, std::string help, double value, Labels labels) {
  AddGauge(Add(std::move(name), MetricType::Gauge, std::move(help)), value, std::move(labels));
}

void MetricFamilies::Counter(std::string name, std::string help, uint64_t value, Labels labels) {
  AddCounter(Add(std::move(name), MetricType::Counter, std::move(help)), static_cast<double>(value),
             std::move(labels));
}

void MetricFamilies::AddGauge(MetricFamily& family, double value, Labels labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

void MetricFamilies::AddCounter(MetricFamily& family, double value, Labels labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = value;
  family.metric.push_back(std::move(metric));
}

std::string MetricFamilies::Text() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_);
  return out.str();
}

}  // namespace varve::server
