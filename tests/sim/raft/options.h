// What one simulated run is made of, all of it drawn from its seed: every seed has its own subset
// of faults at its own rates, so that rare combinations come up.
#ifndef VARVE_TESTS_SIM_RAFT_OPTIONS_H_
#define VARVE_TESTS_SIM_RAFT_OPTIONS_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace varve::raftsim {

using SimTime = uint64_t;  // microseconds of virtual time
inline constexpr SimTime kMillis = 1000;
inline constexpr SimTime kSeconds = 1000 * kMillis;

enum class Fault : uint8_t {
  kLoss,        // of single messages
  kDuplicate,   // of single messages
  kReorder,     // of single messages
  kCrash,       // unsynced writes: any prefix survives
  kPause,       // a process stands still; time goes on
  kWipe,        // the disk is new, and with it the replica's epoch
  kIsolate,     // nothing in, nothing out
  kOneWay,      // nothing out
  kRing,        // each node reaches its two neighbours only
  kClog,        // one direction of one pair delivers nothing for a while, then all
  kBlackHole,   // entries of one direction vanish, heartbeats arrive
  kDiskStall,   // writes wait
  kDiskError,   // the disk fails for good; the process restarts later
  kSlowDisk,    // the same, and the replica is told
  kDiskFull,    // no room for data for a while
  kTransfer,    // of leadership
  kMembership,  // voters and learners change
  kTrim,        // of the log's prefix, so that laggards are installed
};
inline constexpr size_t kFaults = 18;
std::string_view NameOf(Fault fault);

struct SimOptions {
  uint64_t seed = 1;
  uint32_t nodes = 5;
  uint32_t voters = 3;  // at first; the other nodes are spare
  std::array<bool, kFaults> on{};
  uint32_t loss_percent = 0;
  uint32_t duplicate_percent = 0;
  uint32_t reorder_percent = 0;
  bool pre_vote = true;
  // Of the replicas: appends under way to one follower, and bytes of one append.
  uint32_t window_appends = 4;
  uint32_t append_bytes = 6'000;
  bool tight = false;  // room for less than one entry uncommitted, or under way to a follower
  SimTime delay = 2 * kMillis;
  SimTime delay_spread = 4 * kMillis;
  SimTime disk = 1 * kMillis;
  SimTime disk_spread = 4 * kMillis;
  SimTime between_faults = kSeconds;
  SimTime between_proposals = 20 * kMillis;
  SimTime fault_span = 20 * kSeconds;
  // No fault begins at or after this event; bisection over it finds the shortest story.
  uint64_t fault_steps = UINT64_MAX;
  bool tell = false;  // keep the story; costs time
};

SimOptions DrawOptions(uint64_t seed);

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_OPTIONS_H_
