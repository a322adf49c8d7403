// Group: drives one Raft core: gives it time, proposals and messages, passes its effects to the
// log, to the other replicas and to a listener. docs/raft.md, "The driver".
#ifndef VARVE_RAFT_GROUP_H_
#define VARVE_RAFT_GROUP_H_

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/executor.h"
#include "raft/core/core.h"
#include "raft/log_store.h"
#include "raft/shell/group_peers.h"
#include "raft/shell/group_watch.h"

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
  // More of this replica's log is durable; it may be what was known to be committed before.
  virtual void OnDurable() = 0;
  // The leader has committed an entry of its own term and may serve; once per leadership.
  virtual void OnLeadershipConfirmed() = 0;
  // At most one Accepted per proposal, and exactly one final result, in the order of the log.
  virtual void OnProposal(ProposalResult result) = 0;
  // A follower needs what is not in the log any more: files are to be made ready, then
  // InstallReady or InstallFailed given to the group.
  virtual void OnPrepareInstall(const PrepareInstall& prepare) = 0;
  // The leader offers files: they are to be fetched and staged in the log, then InstallStaged or
  // InstallFailed given to the group. The latest one counts.
  virtual void OnStageInstall(const StageInstall& stage) = 0;
  // A message that no correct replica sends.
  virtual void OnRefusedMessage(const RefusedMessage& refused) = 0;
};

// Confined to one shard. What one step brings about is delivered in this order: writes to the log,
// messages, role, commit, confirmation, results.
//
// Proposals of one task of the shard are gathered: the first posts a flush, which hands all of them
// to the core, so that a burst becomes one write of the log. The price is one hop through the
// shard's queue.
//
// A group in which nothing happens falls asleep: it needs no timer and sends nothing, and the
// heartbeats of the leader's node vouch for it (docs/peer_protocol.md, "Silent groups").
class Group {
 public:
  // Reads the log's state; everything passed must outlive the group. Without `peers` it reaches no
  // other replica; without `metrics` nothing is counted.
  Group(CoreOptions options, LogStore& log, Executor& shard, const Clock& clock,
        GroupListener& listener, GroupPeers* peers = nullptr, GroupMetrics* metrics = nullptr);
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
  // Messages to this replica, in the order in which they came.
  void Receive(std::vector<Message> messages);
  void Hear(const PeerNews& news);
  // Anything else that happens to the replica but read barriers: news of the disk, installs.
  void Give(Input input);
  // Answers what is pending, from within the call: Unknown for what the core had accepted, refused
  // with SHUTTING_DOWN what it had not seen. Afterwards the listener is never called again, and
  // completions of the log are ignored. Idempotent.
  void Stop();

  [[nodiscard]] const Core& core() const { return core_; }
  // Whether it runs without a timer, because nothing happens.
  [[nodiscard]] bool asleep() const { return asleep_; }

 private:
  void PostFlush();
  void Flush();
  void Step(Input input);
  void Deliver(Effects effects);
  void DeliverResults();
  void WriteToLog(DiskOperation operation);
  void OnWritten(DiskSequence sequence, Term term, const absl::Status& status);
  void Load(const LoadEntries& load);
  void ArmTickTimer();
  void OnTick();
  void TellLeadership();
  void FallAsleepIfQuiet();
  void Wake();
  // The replica on `node` that leads, or follows, this one; empty: none.
  [[nodiscard]] ReplicaId ReplicaOn(NodeId node) const;

  LogStore& log_;
  Executor& shard_;
  const Clock& clock_;
  GroupListener& listener_;
  GroupPeers* const peers_;
  const GroupId group_;
  Core core_;
  GroupWatch watch_;

  ProposalId last_proposal_;
  std::vector<Input> inputs_;           // for the next flush
  std::deque<ProposalResult> results_;  // for the listener
  bool flush_posted_ = false;
  bool delivering_ = false;
  bool started_ = false;
  bool stopped_ = false;
  bool ticked_ = false;
  // Silence: ticks in which nothing was under way; whether the others were asked to believe it.
  uint32_t quiet_ticks_ = 0;
  bool asleep_ = false;
  std::optional<Leadership> told_;  // what the node was told of this leadership
  // The node whose process was lost last, and until when what it sent before is not listened to.
  NodeId lost_node_;
  MonoTime deaf_until_;
  std::optional<PeerNews> vouched_;  // who leads, as its node says with every heartbeat
  TimerId tick_timer_;               // 0: none
  // Posted tasks and completions of the log hold it weakly: gone when the group is.
  std::shared_ptr<Group*> self_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_GROUP_H_
