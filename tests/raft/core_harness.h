// A core under test with a disk that completes only when told.
#ifndef VARVE_TESTS_RAFT_CORE_HARNESS_H_
#define VARVE_TESTS_RAFT_CORE_HARNESS_H_

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/core/core.h"

namespace varve::raft {

inline constexpr GroupId kGroup{70'000};
inline constexpr ReplicaId kSelf{NodeId{1}, ReplicaEpoch{1}};
inline constexpr ReplicaId kPeer{NodeId{2}, ReplicaEpoch{1}};
inline constexpr ReplicaId kOther{NodeId{3}, ReplicaEpoch{1}};

// A record batch of `records` records whose values have `value_bytes` each.
FrameBuffer Batch(uint32_t records = 1, size_t value_bytes = 8);
Configuration Voters(std::vector<ReplicaId> voters);
// What a replica of a fresh group of `voters` finds: the bootstrap entry at index 1, committed.
CoreState FreshState(std::vector<ReplicaId> voters = {kSelf});
// What a log is after this entry.
void AppendTo(const EntryHeader& entry, CoreState* state);
// A log that ends like this and whose entries are all of one term and have one record each, the
// last `uncommitted` of which are not known to be committed.
CoreState StateWithEnd(const LogEnd& end, uint64_t uncommitted = 0);
// "accepted 2", "committed 2", "unknown", "refused OVERLOADED"
std::string Describe(const ProposalResult& result);

class CoreHarness {
 public:
  explicit CoreHarness(CoreState state = FreshState(), size_t max_uncommitted_bytes = 1 << 20,
                       size_t max_write_bytes = 1 << 20);

  // Steps and takes the effects; writes join the end of `disk`.
  Effects Step(Input input);
  Effects Take();
  // Completes the oldest write, or all there are, those of the completions included.
  Effects CompleteOne();
  void CompleteAll();
  // Ticks and completes until the replica leads and has committed its barrier.
  void Lead();

  // A proposal with the next id; give it to Step of the core or the harness.
  Propose Data(uint32_t records = 1, size_t value_bytes = 8);
  Propose Config(const Configuration& configuration);

  Core core;
  std::deque<DiskOperation> disk;  // taken, not completed
  std::vector<std::string> log;    // results as "id: description", in order
  WallTime now{1'000};

 private:
  uint64_t next_id_ = 1;
};

}  // namespace varve::raft

#endif  // VARVE_TESTS_RAFT_CORE_HARNESS_H_
