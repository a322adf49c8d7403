// Core: the Raft state machine of one replica of one group, without any I/O.
//
// The owner feeds inputs with Step and then takes the effects, in this order: pass Effects::disk to
// the log in order, then look at the rest. A disk operation's completion comes back as the input
// DiskDone. Nothing leaves a replica that depends on bytes that are not durable: votes and append
// acknowledgements wait inside the core for the completion (Ongaro's thesis, section 3.8).
//
// Equal inputs give equal effects: the core has no thread, clock, file, socket, lock or global
// random. Not thread-safe; one shard owns it. docs/raft.md tells the rules.
#ifndef VARVE_RAFT_CORE_CORE_H_
#define VARVE_RAFT_CORE_CORE_H_

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "common/error.h"
#include "common/limits.h"
#include "common/log_state.h"
#include "common/random.h"
#include "raft/core/effects.h"
#include "raft/core/input.h"
#include "raft/core/log_view.h"
#include "raft/core/progress.h"
#include "raft/core/queue.h"
#include "raft/core/recent_entries.h"

namespace varve::raft {

class FingerprintHasher;

struct CoreOptions {
  GroupId group;
  ReplicaId self;
  // Frame bytes of proposals that are not yet answered; the first is always accepted, and
  // so is a configuration.
  size_t max_uncommitted_bytes = 0;
  // Frame bytes of one disk operation that gathers several entries; a larger entry travels alone.
  size_t max_write_bytes = limits::kMaxCommitBytes;
  // Frame bytes of one append; a larger entry travels alone.
  size_t max_append_bytes = 256 << 10;
  // Appends and their frame bytes under way to one follower.
  uint32_t window_appends = 256;
  size_t window_bytes = 8 << 20;
  // Frame bytes that a leader keeps for followers that keep up.
  size_t max_recent_bytes = 1 << 20;
  // Ticks between heartbeats; of silence before an election, drawn anew each time from
  // [election_ticks, 2 * election_ticks), the first after a start twice that; of silence before a
  // replica no longer holds back the compaction floor.
  uint32_t heartbeat_ticks = 2;
  uint32_t election_ticks = 15;
  uint64_t floor_silence_ticks = 12'000;
  bool pre_vote = true;
  // A leader that hears no majority within an election timeout resigns, and voters that hear a
  // leader do not depose it. The two belong together (raft traps 3 to 6).
  bool check_quorum = true;
  // A replica that starts with a term behind it votes against nobody's leader for one timeout.
  bool start_grace = false;
  // Of the drawn timeouts.
  uint64_t seed = 1;
};

class Core {
 public:
  // A state that contradicts itself (a commit index beyond the end, a last term above the current
  // one) is a broken invariant.
  Core(const CoreOptions& options, const CoreState& state);

  // Takes one input. Never fails: what cannot be done is answered in the effects, and a message
  // that no correct replica sends is named there and otherwise without effect.
  void Step(Input input);
  // Everything that became due since the last call, in order; the core forgets it. Entries appended
  // between two calls share disk operations and appends, up to max_write_bytes and
  // max_append_bytes each.
  [[nodiscard]] Effects TakeEffects();
  // From now on every election timeout takes this many ticks: for scripts and tests.
  void FixElectionTimeout(uint64_t ticks);

