#include "server/partition/replica_watch.h"

#include <iterator>

namespace varve::server {
namespace {

// A follower that does not answer for so long is behind, whatever it had: 3 s of ticks.
constexpr uint64_t kSilentTicks = 60;

}  // namespace

bool ReplicaWatch::Look(const raft::Core& core, MonoTime now) {
  const auto& followers = core.followers();
  for (auto at = followers_.begin(); at != followers_.end();)
    at = followers.contains(at->first) ? std::next(at) : followers_.erase(at);
  bool behind = false;
  for (const auto& [id, progress] : followers) {
    Seen& seen = followers_.try_emplace(id, Seen{core.commit_index(), std::nullopt}).first->second;
    const bool current = progress.state == raft::ProgressState::kReplicate &&
                         progress.match >= seen.target && progress.ticks_silent < kSilentTicks;
    if (current) {
      seen = {core.commit_index(), std::nullopt};
    } else if (!seen.behind_since) {
      seen.behind_since = now;
    }
    behind = behind || !current || progress.match < core.commit_index();
  }
  return behind;
}

std::optional<MonoTime> ReplicaWatch::BehindSince(ReplicaId follower) const {
  const auto at = followers_.find(follower);
  return at == followers_.end() ? std::nullopt : at->second.behind_since;
}

}  // namespace varve::server
