// Partition: one replica of one partition at work: its Raft group, its log, and those who wait for
// either.
#ifndef VARVE_SERVER_PARTITION_PARTITION_H_
#define VARVE_SERVER_PARTITION_PARTITION_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/executor.h"
#include "raft/group.h"
#include "server/metadata/cluster_view.h"
#include "server/partition/clock_watch.h"
#include "server/partition/log_puller.h"
#include "server/partition/log_store_adapter.h"
#include "server/partition/partition_metrics.h"
#include "server/partition/replica_reports.h"
#include "server/partition/replica_watch.h"
#include "server/service/messages.h"
#include "server/service/status_messages.h"
#include "storage/data_directory.h"

namespace varve::server {

// What the leader of a partition does about its segments, from the topic's settings.
struct LogPolicy {
  uint64_t segment_bytes = 0;  // a new segment begins when the active one has reached it
  // -1: no limit. Times are ages by append time, in ms.
  int64_t segment_ms = -1;
  int64_t retention_ms = -1;
  int64_t retention_bytes = -1;  // whole segments go while so much stays
  bool operator==(const LogPolicy&) const = default;
};

// Where the replicas of a partition are to be, as the metadata says. Its leader brings the group
// there.
struct ReplicaGoal {
  std::vector<ReplicaId> replicas;  // empty: the group is not moved from here
  bool report_reached = false;      // the controller waits for it
  bool operator==(const ReplicaGoal&) const = default;
};

struct PartitionOptions {
  GroupId group;
  ReplicaId self;
  LogPolicy policy;
  ReplicaGoal goal;
  uint64_t seed = 1;  // of election timeouts; another one on each node
  // This replica is to lead the new group first: it does not wait for an election timeout.
  bool leads_first = false;
};

// What a partition reaches beyond its own log; all of it outlives it.
struct PartitionContext {
  storage::DataDirectory& directory;
  const Clock& clock;
  ClockWatch& clock_watch;
  ClusterView& view;
  raft::GroupPeers* peers = nullptr;    // null: no other node can be reached
  PartitionMetrics* metrics = nullptr;  // of its shard; null: nothing is counted
  ReplicaReports* reports = nullptr;    // null: nobody listens
};

struct AppendOutcome {
  Offset base_offset;
  WallTime append_time;
  Term leader_epoch;
};

struct ReadOutcome {
  std::vector<Entry>
      entries;  // committed Data entries; the first may begin before the offset asked for
  Offset next_offset;
  LogBounds bounds;
  Term leader_epoch;
};

// Confined to its shard; callbacks run there, never from within the call.
//
// Appends are committed in the order of the calls; an append is answered OK only when it is durable
// on a majority. Readers see committed entries only. After Stop every waiting call is answered
// (appends: OUTCOME_UNKNOWN) and later ones get SHUTTING_DOWN.
class Partition final : private raft::GroupListener {
 public:
  using AppendDone = absl::AnyInvocable<void(absl::StatusOr<AppendOutcome>)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<ReadOutcome>)>;
  using TimeDone = absl::AnyInvocable<void(absl::StatusOr<std::optional<storage::TimeLookup>>)>;
  using TrimDone = absl::AnyInvocable<void(absl::StatusOr<Offset>)>;
  using WaiterId = uint64_t;

  Partition(PartitionOptions options, std::unique_ptr<storage::PartitionLog> log, Executor& shard,
            const PartitionContext& context);
  ~Partition() override;

  // Joins the group: a single voter elects itself.
  void Start();
  // What comes from other nodes for this replica.
  void Receive(std::vector<raft::Message> messages);
  void ReceivePiece(raft::PieceMessage piece);
  void Hear(const raft::PeerNews& news);
  // The disk stalls, or is full, or is not any more.
  void SetDiskSlow(bool slow);
  // Full: asked again while it lasts, so that the lead goes where there is room.
  void SetDiskFull(bool full);
  // Lets another replica lead, if this one does and there is one that can.
  void HandOver();
  // The directory lost what it had acknowledged: no vote, no acknowledgement from here on.
  void MakeSuspect();
  // Damage was found: closed segments that hold it are fetched from another replica.
  void RepairDamage();
  void Stop();

