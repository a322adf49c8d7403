// Group: drives one Raft core: gives it time and proposals, passes its effects to the log and to a
// listener. docs/raft.md, "The driver".
#ifndef VARVE_RAFT_GROUP_H_
#define VARVE_RAFT_GROUP_H_

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "raft/core/core.h"
#include "raft/log_store.h"

namespace varve::raft {

// Called on the shard, never from within Start or Propose; Stop alone answers from within. When a
// method runs, Group::core() already shows the new state. It may call Propose and Stop, but not
// destroy the group.
class GroupListener {
 public:
  virtual ~GroupListener() = default;
  virtual void OnRoleChange(const RoleChange& change) = 0;
  // The commit index moved to `index`, and with it the exclusive bound of committed offsets.
  virtual void OnCommitted(Index index, Offset high_watermark) = 0;
  // The leader has committed an entry of its own term and may serve; once per leadership.
  virtual void OnLeadershipConfirmed() = 0;
  // At most one Accepted per proposal, and exactly one final result, in the order of the log.
  virtual void OnProposal(ProposalResult result) = 0;
};

// Confined to one shard. What one step brings about is delivered in this order: writes to the log,
// role, commit, confirmation, results. There is no transport yet: messages to other replicas are
// dropped, so that a group which needs them waits for ever.
//
// Proposals of one task of the shard are gathered: the first posts a flush, which hands all of them
// to the core, so that a burst becomes one write of the log. The price is one hop through the
// shard's queue.
class Group {
 public:
  // Reads the log's state; everything passed must outlive the group.
  Group(CoreOptions options, LogStore& log, Executor& shard, const Clock& clock,
        GroupListener& listener);
  // On the shard. Without callbacks: what is pending is answered by Stop only.
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Lets time pass for the core from now on. A sole voter's first tick is due at once.
  void Start();
  // Proposes one entry, stamped with the clock's wall time. The results arrive at the listener
  // under the returned id. After Stop nothing arrives.
  ProposalId Propose(FrameBuffer payload, EntryKind kind, uint32_t records,
                     std::optional<Term> expected_term);
  // Answers what is pending, from within the call: Unknown for what the core had accepted, refused
  // with SHUTTING_DOWN what it had not seen. Afterwards the listener is never called again, and
  // completions of the log are ignored. Idempotent.
  void Stop();

  [[nodiscard]] const Core& core() const { return core_; }

 private:
  void PostFlush();
  void Flush();
  void Deliver(Effects effects);
  void DeliverResults();
  void WriteToLog(DiskOperation operation);
  void OnWritten(DiskSequence sequence, Term term, const absl::Status& status);
  void ArmTickTimer();

  LogStore& log_;
  Executor& shard_;
  const Clock& clock_;
  GroupListener& listener_;
  Core core_;

  ProposalId last_proposal_;
  std::vector<Input> inputs_;           // for the next flush
  std::deque<ProposalResult> results_;  // for the listener
  bool flush_posted_ = false;
  bool delivering_ = false;
  bool started_ = false;
  bool stopped_ = false;
  bool ticked_ = false;
  TimerId tick_timer_;  // 0: none
  // Posted tasks and completions of the log hold it weakly: gone when the group is.
  std::shared_ptr<Group*> self_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_GROUP_H_
