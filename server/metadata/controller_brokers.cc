// Controller: brokers that join, and the members of the metadata log.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"
#include "server/metadata/controller.h"
#include "server/metadata/membership.h"
#include "varve/state/v1/metadata.pb.h"

namespace varve::server {
namespace {

namespace state = varve::state::v1;

// How often the members are looked at while this broker leads.
constexpr Nanos kMembershipInterval = 250 * kMillisecond;
// A learner that lacks no more entries than this has caught up.
constexpr uint64_t kCaughtUpEntries = 100;

EntityChange BrokerChange(const BrokerInfo& broker, ReplicaEpoch epoch, WallTime now) {
  state::BrokerValue value;
  value.set_directory_id(StoredId(broker.directory));
  value.set_client_address(broker.client_address);
  value.set_peer_address(broker.peer_address);
  value.set_metadata_epoch(epoch.value());
  value.set_joined_ms(now.value());
  return {BrokerKey(broker.node), value.SerializeAsString()};
}

}  // namespace

bool Controller::registered() const {
  const auto known = view_.FindBroker(options_.self.node);
  return alone() || (known && known->directory == options_.directory);
}

ReplicaEpoch Controller::EpochOf(NodeId node) const {
  const auto at = fold_.metadata_epochs().find(node);
  if (at != fold_.metadata_epochs().end()) return at->second;
  return node == options_.self.node ? metadata_.self().epoch : ReplicaEpoch(1);
}

std::vector<NodeId> Controller::BrokersForReplicas(size_t wanted) const {
  std::vector<NodeId> all, live;
  for (const BrokerInfo& broker : view_.brokers()) all.push_back(broker.node);
  if (std::find(all.begin(), all.end(), options_.self.node) == all.end()) {
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
  Propose({BrokerChange(self, metadata_.self().epoch, clock_.Wall())}, [](absl::Status) {});
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
  const auto known = view_.FindBroker(broker.node);
  const bool same = known && known->directory == broker.directory;
  if (known && !same && (view_.IsLive(broker.node) || broker.node == options_.self.node))
    return done(MakeError(Reason::FOREIGN_DIRECTORY, "node ", broker.node,
                          " is a broker that lives, with another data directory"));
  const ReplicaEpoch epoch = same ? EpochOf(broker.node)
                             : fold_.metadata_epochs().contains(broker.node)
                                 ? EpochOf(broker.node) + 1
                                 : ReplicaEpoch(1);
  if (same && *known == broker) return done(epoch);
  const NodeId node = broker.node;
  auto change = BrokerChange(broker, epoch, clock_.Wall());
  joins_.emplace(node, std::pair(std::move(broker), std::move(done)));
  Propose({std::move(change)}, [self = self_, node](absl::Status status) {
    if (status.ok() || *self == nullptr) return;  // answered when the fold has applied it
    auto range = (*self)->joins_.equal_range(node);
    std::vector<JoinDone> failed;
    for (auto at = range.first; at != range.second; ++at)
      failed.push_back(std::move(at->second.second));
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
  const raft::Core& core = metadata_.core();
  if (core.configurations().uncommitted) return;
  std::map<NodeId, ReplicaEpoch> brokers = fold_.metadata_epochs();
  brokers[options_.self.node] = metadata_.self().epoch;
  std::set<ReplicaId> ready = {metadata_.self()};
  for (const auto& [id, follower] : core.followers())
    if (follower.state == raft::ProgressState::kReplicate && view_.IsLive(id.node) &&
        follower.match + kCaughtUpEntries >= core.commit_index())
      ready.insert(id);
  if (const auto next = NextMetadataMembers(core.log().configuration(), brokers, ready))
    metadata_.ProposeConfiguration(*next);
}

}  // namespace varve::server
