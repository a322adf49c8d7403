// ReplicaWatch: since when each follower of a leader has been behind.
#ifndef VARVE_SERVER_PARTITION_REPLICA_WATCH_H_
#define VARVE_SERVER_PARTITION_REPLICA_WATCH_H_

#include <map>
#include <optional>

#include "common/clock.h"
#include "raft/core/core.h"

namespace varve::server {

// Looks at a leader's followers from time to time. A follower is up to date when it has what was
// committed at the look before, so that one that keeps up under load never counts as behind.
// Confined to the partition's shard.
class ReplicaWatch {
 public:
  static constexpr Nanos kInterval = kSecond;

  // False when every follower is up to date: nobody needs to look until something happens.
  bool Look(const raft::Core& core, MonoTime now);
  // When it was last up to date, or first seen; none while it is.
  [[nodiscard]] std::optional<MonoTime> BehindSince(ReplicaId follower) const;
  void Clear() { followers_.clear(); }

 private:
  struct Seen {
    Index target;  // what it has to have by the next look
    std::optional<MonoTime> behind_since;
  };
  std::map<ReplicaId, Seen> followers_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_REPLICA_WATCH_H_
