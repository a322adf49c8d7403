// Controller: brokers that join, and the members of the metadata log.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"
#include "server/metadata/controller.h"
#include "server/metadata/membership.h"

namespace varve::server {
namespace {

// How often the members are looked at while this broker leads.
constexpr Nanos kMembershipInterval = 250 * kMillisecond;
// A learner that lacks no more entries than this has caught up.
constexpr uint64_t kCaughtUpEntries = 100;

}  // namespace

bool Controller::registered() const {
  const auto known = view_.FindBroker(options_.self.node);
  return alone() || (known && known->directory == options_.directory);
}

ReplicaEpoch Controller::EpochOf(NodeId node) const {
  const auto at = fold_.brokers().find(node);
  if (at != fold_.brokers().end()) return at->second.metadata_epoch;
  return node == options_.self.node ? metadata_.self().epoch : ReplicaEpoch(1);
}

// Those who leave get nothing new.
std::vector<NodeId> Controller::BrokersForReplicas(size_t wanted) const {
  std::vector<NodeId> all, live;
  for (const auto& [node, record] : fold_.brokers())
    if (record.duty == BrokerDuty::kActive) all.push_back(node);
  // One that founds a cluster is not recorded yet.
  if (!fold_.brokers().contains(options_.self.node)) {
    all.push_back(options_.self.node);
    std::sort(all.begin(), all.end());
  }
  for (const NodeId node : all)
    if (node == options_.self.node || view_.IsLive(node)) live.push_back(node);
  return live.size() >= wanted ? live : all;
}

// A broker that leads needs nobody to let it in.
void Controller::RegisterSelf() {
  const auto known = view_.FindBroker(options_.self.node);
  BrokerInfo self = options_.addresses;
  self.node = options_.self.node;
  self.directory = options_.directory;
  if (known == self) return;
  const auto at = fold_.brokers().find(self.node);
  BrokerRecord record;
  if (at != fold_.brokers().end()) record = at->second;
  record.info = std::move(self);
  record.metadata_epoch = metadata_.self().epoch;
  record.joined = clock_.Wall();
  Propose({BrokerChange(record)}, [](absl::Status) {});
}

void Controller::Join(BrokerInfo broker, JoinDone done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) {
    const auto leader = view_.LeaderOf(kMetadataGroup);
    const auto known = leader ? view_.FindBroker(leader->node) : std::nullopt;
    if (known) SetErrorDetail("leader_address", known->peer_address, &status);
    return done(std::move(status));
  }
  if (broker.node == NodeId{} || broker.directory.empty() || broker.peer_address.empty())
    return done(MakeError(Reason::INVALID_REQUEST,
                          "a broker that joins names its node, directory and peer address"));
  const auto at = fold_.brokers().find(broker.node);
  BrokerRecord record;
  const bool known = at != fold_.brokers().end();
  if (known) record = at->second;
  const bool same = known && record.info.directory == broker.directory;
  if (same && record.duty == BrokerDuty::kLeft)
    return done(MakeError(Reason::BROKER_LEFT, "node ", broker.node, " left the cluster"));
  if (known && !same && (view_.IsLive(broker.node) || broker.node == options_.self.node))
    return done(MakeError(Reason::FOREIGN_DIRECTORY, "node ", broker.node,
                          " is a broker that lives, with another data directory"));
  if (same && record.info == broker) return done(record.metadata_epoch);
  if (!same) {
    record.metadata_epoch = known ? record.metadata_epoch + 1 : ReplicaEpoch(1);
    if (record.duty == BrokerDuty::kLeft) record.duty = BrokerDuty::kActive;
  }
  record.info = broker;
  record.joined = clock_.Wall();
  const NodeId node = broker.node;
  auto change = BrokerChange(record);
  joins_.emplace(node, std::pair(std::move(broker), std::move(done)));
  Propose({std::move(change)}, [self = self_, node](absl::Status status) {
    if (status.ok() || *self == nullptr) return;  // answered when the fold has applied it
    auto range = (*self)->joins_.equal_range(node);
    std::vector<JoinDone> failed;
    for (auto join = range.first; join != range.second; ++join)
      failed.push_back(std::move(join->second.second));
    (*self)->joins_.erase(range.first, range.second);
    for (JoinDone& answer : failed) answer(status);
  });
}

void Controller::ResolveJoins() {
  for (auto at = joins_.begin(); at != joins_.end();) {
    if (view_.FindBroker(at->first) != at->second.first) {
      ++at;
      continue;
    }
    JoinDone done = std::move(at->second.second);
    const NodeId node = at->first;
    at = joins_.erase(at);
    done(EpochOf(node));
  }
}

// --- Members
// --------------------------------------------------------------------------------------

void Controller::ArmMembership() {
  if (membership_timer_ != TimerId{} || stopped_) return;
  membership_timer_ = metadata_.shard().RunAt(clock_.Now() + kMembershipInterval, [self = self_] {
    if (*self == nullptr) return;
    (*self)->membership_timer_ = TimerId{};
    (*self)->ReviewMembership();
  });
}

