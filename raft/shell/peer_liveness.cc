// PeerHub: which nodes live, which groups their heartbeats vouch for, and who is told when that
// ends.
#include <algorithm>
#include <utility>

#include "raft/shell/peer_hub.h"
#include "raft/shell/shell_defect.h"

namespace varve::raft {

void PeerHub::ArmHeartbeat() {
  timer_ = home_.RunAt(clock_.Now() + options_.heartbeat_interval, [self = self_] {
    if (*self != nullptr) (*self)->Beat();
  });
}

void PeerHub::Beat() {
  WatchShards();
  CheckSilence();
  for (auto& [node, peer] : peers_) {
    peer.heartbeat_due = true;
    Flush(node, peer, Lane::kControl);
  }
  ArmHeartbeat();
}

void PeerHub::OnHeartbeat(NodeId from, const NodeHeartbeat& heartbeat) {
  const auto at = peers_.find(from);
  if (at == peers_.end()) return;
  Peer& peer = at->second;
  if (heartbeat.newest.process_epoch < peer.view.known().process_epoch) {
    if (peer.live) return;      // of a process that is gone
    ForgetProcess(from, peer);  // its disk was wiped: processes are counted anew
  }
  const TableVersion before = peer.view.known();
  ++stats_.heartbeats_in;
  peer.last_heard = clock_.Now();
  peer.clock_ahead_ms = heartbeat.clock - clock_.Wall();
  if (heartbeat.newest.process_epoch > before.process_epoch &&
      !Planted(ShellDefect::kRestartUnnoticed)) {
    // Started anew: it forgot what was not durable, and follows nobody yet.
    WakeGroupsOf(from, peer);
    peer.acked = 0;
  }
  TellChanges(from, peer.view.Apply(heartbeat));
  const bool of_this_process = heartbeat.known.process_epoch == options_.process_epoch;
  const uint64_t acked =
      of_this_process ? std::min(heartbeat.known.generation, table_.newest()) : 0;
  const bool news = std::exchange(peer.acked, acked) != acked;
  if (!peer.live) SetLive(from, peer, true);
  if (news) OnAcknowledged();
  listener_.OnHeartbeat(from, heartbeat);
}

void PeerHub::TellChanges(NodeId node, const LedView::Changes& changes) {
  if (changes.led.empty() && changes.not_led.empty()) return;
  std::vector<PeerNews> news;
  news.reserve(changes.led.size() + changes.not_led.size());
  for (const LedGroup& led : changes.led)
    news.push_back({led.quiet ? PeerNews::Kind::kVouched : PeerNews::Kind::kUnvouched, led.group,
                    node, led.term});
  for (const GroupId group : changes.not_led)
    news.push_back({PeerNews::Kind::kUnvouched, group, node, Term{}});
  router_.Tell(std::move(news));
  listener_.OnLed(node, changes);
}

void PeerHub::OnAcknowledged() {
  for (auto at = untold_.begin(); at != untold_.end();) {
    const GroupId group = *at++;  // telling takes it out
    TellWhoKnows(group, led_.at(group));
  }
  uint64_t all = table_.newest();
  for (const auto& [node, peer] : peers_) all = std::min(all, peer.acked);
  table_.ForgetRemovedThrough(all);
}

void PeerHub::TellWhoKnows(GroupId group, OwnGroup& own) {
  if (!own.leadership.quiet || OnStalledShard(group)) return;
  for (const NodeId node : own.leadership.followers) {
    const auto peer = peers_.find(node);
    if (peer == peers_.end() || !peer->second.live || peer->second.acked < own.generation) return;
  }
  untold_.erase(group);
  router_.Tell({{PeerNews::Kind::kAllKnow, group, NodeId{}, own.leadership.term}});
}

void PeerHub::CheckSilence() {
  for (auto& [node, peer] : peers_)
    if (peer.live && clock_.Now() - *peer.last_heard > options_.silence) SetLive(node, peer, false);
}

void PeerHub::SetLive(NodeId node, Peer& peer, bool live) {
  if (std::exchange(peer.live, live) == live) return;
  if (live) {
    // What it vouched for before it fell silent holds again.
    std::vector<PeerNews> news;
    for (const auto& [group, led] : peer.view.groups())
      if (led.quiet) news.push_back({PeerNews::Kind::kVouched, group, node, led.term});
    if (!news.empty()) router_.Tell(std::move(news));
    OnAcknowledged();
  } else {
    WakeGroupsOf(node, peer);
  }
  listener_.OnLiveness(node, live);
}

// Once for each change of a node's state, not for each heartbeat.
void PeerHub::WakeGroupsOf(NodeId node, const Peer& peer) {
  std::vector<PeerNews> news;
  for (const auto& [group, led] : peer.view.groups())
    if (led.quiet) news.push_back({PeerNews::Kind::kUnvouched, group, node, led.term});
  for (auto& [group, own] : led_) {
    const auto& followers = own.leadership.followers;
    if (std::find(followers.begin(), followers.end(), node) == followers.end()) continue;
    if (own.leadership.quiet) untold_.insert(group);
    news.push_back({PeerNews::Kind::kSilent, group, node, own.leadership.term});
  }
  if (!news.empty()) router_.Tell(std::move(news));
}

// The replicas of a group are told at the same time everywhere, and the core has them campaign one
// after another. All groups are told: whom a node led last, its table may not have said yet.
void PeerHub::OnProcessGone(NodeId node, Peer& peer) {
  SetLive(node, peer, false);
  router_.TellLost(node);
  ForgetProcess(node, peer);
}

// Whatever is heard next is another process.
void PeerHub::ForgetProcess(NodeId node, Peer& peer) {
  TellChanges(node, peer.view.Clear());
  peer.view = LedView();
}

// --- Own groups
// -----------------------------------------------------------------------------------

void PeerHub::SetLeadership(GroupId group, std::optional<Leadership> leadership) {
  Post([this, group, leadership = std::move(leadership)]() mutable {
    ApplyLeadership(group, std::move(leadership));
  });
}

void PeerHub::Ask(GroupId group) {
  Post([this, group] {
    for (const auto& [node, peer] : peers_) {
      const auto row = peer.view.groups().find(group);
      if (!peer.live || row == peer.view.groups().end() || !row->second.quiet) continue;
      router_.Tell({{PeerNews::Kind::kVouched, group, node, row->second.term}});
    }
  });
}

void PeerHub::ApplyLeadership(GroupId group, std::optional<Leadership> leadership) {
  untold_.erase(group);
  if (!leadership) {
    led_.erase(group);
    table_.Remove(group);
    return;
  }
  OwnGroup& own = led_[group];
  own.leadership = *std::move(leadership);
  PublishRow(group, own);
  if (!own.leadership.quiet) return;
  untold_.insert(group);
  TellWhoKnows(group, own);
}

void PeerHub::PublishRow(GroupId group, OwnGroup& own) {
  table_.Set({group, own.leadership.term, own.leadership.quiet && !OnStalledShard(group)});
  own.generation = table_.GenerationOf(group);
}

// --- Shards
// ---------------------------------------------------------------------------------------

bool PeerHub::OnStalledShard(GroupId group) const {
  return watches_[group.value() % watches_.size()].stalled;
}

// A group is vouched for only while its shard runs: a leader that hangs must be found out.
void PeerHub::WatchShards() {
  const MonoTime now = clock_.Now();
  for (size_t i = 0; i < shards_.size(); ++i) {
    ShardWatch& watch = watches_[i];
    if (!watch.answered) {
      if (!watch.stalled && now - watch.asked > options_.shard_silence) SetShardStalled(i, true);
      continue;
    }
    watch.answered = false;
    watch.asked = now;
    shards_[i]->Post([self = self_, &home = home_, i] {
      home.Post([self, i] {
        if (*self == nullptr) return;
        (*self)->watches_[i].answered = true;
        if ((*self)->watches_[i].stalled) (*self)->SetShardStalled(i, false);
      });
    });
  }
}

void PeerHub::SetShardStalled(size_t shard, bool stalled) {
  watches_[shard].stalled = stalled;
  for (auto& [group, own] : led_) {
    if (group.value() % watches_.size() != shard || !own.leadership.quiet) continue;
    PublishRow(group, own);
    if (!stalled) untold_.insert(group);
  }
}

}  // namespace varve::raft