  // Proposes one validated batch of `records` records. NOT_LEADER and LEADER_UNKNOWN when another
  // replica leads, OVERLOADED when too much is uncommitted.
  // CLOCK_OFF while this broker's clock is.
  // With `expected_term` it is appended in that term or not at all.
  void Append(FrameBuffer batch, uint32_t records, AppendDone done,
              std::optional<Term> expected_term = std::nullopt);
  // Proposes a change of the members, in this term; what becomes of it shows in core().
  void ProposeConfiguration(const Configuration& next);
  // Takes effect at once where this replica leads, else when it does.
  void SetGoal(ReplicaGoal goal);
  [[nodiscard]] const ReplicaGoal& goal() const { return goal_; }
  // Hands leadership to the replica on the node: NOT_LEADER, or OVERLOADED when that one cannot
  // take over at once. Succeeds or is given up within an election timeout.
  absl::Status TransferTo(NodeId node);
  // Whether it leads though another voter is live and could.
  [[nodiscard]] bool has_successor() const;
  // Whether this replica would lead: OVERLOADED says why not.
  [[nodiscard]] absl::Status WouldLead() const;
  // While the broker drains, its replicas hand leadership over and do not campaign.
  void SetDraining(bool draining);

  // Committed Data entries from `from` on, at most `max_bytes` but at least one; none at the high
  // watermark. OFFSET_OUT_OF_RANGE below the log start or above the high watermark of a confirmed
  // leader, OFFSET_NOT_AVAILABLE before leadership is confirmed.
  void Read(Offset from, size_t max_bytes, ReadDone done);
  // First committed record appended at or after `time`.
  void FindAppendTime(WallTime time, TimeDone done);

  // Moves the log start up to `before`, or to the high watermark; `done` gets the log start, which
  // may lie above. A Trim entry decides it. OFFSET_OUT_OF_RANGE beyond the high watermark;
  // NOT_LEADER and the like as Append.
  void TrimTo(std::optional<Offset> before, TrimDone done);
  // Takes effect with the next decision.
  void SetPolicy(const LogPolicy& policy);
  // Rolls and trims what is due by now, if this replica leads.
  void ReviewRetention();

  // Calls `wake` once: when the high watermark is above `offset`, or serving state changed (then
  // ask again).
  WaiterId AwaitAbove(Offset offset, Task wake);
  void CancelWait(WaiterId waiter);
  // Calls `wake` once when a leader is known, and, if that is this replica, when its leadership is
  // confirmed (at once, posted, if it is already).
  void AwaitLeader(Task wake);
  // Why this replica does not serve: NOT_LEADER with the leader's address, or OFFSET_NOT_AVAILABLE
  // while there is no leader, or one that is not confirmed.
  [[nodiscard]] absl::Status WhyNotServing() const;

  // Called after every advance of the foldable index, with it; at most one listener.
  void SetCommitListener(absl::AnyInvocable<void(Index)> listener);
  // Last index that folds may apply: committed, and durable in this replica's own journal.
  [[nodiscard]] Index foldable_index() const;
  [[nodiscard]] const storage::PartitionLog& log() const { return *log_; }
  // Entries [from, foldable index], for folds; as PartitionLog::Read.
  void ReadCommitted(Index from, size_t max_bytes, storage::PartitionLog::ReadDone done);

