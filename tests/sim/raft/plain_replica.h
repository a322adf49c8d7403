// PlainReplica: Raft as paper and thesis tell it, as short as it can be, to prove the simulator:
// that its faults reach every rule, and that its checkers see each rule broken. Not a replica
// that anything but this directory runs; raft/core is varve's.
//
// A defect chosen at run time removes one guard. Only this class reads the choice.
#ifndef VARVE_TESTS_SIM_RAFT_PLAIN_REPLICA_H_
#define VARVE_TESTS_SIM_RAFT_PLAIN_REPLICA_H_

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "common/random.h"
#include "tests/sim/raft/replica.h"

namespace varve::raftsim {

enum class Defect : uint8_t {
  kNone,
  kVoteNotPersisted,
  kVoteWithoutLogCheck,
  kVoteTwice,
  kOwnVoteBeforeDurable,
  kPreVoteResetsTimer,
  kAcknowledgedBeforeDurable,
  kOldTermCommittedByCount,
  kTruncationOnAnyAppend,
  kPreviousNotChecked,
  kCompletionWithoutTerm,
  kCommitBeyondProven,
  kCommitGoesBack,
  kLeaderCountsUndurable,
  kConfigurationNotReverted,
  kLearnerCounted,
  kJointByOneSide,
  kSecondConfiguration,
  kReplicaEpochIgnored,
  kBarrierByOldReplies,
  kBarrierBeforeConfirmed,
  kInstallReplacesNewer,
  kFailedDiskAcknowledges,
  kUncommittedLeak,
  kResultForgotten,
  kWindowNeverReopens,
};
inline constexpr size_t kDefects = 26;
std::string_view NameOf(Defect defect);
std::optional<Defect> DefectNamed(std::string_view name);

// How often each guard was asked, planted or not.
using DefectSites = std::array<uint64_t, kDefects>;

struct PlainReplicaOptions {
  ReplicaId self;
  uint64_t seed = 1;
  uint32_t election_ticks = 10;  // and up to as many more
  uint32_t heartbeat_ticks = 1;
  uint32_t window = 4;       // appends under way per follower
  uint32_t max_append = 64;  // entries of one append
  Defect defect = Defect::kNone;
  DefectSites* sites = nullptr;
};

class PlainReplica final : public Replica {
 public:
  // All of `image` is durable.
  PlainReplica(const PlainReplicaOptions& options, const LogImage& image);

  void Tick() override;
  void Receive(const Packet& packet) override;
  void Propose(uint64_t proposal) override;
  void ProposeConfiguration(uint64_t proposal, const Configuration& configuration) override;
  void Transfer(ReplicaId target) override;
  void ReadBarrier(uint64_t read) override;
  void DiskDone(uint64_t sequence, Term term) override;
  void DiskFailed() override;
  void Trim(Index first) override;
  [[nodiscard]] Outbox TakeEffects() override;
  [[nodiscard]] ReplicaState state() const override;

 private:
  struct Progress {
    Index match;
    Index next;
    uint32_t inflight = 0;
    bool probing = false;  // one append at a time, until one matches
    bool installing = false;
    bool heard = false;  // since the last check of the quorum
    uint32_t quiet = 0;  // heartbeat replies since the last news of entries
    uint64_t context = 0;
  };
  struct Outstanding {
    uint64_t sequence = 0;
    Term term;
    Index last;  // of its entries that are still in the log; 0 for none
    bool own_vote = false;
    std::vector<Packet> after;
  };
  struct Read {
    uint64_t id = 0;
    uint64_t context = 0;
    Index index;
  };

  bool Planted(Defect defect) {
    if (options_.sites != nullptr) ++(*options_.sites)[static_cast<size_t>(defect)];
    return options_.defect == defect;
  }

  // plain_replica.cc
  [[nodiscard]] Packet Make(MessageType type, ReplicaId to) const;
  void Send(Packet packet) { out_.messages.push_back(std::move(packet)); }
  DiskWrite& NewWrite();
  void SendWhenDurable(Packet packet);
  void WriteHardState();
  void TruncateFrom(Index from);
  void RefreshConfiguration();
  void Commit(Index index);
  [[nodiscard]] bool IsVoter(ReplicaId replica) const;
  [[nodiscard]] std::vector<ReplicaId> Others(bool learners) const;

  // plain_election.cc
  void ResetTimer();
  void BecomeFollower(Term term, ReplicaId leader);
  void Campaign(bool pre_vote, bool forced);
  void CountVotes();
  void BecomeLeader();
  void OnVoteRequest(const Packet& packet);
  void OnVoteReply(const Packet& packet);
  [[nodiscard]] bool UpToDate(const Packet& packet) const;
  void CheckQuorum();

  // plain_replication.cc
  void AppendOwn(SimEntry entry);
  [[nodiscard]] bool MayPropose(uint64_t proposal);
  [[nodiscard]] bool HeldByMajority(Index index);
  void LeaveJoint();
  void RefreshProgress();
  void Reopen(ReplicaId to, Progress& progress);
  void ReplyToStale(const Packet& packet);
  void SendAppend(ReplicaId to, Progress& progress);
  void SendHeartbeats();
  void Broadcast();
  void AdvanceCommit();
  void OnAppend(const Packet& packet);
  void OnAppendReply(const Packet& packet);
  void OnHeartbeat(const Packet& packet);
  void OnHeartbeatReply(const Packet& packet);
  void OnInstall(const Packet& packet);
  void OnInstallReply(const Packet& packet);
  void OnReadProbe(const Packet& packet);
  void SendReadProbes();
  void OnReadProbeReply(const Packet& packet);
  void FinishReads();
  void ContinueTransfer();

  const PlainReplicaOptions options_;
  const std::unique_ptr<Random> random_;
  LogImage log_;
  SimConfigurationAt configuration_;
  std::vector<SimConfigurationAt> configurations_;  // of the log, oldest first, base first
  Index durable_;
  Index commit_;
  Role role_ = Role::kFollower;
  ReplicaId leader_;
  bool failed_ = false;
  uint32_t elapsed_ = 0;
  uint32_t timeout_ = 0;
  uint32_t since_leader_ = 1000;  // ticks
  uint32_t heartbeat_elapsed_ = 0;
  std::set<ReplicaId> votes_;
  bool forced_ = false;

  std::map<ReplicaId, Progress> progress_;
  bool confirmed_ = false;
  ReplicaId transfer_;
  uint32_t transfer_elapsed_ = 0;
  uint64_t last_context_ = 0;
  std::vector<Read> reads_;
  std::map<Index, uint64_t> pending_;  // proposals of this leadership
  uint64_t uncommitted_ = 0;

  std::deque<Outstanding> outstanding_;
  uint64_t last_sequence_ = 0;
  Outbox out_;
};

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_PLAIN_REPLICA_H_
