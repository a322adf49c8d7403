#include "server/metadata/cluster_view.h"

#include <mutex>

#include "common/error.h"
#include "common/error_detail.h"

namespace varve::server {

void ClusterView::PutBroker(const BrokerInfo& broker) {
  std::lock_guard lock(mutex_);
  brokers_[broker.node] = broker;
}

void ClusterView::RemoveBroker(NodeId node) {
  std::lock_guard lock(mutex_);
  brokers_.erase(node);
  leaving_.erase(node);
}

void ClusterView::ClearBrokers() {
  std::lock_guard lock(mutex_);
  brokers_.clear();
  leaving_.clear();
}

std::vector<BrokerInfo> ClusterView::brokers() const {
  std::shared_lock lock(mutex_);
  std::vector<BrokerInfo> out;
  out.reserve(brokers_.size());
  for (const auto& [node, broker] : brokers_) out.push_back(broker);
  return out;
}

std::optional<BrokerInfo> ClusterView::FindBroker(NodeId node) const {
  std::shared_lock lock(mutex_);
  const auto at = brokers_.find(node);
  if (at == brokers_.end()) return std::nullopt;
  return at->second;
}

void ClusterView::SetLeaving(NodeId node, std::optional<NodeId> replacement) {
  std::lock_guard lock(mutex_);
  if (replacement) {
    leaving_[node] = *replacement;
  } else {
    leaving_.erase(node);
  }
}

std::optional<NodeId> ClusterView::LeavingFor(NodeId node) const {
  std::shared_lock lock(mutex_);
  const auto at = leaving_.find(node);
  if (at == leaving_.end()) return std::nullopt;
  return at->second;
}

void ClusterView::NoteLeader(GroupId group, NodeId node, Term term) {
  std::lock_guard lock(mutex_);
  const auto [at, fresh] = leaders_.try_emplace(group, Leader{node, term});
  if (fresh || (term > at->second.term && node != at->second.node)) ++changes_;
  if (!fresh && term > at->second.term) at->second = {node, term};
}

void ClusterView::ForgetLeader(GroupId group, NodeId node) {
  std::lock_guard lock(mutex_);
  const auto at = leaders_.find(group);
  if (at != leaders_.end() && at->second.node == node) leaders_.erase(at);
}

std::optional<ClusterView::Leader> ClusterView::LeaderOf(GroupId group) const {
  std::shared_lock lock(mutex_);
  const auto at = leaders_.find(group);
  if (at == leaders_.end()) return std::nullopt;
  return at->second;
}

std::map<NodeId, uint64_t> ClusterView::LeaderCounts() const {
  std::shared_lock lock(mutex_);
  std::map<NodeId, uint64_t> out;
  for (const auto& [group, leader] : leaders_)
    if (group >= kFirstTopicGroup) ++out[leader.node];
  return out;
}

void ClusterView::SetLive(NodeId node, bool live, MonoTime now) {
  std::lock_guard lock(mutex_);
  const bool changed = live ? live_.insert(node).second : live_.erase(node) > 0;
  if (!changed) return;
  ++changes_;
  if (live) {
    lost_since_.erase(node);
  } else {
    lost_since_[node] = now;
  }
}

uint64_t ClusterView::changes() const {
  std::shared_lock lock(mutex_);
  return changes_;
}

std::optional<MonoTime> ClusterView::LostSince(NodeId node) const {
  std::shared_lock lock(mutex_);
  const auto at = lost_since_.find(node);
  if (at == lost_since_.end()) return std::nullopt;
  return at->second;
}

bool ClusterView::IsLive(NodeId node) const {
  std::shared_lock lock(mutex_);
  return live_.contains(node);
}

absl::Status ClusterView::NotLeader(GroupId group) const {
  std::shared_lock lock(mutex_);
  const auto at = leaders_.find(group);
  if (at == leaders_.end())
    return MakeError(Reason::LEADER_UNKNOWN, "partition group ", group,
                     " has no leader that is known here");
  absl::Status status =
      MakeError(Reason::NOT_LEADER, "partition group ", group, " is led by node ", at->second.node);
  SetErrorDetail("leader_node", StrCat(at->second.node), &status);
  const auto broker = brokers_.find(at->second.node);
  if (broker != brokers_.end())
    SetErrorDetail("leader_address", broker->second.client_address, &status);
  return status;
}

}  // namespace varve::server
