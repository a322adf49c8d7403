// Core: the Raft state machine of one replica of one group, without any I/O.
//
// The owner feeds inputs with Step and then takes the effects, in this order: pass Effects::disk to
// the log in order, then look at the rest. A disk operation's completion comes back as the input
// DiskDone. Nothing leaves a replica that depends on bytes that are not durable: votes and append
// acknowledgements wait inside the core for the completion (Ongaro's thesis, section 3.8).
//
// Equal inputs give equal effects: the core has no thread, clock, file, socket, lock or global
// random. Not thread-safe; one shard owns it. Present scope: a group of one voter (docs/raft.md).
#ifndef VARVE_RAFT_CORE_CORE_H_
#define VARVE_RAFT_CORE_CORE_H_

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "common/error.h"
#include "common/limits.h"
#include "common/log_state.h"
#include "raft/core/effects.h"
#include "raft/core/input.h"

namespace varve::raft {

struct CoreOptions {
  GroupId group;
  ReplicaId self;
  // Frame bytes of proposals that are not yet committed; the first is always accepted.
  size_t max_uncommitted_bytes = 0;
  // Frame bytes of one disk operation that gathers several entries; a larger entry travels alone.
  size_t max_write_bytes = limits::kMaxCommitBytes;
};

// What the log held when the replica started; all of it is durable.
struct CoreState {
  HardState hard_state;
  LogStart start;
  LogEnd end;
  Index commit_index;
  Configurations configurations;
};

class Core {
 public:
  // A state that contradicts itself (a commit index beyond the end, a last term above the current
  // one) is a broken invariant.
  Core(CoreOptions options, CoreState state);

  // Takes one input. Never fails: what cannot be done is answered in the effects.
  void Step(Input input);
  // Everything that became due since the last call, in order; the core forgets it. Entries appended
  // between two calls share disk operations, up to max_write_bytes each.
  [[nodiscard]] Effects TakeEffects();

  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] Term term() const { return hard_state_.term; }
  [[nodiscard]] ReplicaId vote() const { return hard_state_.vote; }
  [[nodiscard]] ReplicaId leader() const { return leader_; }
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  // Exclusive bound of committed offsets. After a start with uncommitted entries in the log it is
  // the log start until the first commit of this run: only what this run appended has a known
  // offset here, and a leader serves nothing before its barrier is committed anyway.
  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  // Last index that is durable on this replica.
  [[nodiscard]] Index durable_index() const { return durable_index_; }
  // What was appended so far, durable or not.
  [[nodiscard]] const LogEnd& end() const { return end_; }
  [[nodiscard]] bool leadership_confirmed() const { return confirmed_; }
  [[nodiscard]] const Configurations& configurations() const { return configurations_; }
  // Whether a Tick would change anything; else the owner needs no timer.
  [[nodiscard]] bool needs_tick() const { return MayCampaign(); }
  // Hash of all state; equal cores have equal fingerprints in every build.
  [[nodiscard]] uint64_t fingerprint() const;

 private:
  // An entry appended in this run and not yet committed. Their number is bounded by
  // max_uncommitted_bytes / kEntryHeaderBytes and a few.
  struct UncommittedEntry {
    Index index;
    Offset base_offset;
    Offset next_offset;
    WallTime append_time;
    size_t frame_bytes = 0;
    std::optional<ProposalId> proposal;  // none for the barrier
  };
  // A disk operation that the owner has taken and not yet reported.
  struct OutstandingWrite {
    DiskSequence sequence;
    Term term;
    std::optional<Index> last_index;  // of its entries
    bool hard_state = false;
    bool done = false;  // reported, but not all before it
  };

  // Transitions; all of them are in role.cc.
  void BecomeCandidate();
  void BecomeLeader();
  void BecomeFollower();
  void ReportRole();

  // election.cc
  [[nodiscard]] bool MayCampaign() const;
  void On(const Tick& tick);
  void CountOwnVote();

  // propose.cc
  void On(Propose propose);
  [[nodiscard]] std::optional<Reason> WhyNotLeading(const Propose& propose) const;
  [[nodiscard]] std::optional<Reason> WhyMalformed(const Propose& propose) const;
  [[nodiscard]] std::optional<Reason> WhyNotNow(const Configuration& configuration) const;

  // disk.cc
  [[nodiscard]] DiskOperation& NewDiskOperation();
  [[nodiscard]] DiskOperation& DiskOperationFor(size_t frame_bytes);
  Index Append(EntryKind kind, FrameBuffer payload, uint32_t records, WallTime now,
               std::optional<ProposalId> proposal);
  void WriteHardState();
  void On(const DiskDone& done);
  void ApplyDurable(const OutstandingWrite& write);
  void Halt(Reason reason);

  // commit.cc
  [[nodiscard]] const Configuration& ActiveConfiguration() const;
  void AdvanceCommit();
  void CommitThrough(Index index);

  const CoreOptions options_;
  Role role_ = Role::kFollower;
  HardState hard_state_;
  ReplicaId leader_;
  LogEnd end_;
  Index commit_index_;
  Offset high_watermark_;
  Index durable_index_;
  Configurations configurations_;
  // A configuration became committed and no write has told the log yet.
  bool configurations_changed_ = false;
  // Set for good by DiskFailed and Stop: why nothing is done any more.
  std::optional<Reason> halted_;

  // Candidate: durable votes of this term.
  std::set<ReplicaId> votes_;

  // Leader.
  std::map<ReplicaId, Index> durable_;  // per voter; a voter that is absent has nothing
  Index barrier_index_;  // first entry of this term; those from it on are of this term
  bool confirmed_ = false;

  std::deque<UncommittedEntry> uncommitted_;
  size_t uncommitted_bytes_ = 0;  // of proposals
  std::deque<OutstandingWrite> outstanding_;
  DiskSequence last_sequence_;
  size_t last_operation_bytes_ = 0;  // frames in effects_.disk.back()
  Effects effects_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_CORE_H_
