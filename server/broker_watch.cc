#include "server/broker_watch.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve::server {

BrokerWatch::BrokerWatch(NodeId self, const Clock& clock)
    : self_(self), clock_(clock), started_(clock.Now()) {
  // Nobody is a member from the beginning; the first look says when that ended.
  since_[{ConditionCode::kNotJoined, self}] = started_;
}

std::optional<int64_t> ClockOffMs(const std::vector<raft::PeerState>& peers) {
  std::vector<int64_t> ahead = {0};
  for (const raft::PeerState& peer : peers)
    if (peer.live) ahead.push_back(peer.clock_ahead_ms);
  if (ahead.size() < 3) return std::nullopt;
  std::sort(ahead.begin(), ahead.end());
  const size_t middle = ahead.size() / 2;
  const int64_t median =
      ahead.size() % 2 == 1 ? ahead[middle] : (ahead[middle - 1] + ahead[middle]) / 2;
  return -median;
}

// With the age of what is known by itself; the rest is 0.
std::vector<Condition> BrokerWatch::Judge(const BrokerSight& sight, MonoTime now) const {
  std::vector<Condition> out;
  const auto add = [&](ConditionCode code, std::string cause) {
    out.push_back({code, 0, std::move(cause), self_, GroupId{}});
  };
  if (!sight.health.ok()) add(ConditionCode::kDiskFailed, std::string(MessageOf(sight.health)));
  if (!sight.room.ok() && sight.health.ok())
    add(ConditionCode::kDiskFull, std::string(MessageOf(sight.room)));
  if (sight.disk_slow)
    add(ConditionCode::kDiskSlow, "a write or sync of the journal does not come back");
  if (!sight.not_joined.empty()) add(ConditionCode::kNotJoined, sight.not_joined);
  if (!sight.clock_off.empty()) add(ConditionCode::kClockOff, sight.clock_off);
  if (!sight.deletion_pause.empty()) add(ConditionCode::kDeletionPaused, sight.deletion_pause);
  for (const raft::PeerState& peer : sight.peers) {
    if (peer.live) continue;
    const Nanos silent = now - std::max(started_, peer.last_heard.value_or(started_));
    if (silent <= kSilencePatience) continue;
    out.push_back(
        {ConditionCode::kBrokerUnreachable, silent,
         StrCat("node ", self_,
                peer.last_heard ? " hears nothing of node " : " has never heard node ", peer.node),
         peer.node, GroupId{}});
  }
  return out;
}

std::vector<Condition> BrokerWatch::Look(const BrokerSight& sight) {
  const MonoTime now = clock_.Now();
  std::vector<Condition> out = Judge(sight, now);
  std::lock_guard lock(mutex_);
  std::map<Key, MonoTime> still;
  for (Condition& condition : out) {
    const Key key{condition.code, condition.node};
    const auto known = since_.find(key);
    const MonoTime since = known == since_.end() ? now : known->second;
    still[key] = since;
    if (condition.age == 0) condition.age = now - since;
  }
  since_ = std::move(still);
  return out;
}

}  // namespace varve::server
