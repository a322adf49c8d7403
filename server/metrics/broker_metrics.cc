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
  if (const auto at = topics_.find(name); at != topics_.end()) return at->second;
  if (other_names_.contains(name)) return other_;
  if (topics_.size() < kMaxTopicSeries)
    return topics_.emplace(name, std::make_shared<TopicMetrics>()).first->second;
  other_names_.insert(name);
  if (!other_) other_ = std::make_shared<TopicMetrics>();
  return other_;
}

std::vector<std::pair<std::string, std::shared_ptr<TopicMetrics>>> BrokerMetrics::Topics() const {
  std::lock_guard lock(mutex_);
  return {topics_.begin(), topics_.end()};
}

std::shared_ptr<TopicMetrics> BrokerMetrics::OtherTopics() const {
  std::lock_guard lock(mutex_);
  return other_;
}

void BrokerMetrics::ForgetTopic(const std::string& name) {
  std::lock_guard lock(mutex_);
  topics_.erase(name);
  other_names_.erase(name);
}

}  // namespace varve::server
