#include "server/metrics/broker_metrics.h"

namespace varve::server {

void BrokerMetrics::CountError(Rpc which, Reason reason) {
  std::lock_guard lock(mutex_);
  ++errors_[{which, reason}];
}

std::vector<std::pair<std::pair<Rpc, Reason>, uint64_t>> BrokerMetrics::Errors() const {
  std::lock_guard lock(mutex_);
  return {errors_.begin(), errors_.end()};
}

std::shared_ptr<TopicMetrics> BrokerMetrics::Topic(const std::string& name) {
  std::lock_guard lock(mutex_);
  auto& cells = topics_[name];
  if (!cells) cells = std::make_shared<TopicMetrics>();
  return cells;
}

std::vector<std::pair<std::string, std::shared_ptr<TopicMetrics>>> BrokerMetrics::Topics() const {
  std::lock_guard lock(mutex_);
  return {topics_.begin(), topics_.end()};
}

void BrokerMetrics::ForgetTopic(const std::string& name) {
  std::lock_guard lock(mutex_);
  topics_.erase(name);
}

}  // namespace varve::server