  [[nodiscard]] ReplicaId self() const { return options_.self; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term term() const { return hard_state_.term; }
  [[nodiscard]] ReplicaId vote() const { return hard_state_.vote; }
  [[nodiscard]] ReplicaId leader() const { return leader_; }
  [[nodiscard]] Index commit_index() const { return log_.commit_index(); }
  // Exclusive bound of committed offsets.
  [[nodiscard]] Offset high_watermark() const { return log_.high_watermark(); }
  // Last index that is durable on this replica.
  [[nodiscard]] Index durable_index() const { return durable_index_; }
  // What was appended so far, durable or not.
  [[nodiscard]] const LogEnd& end() const { return log_.end(); }
  [[nodiscard]] const LogView& log() const { return log_; }
  [[nodiscard]] bool leadership_confirmed() const { return leadership_ && leadership_->confirmed; }
  [[nodiscard]] const Configurations& configurations() const { return log_.configurations(); }
  // What a replica may compact up to: everybody has folded it durably. Never lowered.
  [[nodiscard]] Index compaction_floor() const { return floor_; }
  // The leader's knowledge of its followers; empty elsewhere.
  [[nodiscard]] const std::map<ReplicaId, Progress>& followers() const;
  [[nodiscard]] size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  [[nodiscard]] size_t pending_proposals() const { return pending_.size(); }
  [[nodiscard]] uint64_t ticks_waited() const { return election_elapsed_; }
  // Ticks since a leader was heard of that gets entries through.
  [[nodiscard]] uint64_t ticks_without_leader() const { return ticks_without_leader_; }
  // Nothing is under way: every follower has everything and knows that it is committed, or this
  // follower has a leader and nothing to learn. The owner may stop ticking it and vouch for it
  // beside the group (PeerAlive) until something happens.
  [[nodiscard]] bool quiet() const;
  // Whether a Tick would change anything; else the owner needs no timer.
  [[nodiscard]] bool needs_tick() const;
  // Hash of all state, of the generator of timeouts what it drew; equal cores have equal
  // fingerprints in every build.
  [[nodiscard]] uint64_t fingerprint() const;

 private:
  // A proposal in the log that is not answered. An entry of the same index and term may be
  // truncated here and still be committed by others, so only a commit at its index decides.
  struct Pending {
    ProposalId id;
    Offset base_offset;
    WallTime append_time;
    size_t frame_bytes = 0;  // 0: of a leadership that is over
  };
  // A disk operation that is not reported durable.
  struct OutstandingWrite {
    DiskSequence sequence;
    Term term;
    std::optional<Index> last_index;  // of its entries that are still in the log
    bool hard_state = false;
    bool install = false;
    bool done = false;  // reported, but not all before it
  };
  // A message that waits for a disk operation.
  struct Waiting {
    DiskSequence sequence;
    Message message;
  };
  struct PendingRead {
    ReadId id;
    uint64_t context = 0;
    Index index;
  };
  struct Leadership {
    Leadership() {}  // not defaulted: clang 14 takes it for not constructible within Core
    Index barrier;   // first entry of the term
    bool confirmed = false;
    std::map<ReplicaId, Progress> followers;
    uint64_t heartbeat_elapsed = 0;
    uint64_t quorum_elapsed = 0;
    uint64_t ticks_no_commit = 0;  // while entries are uncommitted
    std::optional<ReplicaId> transfer_to;
    uint64_t transfer_elapsed = 0;
    bool timeout_sent = false;
    uint64_t last_read_context = 0;
    bool probes_due = false;
    Queue<PendingRead> reads;
    std::vector<ReadId> early_reads;  // before an own entry is committed
  };

  // core.cc
  void On(const DiskFull& full);
  void On(const LogStartMoved& moved);
  void On(const Folded& folded);
  void On(const PeerTookBytes& took);
  void Send(ReplicaId to, MessageBody body);
  // When everything that the disk was asked for is durable, unless the term has passed by then.
  void SendWhenDurable(ReplicaId to, MessageBody body);
  void Refuse(const Message& message, Refusal why);

  // Transitions; all of them are in role.cc.
  void BecomeFollower(Term term, ReplicaId leader);
  void BecomePreCandidate();
  void BecomeCandidate();
  void BecomeLeader();
  void ReportRole();
  void ForgetLeader();

  // timer.cc
  void On(const Tick& tick);
  void TickLeader(uint64_t n);
  [[nodiscard]] bool LeadershipHasFailed(uint64_t n);
  void DrawElectionTimeout();
  void HearLeader();

  // election.cc
  [[nodiscard]] bool MayCampaign() const;
  void On(const Campaign& campaign);
  void StartElection(bool forced);
  void AskForVotes(bool pre);
  void CountVotes();
  void CountOwnVote();
  [[nodiscard]] bool HasWon() const;
  [[nodiscard]] bool HasLost() const;
  void On(const Message& message, const VoteRequest& request);
  void On(const Message& message, const VoteReply& reply);
  [[nodiscard]] bool HearsLeader() const;
  [[nodiscard]] bool IsUpToDate(const VoteRequest& request) const;
  void AnswerPreVote(const Message& message, const VoteRequest& request);

  // receive.cc
  void On(const Receive& receive);
  [[nodiscard]] bool AdmitMessage(const Message& message);
  // Whether the message is of the present term, which it may have begun.
  [[nodiscard]] bool AdoptTerm(const Message& message);
  void AnswerOldTerm(const Message& message);
  // The progress of the sender, which was just heard of; null when it is no follower.
  [[nodiscard]] Progress* FollowerOf(const Message& message);

  // propose.cc
  void On(Propose propose);
  [[nodiscard]] std::optional<Reason> WhyNotLeading(const Propose& propose) const;
  [[nodiscard]] std::optional<Reason> WhyMalformed(const Propose& propose) const;
  void AnswerProposals(Index through);
  void SetPendingAside();
  void TickPendingAside(uint64_t n);
  void GiveUpOnPending(bool all);

  // membership.cc
  [[nodiscard]] std::optional<Reason> WhyNotNow(const Configuration& next) const;
  void RefreshFollowers(Index next_of_new_ones);
  void OnConfigurationCommitted();
  void LeaveJoint();
  void ResignAfterRemoval();
  [[nodiscard]] bool IsVoter(ReplicaId replica) const;
  [[nodiscard]] bool MayBeNeededToLead() const;

  // replicate.cc
  void SendWhatIsDue();
  void SendAppends(ReplicaId to, Progress& progress);
  void SendAppend(ReplicaId to, Progress& progress, std::vector<Entry> entries);
  [[nodiscard]] bool MustInstall(const Progress& progress) const;
  void On(const Message& message, const AppendReply& reply);
  void OnRejection(const AppendReply& reply, Progress& progress);
  void OnReport(const Message& message, const FollowerReport& report, Progress& progress);
  void On(EntriesLoaded loaded);

  // follow.cc
  void On(const Message& message, const AppendRequest& append);
  [[nodiscard]] std::optional<Refusal> WhyRefused(const Message& message,
                                                  const AppendRequest& append) const;
  void RejectAppend(const Message& message, const AppendRequest& append);
  // How many of the entries the log already has, and up to which it takes them.
  [[nodiscard]] size_t CountKnown(const AppendRequest& append) const;
  [[nodiscard]] size_t CountFitting(const AppendRequest& append, size_t known) const;
  void TakeEntries(const AppendRequest& append, size_t known, size_t until);
  [[nodiscard]] FollowerReport Report() const;
  void Acknowledge();

  // heartbeat.cc
  void On(const HeartbeatNow& now);
  void SendHeartbeats();
  void On(const Message& message, const Heartbeat& heartbeat);
  void On(const Message& message, const HeartbeatReply& reply);
  void On(const PeerAlive& alive);
  void On(const PeerLost& lost);
  [[nodiscard]] uint64_t TicksBehindOthers(ReplicaId lost) const;
  void RaiseFloor();

  // install.cc
  void BeginInstall(ReplicaId to, Progress& progress);
  void OfferInstall(ReplicaId to, Progress& progress);
  void On(const InstallReady& ready);
  void On(const InstallFailed& failed);
  void On(const Message& message, const InstallRequest& request);
  void On(const InstallStaged& staged);
  void On(const Message& message, const InstallReply& reply);
  // Whether the log has all that ends at the point.
  [[nodiscard]] bool HasThrough(const InstallPoint& point) const;

  // read_barrier.cc
  void On(const ReadBarrier& read);
  void BeginRead(ReadId id);
  void SendReadProbes();
  void On(const Message& message, const ReadProbe& probe);
  void On(const Message& message, const ReadProbeReply& reply);
  void FinishReads();

  // transfer.cc
  void On(const Transfer& transfer);
  void ContinueTransfer();
  void On(const Message& message, const TimeoutNow& timeout);
  [[nodiscard]] std::optional<ReplicaId> BestSuccessor() const;

  // disk.cc
  [[nodiscard]] DiskOperation& NewDiskOperation();
  [[nodiscard]] DiskOperation& DiskOperationFor(size_t frame_bytes);
  Index AppendOwn(EntryKind kind, FrameBuffer payload, uint32_t records, WallTime now,
                  std::optional<ProposalId> proposal);
  void WriteEntry(Entry entry, std::optional<Configuration> configuration);
  void TruncateFrom(Index from);
  void WriteHardState();
  [[nodiscard]] bool HardStateIsDurable() const;
  void On(const DiskDone& done);
  void ApplyDurable(const OutstandingWrite& write);
  void ReleaseWaiting(DiskSequence through);
  void On(const DiskFailed& failed);
  void On(const DiskSuspect& suspect);
  void On(const DiskSlow& slow);
  void On(const Stop& stop);
  void Halt(Reason reason);

  // commit.cc
  [[nodiscard]] Index HeldBy(ReplicaId voter) const;
  void AdvanceCommit();
  void CommitThrough(Index index);

  // fingerprint.cc
  void AddLog(FingerprintHasher* hasher) const;
  void AddElection(FingerprintHasher* hasher) const;
  void AddLeadership(FingerprintHasher* hasher) const;

  const CoreOptions options_;
  const std::unique_ptr<Random> random_;
  LogView log_;
  HardState hard_state_;
  Role role_ = Role::kFollower;
  ReplicaId leader_;
  Index durable_index_;
  Index folded_;
  Index floor_;
  // A configuration became committed and no write has told the log yet.
  bool configurations_changed_ = false;

  // Set for good by DiskFailed, DiskSuspect and Stop: why nothing is done any more.
  std::optional<Reason> halted_;
  bool disk_slow_ = false;
  bool disk_full_ = false;

  uint64_t election_elapsed_ = 0;
  uint64_t election_timeout_ = 0;
  std::optional<uint64_t> fixed_timeout_;
  uint64_t ticks_without_leader_ = 0;

  // Candidate and pre-candidate: the answers of this attempt, the own vote when durable.
  std::set<ReplicaId> votes_;
  std::set<ReplicaId> rejections_;
  bool forced_ = false;

  // Follower: how far the log is proven equal to that of the leader of this term.
  Index proven_;
  Index acknowledged_;  // the largest match that was sent to it
  bool acknowledgement_due_ = false;
  std::optional<InstallPoint> staging_;

  std::optional<Leadership> leadership_;
  RecentEntries recent_;

  std::map<std::pair<Index, Term>, Pending> pending_;
  size_t uncommitted_bytes_ = 0;  // of those of this leadership
  size_t pending_aside_ = 0;      // of those of leaderships that are over
  uint64_t ticks_pending_ = 0;    // since the first of those was lost

  Queue<OutstandingWrite> outstanding_;
  Queue<Waiting> waiting_;
  DiskSequence last_sequence_;
  DiskSequence taken_through_;       // operations that the owner has seen
  size_t last_operation_bytes_ = 0;  // frames in effects_.disk.back()
  Effects effects_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_CORE_H_
