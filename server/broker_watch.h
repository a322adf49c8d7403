// BrokerWatch: what is wrong about a broker as a whole, and since when.
#ifndef VARVE_SERVER_BROKER_WATCH_H_
#define VARVE_SERVER_BROKER_WATCH_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "raft/shell/peer_hub.h"
#include "server/service/status_messages.h"

namespace varve::server {

// What can be seen of a broker at one moment.
struct BrokerSight {
  absl::Status health;  // of the data directory
  absl::Status room;    // whether records are admitted
  bool disk_slow = false;
  std::string clock_off;       // why this broker's clock is off; empty: it is not
  std::string deletion_pause;  // why deletion by age is paused; empty: it is not
  std::string not_joined;      // why it is no member of the metadata group; empty: it is
  std::vector<raft::PeerState> peers;
};

// Thread-safe. Remembers when each condition was first seen: whoever wants exact ages looks often
// (the process does so each second). What was seen once and is gone at the next look has ended.
class BrokerWatch {
 public:
  // A broker that is silent for no longer is not reported: it may just be starting.
  static constexpr Nanos kSilencePatience = 2 * kSecond;

  BrokerWatch(NodeId self, const Clock& clock);

  std::vector<Condition> Look(const BrokerSight& sight);
  [[nodiscard]] MonoTime started() const { return started_; }

 private:
  using Key = std::pair<ConditionCode, NodeId>;
  [[nodiscard]] std::vector<Condition> Judge(const BrokerSight& sight, MonoTime now) const;

  const NodeId self_;
  const Clock& clock_;
  const MonoTime started_;
  std::mutex mutex_;
  std::map<Key, MonoTime> since_;
};

// What the answering broker's clock is off the median of the live ones by; none of fewer than
// three.
std::optional<int64_t> ClockOffMs(const std::vector<raft::PeerState>& peers);

}  // namespace varve::server

#endif  // VARVE_SERVER_BROKER_WATCH_H_
