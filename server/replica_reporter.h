// ReplicaReporter: brings what this broker's replicas tell to the controller, wherever that is.
#ifndef VARVE_SERVER_REPLICA_REPORTER_H_
#define VARVE_SERVER_REPLICA_REPORTER_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "server/metadata/cluster_view.h"
#include "server/metadata/controller.h"
#include "server/partition/replica_reports.h"

namespace varve::server {

struct ReplicaReporterParts {
  const ClusterView& view;
  const Clock& clock;
  NodeId self;
  PeerClient* client = nullptr;  // null: this broker is alone
  // On the metadata partition's shard; null before the broker is ready.
  std::function<Controller*()> controller;
};

// Thread-safe. Keeps one report of each kind for each replica, the newest, until the controller has
// taken it; a restart of the broker finds the same to report again.
class ReplicaReporter final : public ReplicaReports {
 public:
  explicit ReplicaReporter(ReplicaReporterParts parts);
  ~ReplicaReporter() override;

  // `home`: the metadata partition's shard.
  void Start(Executor& home);
  // On `home`.
  void Stop();
  void Tell(ReplicaReport report) override;

 private:
  using Key = std::tuple<GroupId, ReplicaReport::Kind, ReplicaId>;
  void Arm(Nanos wait);
  void Send();
  void OnAnswer(const std::vector<std::pair<Key, ReplicaReport>>& sent, const absl::Status& status);

  const ReplicaReporterParts parts_;
  Executor* home_ = nullptr;
  std::mutex mutex_;
  std::map<Key, ReplicaReport> waiting_;
  bool armed_ = false;  // Send is due or under way
  // Tasks of `home` hold it; null from Stop on.
  std::shared_ptr<ReplicaReporter*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_REPLICA_REPORTER_H_
