#include "server/metadata/replica_mover.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve::server {
namespace {

// Partitions that may be on the move at once: each copies its log.
constexpr size_t kMaxMoving = 64;
// What could not be done when it was looked at last (nobody could take over) is tried again.
constexpr Nanos kLookInterval = 2 * kSecond;
constexpr size_t kPage = 1000;

template <class Use>
void ForEachTopic(const Catalogue& catalogue, Use use) {
  for (std::string after;;) {
    const auto page = catalogue.List(after, kPage);
    if (page.empty()) return;
    for (const TopicRef& topic : page) use(*topic);
    after = page.back()->name;
  }
}

}  // namespace

ReplicaMover::ReplicaMover(const MetadataFold& fold, const Catalogue& catalogue,
                           const ClusterView& view, const Clock& clock, Propose propose)
    : fold_(fold),
      catalogue_(catalogue),
      view_(view),
      clock_(clock),
      propose_(std::move(propose)),
      self_(std::make_shared<ReplicaMover*>(this)) {}

ReplicaMover::~ReplicaMover() { *self_ = nullptr; }

void ReplicaMover::Begin() {
  changing_.clear();
  reporting_ = false;
  suspects_.clear();
  departing_.clear();
  look_ = true;
}

Brokers ReplicaMover::LookAtBrokers() const {
  Brokers out;
  out.records = fold_.brokers();
  for (const auto& [node, record] : out.records)
    if (view_.IsLive(node)) out.live.insert(node);
  ForEachTopic(catalogue_, [&](const TopicEntry& topic) {
    for (const PartitionPlacement& placement : topic.partitions)
      for (const PlacedReplica& placed : placement.replicas) ++out.replicas[placed.replica.node];
  });
  return out;
}

// Only where the group works without it: a leader elsewhere has a majority that it does not belong
// to. A sole voter's data is the only copy, whatever is wrong with it.
bool ReplicaMover::CanLose(GroupId group, ReplicaId replica) const {
  const auto leader = view_.LeaderOf(group);
  return leader && leader->node != replica.node && view_.IsLive(leader->node);
}

void ReplicaMover::Review(const std::function<bool(TopicId)>& busy) {
  const MonoTime now = clock_.Now();
  if (!look_ && now < next_look_) return;
  look_ = false;
  next_look_ = now + kLookInterval;
  Brokers brokers = LookAtBrokers();
  size_t moving = 0;
  std::set<NodeId> holding;
  std::set<TopicId> topics;
  std::vector<EntityChange> changes;
  ForEachTopic(catalogue_, [&](const TopicEntry& topic) {
    const bool fixed = changing_.contains(topic.id) || busy(topic.id);
    for (uint32_t i = 0; i < topic.partitions.size(); ++i) {
      const PartitionPlacement& placement = topic.partitions[i];
      for (const auto* list : {&placement.replicas, &placement.leaving})
        for (const PlacedReplica& placed : *list) holding.insert(placed.replica.node);
      if (!placement.leaving.empty()) ++moving;
      if (fixed || moving + changes.size() >= kMaxMoving) continue;
      const auto can_lose = [&](ReplicaId replica) { return CanLose(placement.group, replica); };
      const auto next = RenewedPlacement(placement, suspects_, can_lose, &brokers);
      if (!next) continue;
      changes.push_back(PartitionChange(topic.id, PartitionId(i), *next));
      topics.insert(topic.id);
    }
  });
  ReviewBrokers(brokers, holding);
  ForgetRemovalsOfTheGone();
  if (!changes.empty()) ProposeFor(topics, std::move(changes), [](absl::Status) {});
}

// A broker that leaves is gone when no partition knows it any more; what it still has to remove
// does not count, since it may be dead.
void ReplicaMover::ReviewBrokers(const Brokers& brokers, const std::set<NodeId>& holding) {
  for (const auto& [node, record] : brokers.records) {
    if (record.duty != BrokerDuty::kLeaving || holding.contains(node)) continue;
    const auto controller = view_.LeaderOf(kMetadataGroup);
    if (controller && controller->node == node) continue;  // it hands over first
    if (!departing_.insert(node).second) continue;
    BrokerRecord gone = record;
    gone.duty = BrokerDuty::kLeft;
    propose_({BrokerChange(gone)}, [self = self_, node = node](absl::Status) {
      if (*self != nullptr) (*self)->departing_.erase(node);
    });
  }
}

