#include "raft/shell/led_table.h"

#include <algorithm>

namespace varve::raft {

void LedTable::Change(GroupId group, const LedGroup& led, bool is_led) {
  Row& row = groups_[group];
  by_generation_.erase(row.generation);
  removed_.erase(row.generation);
  row = {led, is_led, ++newest_};
  by_generation_.emplace(newest_, group);
  if (!is_led) removed_.emplace(newest_, group);
}

void LedTable::Set(const LedGroup& led) {
  const auto at = groups_.find(led.group);
  if (at != groups_.end() && at->second.is_led && at->second.led == led) return;
  Change(led.group, led, true);
}

void LedTable::Remove(GroupId group) {
  const auto at = groups_.find(group);
  if (at == groups_.end() || !at->second.is_led) return;
  Change(group, at->second.led, false);
}

uint64_t LedTable::GenerationOf(GroupId group) const {
  const auto at = groups_.find(group);
  return at == groups_.end() ? 0 : at->second.generation;
}

void LedTable::WriteChanges(uint64_t known, NodeHeartbeat* heartbeat) const {
  if (known > newest_) known = 0;  // of another table
  heartbeat->base = known;
  heartbeat->through = newest_;
  size_t count = 0;
  for (auto at = by_generation_.upper_bound(known); at != by_generation_.end(); ++at) {
    if (++count > kMaxHeartbeatGroups) {
      heartbeat->through = at->first - 1;
      break;
    }
    const Row& row = groups_.at(at->second);
    if (row.is_led) {
      heartbeat->led.push_back(row.led);
    } else {
      heartbeat->not_led.push_back(at->second);
    }
  }
  std::sort(heartbeat->led.begin(), heartbeat->led.end(),
            [](const LedGroup& a, const LedGroup& b) { return a.group < b.group; });
  std::sort(heartbeat->not_led.begin(), heartbeat->not_led.end());
}

void LedTable::ForgetRemovedThrough(uint64_t generation) {
  while (!removed_.empty() && removed_.begin()->first <= generation) {
    by_generation_.erase(removed_.begin()->first);
    groups_.erase(removed_.begin()->second);
    removed_.erase(removed_.begin());
  }
}

LedView::Changes LedView::Apply(const NodeHeartbeat& heartbeat) {
  Changes out;
  if (heartbeat.newest.process_epoch < known_.process_epoch) return out;
  if (heartbeat.newest.process_epoch > known_.process_epoch) {
    out = Clear();
    known_ = {heartbeat.newest.process_epoch, 0};
  }
  // A table that begins anew replaces what is known, also of the same process.
  const bool anew = heartbeat.base == 0 && heartbeat.through > 0;
  if (heartbeat.base != known_.generation && !anew) return out;
  if (anew && known_.generation > 0) {
    if (heartbeat.through <= known_.generation) return out;  // late
    std::map<GroupId, LedGroup> before = std::move(groups_);
    groups_.clear();
    for (const LedGroup& led : heartbeat.led) before.erase(led.group);
    for (const auto& [group, led] : before) out.not_led.push_back(group);
  }
  for (const LedGroup& led : heartbeat.led) {
    groups_[led.group] = led;
    out.led.push_back(led);
  }
  for (const GroupId group : heartbeat.not_led)
    if (groups_.erase(group) > 0) out.not_led.push_back(group);
  known_.generation = heartbeat.through;
  return out;
}

LedView::Changes LedView::Clear() {
  Changes out;
  out.not_led.reserve(groups_.size());
  for (const auto& [group, led] : groups_) out.not_led.push_back(group);
  groups_.clear();
  known_.generation = 0;
  return out;
}

}  // namespace varve::raft