  [[nodiscard]] GroupId group() const { return options_.group; }
  [[nodiscard]] bool serving() const;
  // REPLICA_SUSPECT when the log is: it serves what is committed and verifies, and nothing else.
  [[nodiscard]] absl::Status suspicion() const { return log_->suspicion(); }
  // It is, and there are other voters: whoever asks is sent to them.
  [[nodiscard]] bool out_of_service() const;
  [[nodiscard]] LogBounds bounds() const;
  [[nodiscard]] Term leader_epoch() const;
  [[nodiscard]] NodeId leader() const;
  [[nodiscard]] uint64_t size_bytes() const { return log_->size_bytes(); }
  [[nodiscard]] Index commit_index() const;
  [[nodiscard]] const raft::Core& core() const { return raft_->core(); }
  [[nodiscard]] bool asleep() const { return raft_->asleep(); }
  [[nodiscard]] ReplicaId self() const { return options_.self; }
  // Messages that no correct replica sends.
  [[nodiscard]] uint64_t refused_messages() const { return refused_messages_; }
  [[nodiscard]] Executor& shard() { return shard_; }
  // All but the topic's name and number. `placed`: where the metadata wants replicas; members alone
  // count when it is empty.
  [[nodiscard]] PartitionStatus Describe(const std::vector<ReplicaId>& placed);
  // Whether it leads and fewer voters are in sync than there are.
  [[nodiscard]] bool UnderReplicated() const;
  // What is wrong or stuck about this replica, and, if it leads, about the others.
  void AddConditions(std::vector<Condition>* out);

 private:
  struct PendingAppend {
    FrameBuffer batch;
    uint32_t records;
    AppendDone done;
    std::optional<Term> expected_term;
  };
  void OnCommitted(Index index, Offset high_watermark) override;
  void OnProposal(raft::ProposalResult result) override;
  void OnRoleChange(const raft::RoleChange& change) override;
  void OnDurable() override;
  void OnLeadershipConfirmed() override;
  void OnPrepareInstall(const raft::PrepareInstall& prepare) override;
  void OnStageInstall(const raft::StageInstall& stage) override;
  void OnRefusedMessage(const raft::RefusedMessage& refused) override;
  void CountCommit(MonoTime begun);

  // partition_room.cc
  [[nodiscard]] storage::SpaceClass space_class() const;
  void LeadWhereRoomIs();
  absl::Status CheckRoom();
  // partition_members.cc
  void ReviewMembers();
  void ArmMembersReview();
  void TellSuspect();
  [[nodiscard]] bool KeepsUp(const raft::Progress& follower) const;
  [[nodiscard]] std::set<ReplicaId> ReadyReplicas() const;
  // partition_install.cc
  [[nodiscard]] std::optional<raft::InstallPoint> MakeInstallPoint(Index at_least) const;
  void ServePiece(const raft::PieceRequest& request);
  void FinishRepair(absl::StatusOr<std::unique_ptr<storage::StagedLog>> staged);
  void ArmRepair();
  [[nodiscard]] ReplicaId RepairSource();
  [[nodiscard]] bool leader_is_known() const;
  void WakeLeaderWaiters();
  void CampaignFirst(int attempts);
  void AdmitWaiting();
  bool ReserveDirty(size_t bytes);
  void ProposeBatch(PendingAppend append);
  void BeginSegmentIfFull(uint64_t next_frame_bytes);
  void BeginSegment();
  // partition_status.cc
  void ArmWatch();
  void NoteLeaderKnown();
  [[nodiscard]] ReplicaStatus DescribeMember(ReplicaId member, Membership as) const;
  [[nodiscard]] std::vector<ReplicaStatus> DescribeMembers(
      const std::vector<ReplicaId>& placed) const;
  [[nodiscard]] uint64_t BytesAbove(Index match) const;
  [[nodiscard]] std::optional<MonoTime> LeaderlessSince() const;
  [[nodiscard]] std::string WhyLeaderless() const;
  [[nodiscard]] std::optional<MonoTime> NotCurrentSince(ReplicaId follower) const;
  void AddReplicationConditions(MonoTime now, std::vector<Condition>* out);
  // partition_trim.cc
  raft::ProposalId ProposeTrim(Offset log_start);
  void ApplyTrims(Index committed);
  void FinishTrim(TrimDone done, const raft::ProposalResult& result);
  void ReplyTrim(TrimDone done, absl::StatusOr<Offset> outcome);
  [[nodiscard]] Offset RetainedFrom(WallTime now) const;
  [[nodiscard]] bool RollIsDue(WallTime now) const;
  [[nodiscard]] std::optional<WallTime> NextReview() const;
  void ArmReview();
  void Reply(AppendDone done, absl::StatusOr<AppendOutcome> outcome);
  void FinishRead(uint64_t read, Offset from, absl::StatusOr<storage::ReadResult> result);
  void FinishLookup(uint64_t lookup, absl::StatusOr<std::optional<storage::TimeLookup>> result);
  void WakeReaders();
  void WakeAllReaders();
  absl::Status CheckReadable(Offset from) const;
  ReadOutcome MakeReadOutcome(Offset from, std::vector<Entry> entries) const;

