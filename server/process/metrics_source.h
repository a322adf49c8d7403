// MetricsSource: collects what the page /metrics shows.
#ifndef VARVE_SERVER_PROCESS_METRICS_SOURCE_H_
#define VARVE_SERVER_PROCESS_METRICS_SOURCE_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "server/http/metrics_page.h"
#include "server/process/admin_pages.h"

namespace varve::server {

// Thread-safe. A thread of the broker that does not answer within half a second holds no scrape up:
// what it said last is shown again, and a shard that did so is counted as stalled.
class MetricsSource {
 public:
  // `view` must outlive the source.
  explicit MetricsSource(AdminView& view) : view_(view), board_(std::make_shared<Board>()) {}
  [[nodiscard]] MetricsInput Collect();

 private:
  // What the broker's own threads write; they may come late, so that they hold it, too.
  struct Board {
    std::mutex mutex;
    std::condition_variable changed;
    uint64_t round = 0;
    struct Shard {
      uint64_t round = 0;
      PartitionCensus census;
    };
    std::vector<Shard> shards;
    uint64_t links_round = 0;
    raft::PeerHubStats links;
    std::vector<raft::PeerState> peers;
  };
  [[nodiscard]] MetricsInput::BrokerPart CollectBroker(Broker& broker) const;
  void AskThreads(Broker& broker, MetricsInput::BrokerPart* part) const;

  AdminView& view_;
  const std::shared_ptr<Board> board_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_METRICS_SOURCE_H_