// Who has left removes nothing any more.
void ReplicaMover::ForgetRemovalsOfTheGone() {
  if (reporting_) return;
  std::vector<ReplicaReport> gone;
  for (const auto& [group, replicas] : fold_.removed_groups()) {
    for (const ReplicaId& replica : replicas) {
      const auto broker = fold_.brokers().find(replica.node);
      if (broker != fold_.brokers().end() && broker->second.duty == BrokerDuty::kLeft)
        gone.push_back({ReplicaReport::Kind::kRemoved, group, {replica}});
    }
    if (gone.size() >= kPage) break;
  }
  if (!gone.empty())
    TakeReports(
        gone, [](TopicId) { return false; }, [](absl::Status) {});
}

void ReplicaMover::ProposeFor(const std::set<TopicId>& topics, std::vector<EntityChange> changes,
                              Done done) {
  changing_.insert(topics.begin(), topics.end());
  propose_(std::move(changes),
           [self = self_, topics, done = std::move(done)](absl::Status status) mutable {
             if (*self != nullptr) {
               for (const TopicId& topic : topics) (*self)->changing_.erase(topic);
               (*self)->look_ = true;
             }
             done(std::move(status));
           });
}

// --- Reports
// --------------------------------------------------------------------------------------

void ReplicaMover::TakeReports(const std::vector<ReplicaReport>& reports,
                               const std::function<bool(TopicId)>& busy, Done done) {
  if (reporting_) return done(MakeError(Reason::OVERLOADED, "other reports are being recorded"));
  std::vector<EntityChange> changes;
  std::set<TopicId> topics;
  Removed removed;
  bool postponed = false;
  for (const ReplicaReport& report : reports) {
    const auto at = catalogue_.FindPlacement(report.group);
    if (report.kind == ReplicaReport::Kind::kRemoved) {
      OnRemoved(report, &removed);
    } else if (!at) {
      continue;  // deleted meanwhile
    } else if (report.kind == ReplicaReport::Kind::kSuspect) {
      for (const ReplicaId& replica : report.replicas) suspects_.insert({report.group, replica});
      look_ = true;
    } else if (changing_.contains(at->topic->id) || busy(at->topic->id)) {
      postponed = true;
    } else {
      OnGoalReached(report, &changes, &topics, &removed);
    }
  }
  for (const auto& [group, replicas] : removed)
    changes.push_back(replicas.empty() ? EntityChange{RemovedGroupKey(group), std::nullopt}
                                       : RemovedGroupChange(group, replicas, clock_.Wall()));
  const absl::Status answer =
      postponed ? MakeError(Reason::OVERLOADED, "another change of the topic is under way")
                : absl::OkStatus();
  if (changes.empty()) return done(answer);
  reporting_ = true;
  ProposeFor(topics, std::move(changes),
             [self = self_, answer, done = std::move(done)](absl::Status status) mutable {
               if (*self != nullptr) (*self)->reporting_ = false;
               done(status.ok() ? answer : std::move(status));
             });
}

std::vector<ReplicaId>& ReplicaMover::RemovedOf(GroupId group, Removed* removed) const {
  const auto [at, fresh] = removed->try_emplace(group);
  const auto known = fold_.removed_groups().find(group);
  if (fresh && known != fold_.removed_groups().end()) at->second = known->second;
  return at->second;
}

// The report may be of a goal that is not the goal any more.
void ReplicaMover::OnGoalReached(const ReplicaReport& report, std::vector<EntityChange>* changes,
                                 std::set<TopicId>* topics, Removed* removed) const {
  const auto at = catalogue_.FindPlacement(report.group);
  PartitionPlacement next = at->placement();
  if (next.leaving.empty() || next.goal() != report.replicas) return;
  std::vector<ReplicaId>& gone = RemovedOf(report.group, removed);
  for (const PlacedReplica& placed : std::exchange(next.leaving, {}))
    if (std::find(gone.begin(), gone.end(), placed.replica) == gone.end())
      gone.push_back(placed.replica);
  changes->push_back(PartitionChange(at->topic->id, at->partition, next));
  topics->insert(at->topic->id);
}

void ReplicaMover::OnRemoved(const ReplicaReport& report, Removed* removed) const {
  if (!fold_.removed_groups().contains(report.group)) return;
  std::vector<ReplicaId>& left = RemovedOf(report.group, removed);
  for (const ReplicaId& gone : report.replicas)
    std::erase_if(left, [&](const ReplicaId& replica) {
      return replica.node == gone.node && replica.epoch <= gone.epoch;
    });
}

}  // namespace varve::server