  const PartitionOptions options_;
  storage::DataDirectory& directory_;
  Executor& shard_;
  const Clock& clock_;
  ClockWatch& clock_watch_;
  ClusterView& view_;
  std::unique_ptr<storage::PartitionLog> log_;
  LogStoreAdapter log_store_;
  PartitionMetrics* const metrics_;
  std::unique_ptr<raft::Group> raft_;
  raft::GroupPeers* const peers_;
  ReplicaReports* const reports_;
  ReplicaGoal goal_;
  TimerId members_timer_;
  Nanos members_wait_ = 0;
  bool disk_slow_ = false;
  bool draining_ = false;
  std::optional<LogPuller> puller_;  // with peers
  TimerId repair_timer_;
  uint64_t repair_attempts_ = 0;
  uint32_t pieces_being_read_ = 0;
  uint64_t refused_messages_ = 0;
  Index start_told_;  // log start that the core knows
  bool stopped_ = false;

  std::deque<PendingAppend> waiting_for_room_;  // for the dirty budget, in order
  bool room_requested_ = false;
  struct ProposedAppend {
    size_t dirty_bytes;  // reserved; the log gives them back once the entry is in a segment
    MonoTime begun;
    AppendDone done;
  };
  std::map<raft::ProposalId, ProposedAppend> appends_;
  LogPolicy policy_;
  bool ages_count_ = true;         // false while deletion by age is paused
  uint64_t bytes_in_segment_ = 0;  // of the active segment, proposals included
  std::map<raft::ProposalId, TrimDone> trims_;
  std::optional<raft::ProposalId> roll_;            // a segment start under way
  std::optional<raft::ProposalId> retention_trim_;  // a trim by retention under way
  TimerId review_timer_;                            // 0: nothing will be due

  // Under way in the log, which drops them when it is destroyed: Stop answers what is left.
  std::map<uint64_t, ReadDone> reads_;
  std::map<uint64_t, TimeDone> lookups_;
  uint64_t last_read_ = 0;
  std::map<std::pair<Offset, WaiterId>, Task> readers_;
  std::map<WaiterId, Offset> reader_offsets_;
  WaiterId next_waiter_ = 1;
  std::vector<Task> leader_waiters_;
  NodeId noted_leader_;  // in the view
  TimerId first_election_;
  // Since when, for those who ask what is stuck.
  std::optional<MonoTime> leaderless_since_;
  std::optional<MonoTime> suspect_since_;
  std::optional<MonoTime> damaged_since_;
  MonoTime role_since_;
  ReplicaWatch watch_;   // while it leads
  TimerId watch_timer_;  // 0: every follower is up to date
  absl::AnyInvocable<void(Index)> commit_listener_;
  Index foldable_told_;
  // Guards posted tasks against a partition that is gone.
  std::shared_ptr<Partition*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_PARTITION_H_