// Looks again while something is to be done; else when a broker joins.
void Controller::ReviewMembership() {
  if (!CheckDeciding().ok()) return;
  ArmMembership();
  mover_->Review([this](TopicId topic) { return IsBusy(topic); });
  balancer_.Review();
  const raft::Core& core = metadata_.core();
  if (core.configurations().uncommitted) return;
  MetadataMembers wanted;
  wanted.leader = metadata_.self();
  wanted.brokers[options_.self.node] = metadata_.self().epoch;
  for (const auto& [node, record] : fold_.brokers()) {
    if (record.duty == BrokerDuty::kLeft) continue;
    wanted.brokers[node] = record.metadata_epoch;
    if (record.duty == BrokerDuty::kLeaving) wanted.leaving.insert(node);
  }
  wanted.brokers[options_.self.node] = metadata_.self().epoch;
  wanted.ready = {metadata_.self()};
  for (const auto& [id, follower] : core.followers())
    if (follower.state == raft::ProgressState::kReplicate && view_.IsLive(id.node) &&
        follower.match + kCaughtUpEntries >= core.commit_index())
      wanted.ready.insert(id);
  if (const auto next = NextMetadataMembers(core.log().configuration(), wanted))
    metadata_.ProposeConfiguration(*next);
}

// --- Replicas
// -------------------------------------------------------------------------------------

bool Controller::IsBusy(TopicId topic) const {
  return deleting_.contains(topic) || altering_.contains(topic);
}

void Controller::TakeReports(const std::vector<ReplicaReport>& reports, Done done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  mover_->TakeReports(
      reports, [this](TopicId topic) { return IsBusy(topic); }, std::move(done));
}

void Controller::SetBrokerDuty(SetBrokerDutyRequest request, Done done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  const auto at = fold_.brokers().find(request.node);
  const bool left = at != fold_.brokers().end() && at->second.duty == BrokerDuty::kLeft;
  if (left && request.leave) return done(absl::OkStatus());
  if (left || at == fold_.brokers().end())
    return done(MakeError(Reason::UNKNOWN_BROKER, "node ", request.node,
                          left ? " has left the cluster already" : " is no broker of the cluster"));
  BrokerRecord record = at->second;
  record.duty = request.leave ? BrokerDuty::kLeaving : BrokerDuty::kActive;
  record.replacement = request.leave ? request.replacement : NodeId{};
  if (record == at->second) return done(absl::OkStatus());
  if (request.leave) {
    Brokers brokers = mover_->LookAtBrokers();
    brokers.records[request.node] = record;
    if (record.replacement != NodeId{} && !brokers.IsActive(record.replacement))
      return done(MakeError(Reason::UNKNOWN_BROKER, "node ", record.replacement,
                            " cannot take the replicas: it is no active broker of the cluster"));
    if (absl::Status status = CheckEnoughStay(brokers); !status.ok())
      return done(std::move(status));
  }
  ProposeAndFold({BrokerChange(record)}, std::move(done));
}

absl::Status Controller::CheckEnoughStay(const Brokers& brokers) const {
  size_t active = 0;
  for (const auto& [node, record] : brokers.records) active += brokers.IsActive(node) ? 1 : 0;
  for (std::string after;;) {
    const auto page = catalogue_.List(after, 1000);
    for (const TopicRef& topic : page)
      if (topic->replication_factor > active)
        return MakeError(
            Reason::INVALID_REPLICATION, "topic \"", topic->name, "\" has ",
            topic->replication_factor, " replicas, and only ", active,
            " brokers would stay: add a broker first, or lower its replication factor");
    if (page.empty()) break;
    after = page.back()->name;
  }
  return active > 0 ? absl::OkStatus()
                    : MakeError(Reason::INVALID_REPLICATION, "no broker would stay");
}

void Controller::MovePartition(MovePartitionRequest request, Done done) {
  if (absl::Status status = CheckDeciding(); !status.ok()) return done(std::move(status));
  const auto topic = FindToChange(request.topic, std::nullopt);
  if (!topic.ok()) return done(topic.status());
  if (absl::Status status = CheckPartition(**topic, request.partition); !status.ok())
    return done(std::move(status));
  const Brokers brokers = mover_->LookAtBrokers();
  for (const NodeId node : request.nodes) {
    if (!brokers.IsActive(node))
      return done(
          MakeError(Reason::UNKNOWN_BROKER, "node ", node, " is no active broker of the cluster"));
    if (std::count(request.nodes.begin(), request.nodes.end(), node) > 1)
      return done(MakeError(Reason::INVALID_REPLICATION, "node ", node, " is named twice"));
  }
  if (request.nodes.size() != (*topic)->replication_factor)
    return done(MakeError(Reason::INVALID_REPLICATION, "topic \"", request.topic, "\" has ",
                          (*topic)->replication_factor, " replicas, and the request names ",
                          request.nodes.size(), " nodes"));
  const PartitionPlacement& now = (*topic)->partitions[request.partition.value()];
  const TopicId id = (*topic)->id;
  altering_.insert(id);
  ProposeAndFold(
      {PartitionChange(id, request.partition, WithReplicasOn(now, request.nodes, brokers))},
      [self = self_, id, done = std::move(done)](absl::Status status) mutable {
        if (*self != nullptr) (*self)->altering_.erase(id);
        done(std::move(status));
      });
}

}  // namespace varve::server
