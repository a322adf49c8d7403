#include "server/replica_reporter.h"

#include <utility>

#include "common/error.h"

namespace varve::server {
namespace {

constexpr size_t kMaxReports = 500;
constexpr Nanos kRetry = 250 * kMillisecond;
constexpr Nanos kTimeout = 5 * kSecond;

}  // namespace

ReplicaReporter::ReplicaReporter(ReplicaReporterParts parts)
    : parts_(std::move(parts)), self_(std::make_shared<ReplicaReporter*>(this)) {}

ReplicaReporter::~ReplicaReporter() { *self_ = nullptr; }

void ReplicaReporter::Start(Executor& home) {
  std::lock_guard lock(mutex_);
  home_ = &home;
  if (!waiting_.empty()) Arm(0);
}

void ReplicaReporter::Stop() {
  *self_ = nullptr;
  std::lock_guard lock(mutex_);
  home_ = nullptr;
}

void ReplicaReporter::Tell(ReplicaReport report) {
  const bool of_one = report.kind != ReplicaReport::Kind::kGoalReached && !report.replicas.empty();
  const Key key{report.group, report.kind, of_one ? report.replicas.front() : ReplicaId{}};
  std::lock_guard lock(mutex_);
  waiting_[key] = std::move(report);
  Arm(0);
}

// With the lock.
void ReplicaReporter::Arm(Nanos wait) {
  if (armed_ || home_ == nullptr) return;
  armed_ = true;
  home_->RunAt(parts_.clock.Now() + wait, [self = self_] {
    if (*self != nullptr) (*self)->Send();
  });
}

void ReplicaReporter::Send() {
  std::vector<std::pair<Key, ReplicaReport>> sent;
  ReportRequest request;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [key, report] : waiting_) {
      if (sent.size() == kMaxReports) break;
      sent.emplace_back(key, report);
      request.reports.push_back(report);
    }
  }
  const auto leader = parts_.view.LeaderOf(kMetadataGroup);
  Controller* controller = parts_.controller();
  if (leader && leader->node == parts_.self && controller != nullptr) {
    return controller->TakeReports(
        request.reports, [self = self_, sent = std::move(sent)](const absl::Status& status) {
          if (*self != nullptr) (*self)->OnAnswer(sent, status);
        });
  }
  const auto broker = leader ? parts_.view.FindBroker(leader->node) : std::nullopt;
  if (!broker || broker->node == parts_.self || parts_.client == nullptr)
    return OnAnswer(sent, MakeError(Reason::LEADER_UNKNOWN, "no controller is known"));
  parts_.client->Report(broker->peer_address, std::move(request), kTimeout,
                        [self = self_, &home = *home_,
                         sent = std::move(sent)](const absl::StatusOr<ReportReply>& reply) mutable {
                          home.Post([self, sent = std::move(sent), status = reply.status()] {
                            if (*self != nullptr) (*self)->OnAnswer(sent, status);
                          });
                        });
}

void ReplicaReporter::OnAnswer(const std::vector<std::pair<Key, ReplicaReport>>& sent,
                               const absl::Status& status) {
  std::lock_guard lock(mutex_);
  armed_ = false;
  if (status.ok()) {
    for (const auto& [key, report] : sent) {
      const auto at = waiting_.find(key);
      if (at != waiting_.end() && at->second == report) waiting_.erase(at);
    }
  }
  if (!waiting_.empty()) Arm(status.ok() ? 0 : kRetry);
}

}  // namespace varve::server
