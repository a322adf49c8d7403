// BrokerMetrics: what the broker counts about itself, cheap enough for the hot path, read at
// scrape.
//
// Names, labels and help texts of the exported series live in server/http/metrics_page.cc.
#ifndef VARVE_SERVER_METRICS_BROKER_METRICS_H_
#define VARVE_SERVER_METRICS_BROKER_METRICS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/metric_cells.h"
#include "server/service/gate.h"

namespace varve::server {

// Counts of one topic. Records in are those acknowledged.
struct TopicMetrics {
  Counter records_in, bytes_in, batches_in, records_out, bytes_out;
};

// Topics that have cells of their own at a time; the others share those of "_other".
inline constexpr size_t kMaxTopicSeries = 1000;

class BrokerMetrics {
 public:
  static constexpr size_t kRpcs = kRpcCount;
  struct RpcMetrics {
    Counter requests;
    LatencyHistogram latency;
  };
  [[nodiscard]] RpcMetrics& rpc(Rpc which) { return rpcs_[static_cast<size_t>(which)]; }
  // From the arrival of a batch to its acknowledgement.
  LatencyHistogram produce_latency;
  Counter batches_refused;
  std::atomic<int64_t> produce_sessions{0}, subscribe_sessions{0};

  void CountError(Rpc which, Reason reason);
  // (rpc, reason) with their counts, in order.
  [[nodiscard]] std::vector<std::pair<std::pair<Rpc, Reason>, uint64_t>> Errors() const;

  // The cells of a topic, made on first use and kept while anybody holds them or the topic exists.
  // A topic that comes while kMaxTopicSeries others have theirs is counted in shared ones for as
  // long as it exists: no count ever falls or moves to another series.
  std::shared_ptr<TopicMetrics> Topic(const std::string& name);
  [[nodiscard]] std::vector<std::pair<std::string, std::shared_ptr<TopicMetrics>>> Topics() const;
  // Null until a topic is counted there.
  [[nodiscard]] std::shared_ptr<TopicMetrics> OtherTopics() const;
  void ForgetTopic(const std::string& name);

 private:
  std::array<RpcMetrics, kRpcs> rpcs_;
  mutable std::mutex mutex_;  // guards the maps, not the cells
  std::map<std::pair<Rpc, Reason>, uint64_t> errors_;
  std::map<std::string, std::shared_ptr<TopicMetrics>> topics_;  // with cells of their own
  std::set<std::string> other_names_;
  std::shared_ptr<TopicMetrics> other_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_METRICS_BROKER_METRICS_H_
