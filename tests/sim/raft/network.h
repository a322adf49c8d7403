// The simulated network: decides for each message when it arrives, and how often. Two lanes for
// each direction of each pair of nodes, as between brokers: one for entries, one for the rest. A
// lane keeps its order unless a message is drawn to be reordered.
#ifndef VARVE_TESTS_SIM_RAFT_NETWORK_H_
#define VARVE_TESTS_SIM_RAFT_NETWORK_H_

#include <array>
#include <vector>

#include "common/random.h"
#include "tests/sim/raft/options.h"
#include "tests/sim/raft/replica.h"

namespace varve::raftsim {

using FaultCounts = std::array<uint64_t, kFaults>;

class Network {
 public:
  static constexpr uint32_t kMaxNodes = 8;

  Network(const SimOptions& options, Random* random, FaultCounts* counts)
      : options_(options), random_(random), counts_(counts) {}

  // Times of arrival of one message, none when it is lost; nodes count from 0.
  [[nodiscard]] std::vector<SimTime> Send(SimTime now, uint32_t from, uint32_t to,
                                          MessageType type);
  void Cut(uint32_t from, uint32_t to) { links_[from][to].cut = true; }
  void BlackHole(uint32_t from, uint32_t to) { links_[from][to].black_hole = true; }
  void Clog(uint32_t from, uint32_t to, SimTime until) { links_[from][to].clogged_until = until; }
  // Ends partitions, clogs and black holes.
  void Heal();
  // From now on nothing is lost, repeated or reordered.
  void Calm() { calm_ = true; }

 private:
  struct Link {
    bool cut = false;
    bool black_hole = false;
    SimTime clogged_until = 0;
    std::array<SimTime, 2> last{};  // arrival of the newest message, by lane
  };
  bool Drawn(Fault fault, uint32_t percent);

  const SimOptions& options_;
  Random* const random_;
  FaultCounts* const counts_;
  bool calm_ = false;
  std::array<std::array<Link, kMaxNodes>, kMaxNodes> links_{};
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_NETWORK_H_
