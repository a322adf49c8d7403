// World: replicas of one group with their disks on a simulated network, in virtual time, under
// faults and load, watched by the checkers after every event.
//
//   RunResult result = World(DrawOptions(seed), factory).Run();
//   EXPECT_EQ(result.violation, "") << result.story;
//
// Phase one makes faults; phase two heals and demands progress, then rest. Equal options and equal
// replicas give equal runs, in every build.
#ifndef VARVE_TESTS_SIM_RAFT_WORLD_H_
#define VARVE_TESTS_SIM_RAFT_WORLD_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "tests/sim/raft/checker.h"
#include "tests/sim/raft/network.h"

namespace varve::raftsim {

using ReplicaFactory =
    std::function<std::unique_ptr<Replica>(ReplicaId self, uint64_t seed, const LogImage& image)>;

struct RunResult {
  std::string violation;  // empty: none
  std::string story;      // the last events, with SimOptions::tell
  uint64_t hash = 0;
  uint64_t steps = 0;
  SimTime simulated = 0;
  uint64_t committed = 0;
  uint64_t committed_after_healing = 0;
  SimTime leaderless = 0;  // from the end of all faults to the first commit
  FaultCounts faults{};
  std::array<uint64_t, kMessageTypes> delivered{};
  std::array<uint64_t, 4> roles{};  // changes to each role
  uint64_t unsynced_lost = 0;       // crashes that lost writes
  uint64_t reads = 0;               // barriers answered with an index
};

class World final : public Disks {
 public:
  World(const SimOptions& options, ReplicaFactory factory);
  RunResult Run();

  [[nodiscard]] const LogImage* DurableOf(ReplicaId replica) const override;

 private:
  RunResult RunPhases();

  enum class Kind : uint8_t {
    kTick,
    kDeliver,
    kDisk,
    kRestart,
    kFault,
    kPropose,
    kOperate,
    kMend,
    kDiskMend
  };
  struct Event {
    SimTime at = 0;
    uint64_t order = 0;
    Kind kind = Kind::kTick;
    uint32_t node = 0;
    uint64_t life = 0;
    std::shared_ptr<const Packet> packet;
    bool operator<(const Event& other) const {
      return std::pair(other.at, other.order) < std::pair(at, order);
    }
  };
  struct Node {
    ReplicaId id;
    std::unique_ptr<Replica> replica;  // null while down
    ReplicaState state;
    LogImage written;
    LogImage durable;
    std::deque<DiskWrite> pending;
    uint64_t life = 0;
    SimTime paused_until = 0;
    SimTime stalled_until = 0;  // the disk
    size_t syncing = 0;         // writes that the sync under way covers
    bool disk_failed = false;
    bool disk_slow = false;
  };

  // world.cc
  void Add(SimTime at, Kind kind, uint32_t node, std::shared_ptr<const Packet> packet = nullptr);
  void RunUntil(SimTime end);
  void Handle(const Event& event);
  void StepNode(Node& node, absl::FunctionRef<void(Replica&)> call);
  void Carry(Node& node, Outbox out);
  void WriteTo(Node& node, DiskWrite write);
  void StartSync(Node& node);
  void FinishSync(Node& node);
  void FinishWrite(Node& node);
  void Start(Node& node);
  void Crash(Node& node);
  void TellOthersOfCrash(const Node& gone);
  void Answer(const Result& result);
  void Judge();
  [[nodiscard]] ReplicaView ViewOf(const Node& node) const;
  [[nodiscard]] uint32_t Number(const Node& node) const {
    return static_cast<uint32_t>(&node - nodes_.data());
  }
  template <class... Pieces>
  void Tell(const Pieces&... pieces) {
    if (options_.tell) AddToStory(StrCat(pieces...));
  }
  void AddToStory(std::string line);
  void Finish();

  // faults.cc
  void MakeFault();
  void MakeNetworkFault(Fault fault, uint32_t node);
  void MakeNodeFault(Fault fault, Node& node);
  void TransferTo(Node& target, SimTime span);
  void MendDisk(Node& node);
  [[nodiscard]] bool MayWipe(const Node& node) const;
  [[nodiscard]] bool Exists(ReplicaId replica) const { return !wiped_.contains(replica); }
  void HealAll();

  // operations.cc
  void ProposeSome();
  void ReadSome();
  void Operate();
  void ChangeMembership(Node& leader, bool repair_only);
  [[nodiscard]] bool Repair(const Configuration& now, Configuration* next) const;
  void DrawChange(Configuration* next);
  [[nodiscard]] Node* Leader();
  [[nodiscard]] bool IsMember(ReplicaId replica);

  const SimOptions options_;
  const ReplicaFactory factory_;
  const std::unique_ptr<Random> random_;
  RunResult result_;
  Network network_;
  Ledger ledger_;
  std::vector<Node> nodes_;
  std::vector<std::unique_ptr<Checker>> checkers_;
  std::priority_queue<Event> events_;
  uint64_t last_order_ = 0;
  SimTime now_ = 0;
  bool healing_ = false;
  std::shared_ptr<const Packet> receiving_;
  std::optional<SimTime> healed_commit_;
  Index committed_before_healing_;
  bool quiet_ = false;  // no load
  bool idle_ = false;   // and long enough for silence
  uint64_t idle_other_ = 0;
  MessageType idle_other_type_ = MessageType::kHeartbeat;
  // What was durable when the disk was wiped: acknowledgements of it may still be under way.
  std::map<ReplicaId, LogImage> wiped_;
  uint64_t last_proposal_ = 0;
  uint64_t last_read_ = 0;
  std::map<uint64_t, std::pair<uint32_t, uint64_t>> unanswered_;  // proposal: node, life
  std::deque<std::string> story_;
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_WORLD_H_
