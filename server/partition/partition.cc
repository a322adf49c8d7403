#include "server/partition/partition.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "raft/core/quorum.h"
#include "server/defect.h"

namespace varve::server {

Partition::Partition(PartitionOptions options, std::unique_ptr<storage::PartitionLog> log,
                     Executor& shard, const PartitionContext& context)
    : options_(options),
      directory_(context.directory),
      shard_(shard),
      clock_(context.clock),
      clock_watch_(context.clock_watch),
      view_(context.view),
      log_(std::move(log)),
      log_store_(*log_, directory_, shard),
      metrics_(context.metrics),
      peers_(context.peers),
      reports_(context.reports),
      goal_(options.goal),
      policy_(options.policy),
      self_(std::make_shared<Partition*>(this)) {
  raft::CoreOptions core{options_.group, options_.self, limits::kMaxUncommittedBytes};
  core.seed = options_.seed;
  core.start_grace = true;
  start_told_ = log_->start().index;
  leaderless_since_ = role_since_ = clock_.Now();
  if (!log_->suspicion().ok()) suspect_since_ = role_since_;
  if (!log_->damaged_ranges().empty()) damaged_since_ = role_since_;
  raft_ = std::make_unique<raft::Group>(core, log_store_, shard_, clock_watch_.stamp_clock(),
                                        static_cast<raft::GroupListener&>(*this), peers_,
                                        metrics_ == nullptr ? nullptr : &metrics_->groups);
  if (peers_ != nullptr) puller_.emplace(options_.group, options_.self, *peers_, shard_, clock_);
}

Partition::~Partition() {
  Stop();
  *self_ = nullptr;
}

// A suspect replica is given no time: it neither votes nor leads.
void Partition::Start() {
  if (!log_->suspicion().ok()) return TellSuspect();
  raft_->Start();
  RepairDamage();
  if (options_.leads_first && log_->end().last_index == Index{1}) CampaignFirst(30);
}

// The other replicas of a new group may not be there yet.
void Partition::CampaignFirst(int attempts) {
  constexpr Nanos kAgain = 100 * kMillisecond;
  if (stopped_ || attempts == 0 || leader_is_known()) return;
  if (raft_->core().term() <= Term{1} || raft_->core().role() != raft::Role::kFollower)
    raft_->Give(raft::Campaign{});
  first_election_ = shard_.RunAt(clock_.Now() + kAgain, [self = self_, attempts] {
    if (*self != nullptr) (*self)->CampaignFirst(attempts - 1);
  });
}

void Partition::Stop() {
  if (stopped_) return;
  stopped_ = true;
  shard_.Cancel(std::exchange(review_timer_, TimerId{}));
  shard_.Cancel(std::exchange(repair_timer_, TimerId{}));
  shard_.Cancel(std::exchange(members_timer_, TimerId{}));
  shard_.Cancel(std::exchange(first_election_, TimerId{}));
  shard_.Cancel(std::exchange(watch_timer_, TimerId{}));
  if (noted_leader_ == options_.self.node) view_.ForgetLeader(options_.group, noted_leader_);
  if (puller_) puller_->Cancel();
  raft_->Stop();
  const absl::Status unknown = MakeError(
      Reason::OUTCOME_UNKNOWN, "the broker stopped before the batch was known to be committed");
  for (auto& [id, append] : std::exchange(appends_, {})) Reply(std::move(append.done), unknown);
  const absl::Status stopping = MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  for (auto& [id, done] : std::exchange(trims_, {})) ReplyTrim(std::move(done), unknown);
  for (PendingAppend& append : std::exchange(waiting_for_room_, {}))
    Reply(std::move(append.done), stopping);
  for (auto& [id, done] : std::exchange(reads_, {}))
    shard_.Post([done = std::move(done), stopping]() mutable { done(stopping); });
  for (auto& [id, done] : std::exchange(lookups_, {}))
    shard_.Post([done = std::move(done), stopping]() mutable { done(stopping); });
  WakeAllReaders();
  WakeLeaderWaiters();
}

// --- Appends
// --------------------------------------------------------------------------------------

void Partition::Append(FrameBuffer batch, uint32_t records, AppendDone done,
                       std::optional<Term> expected_term) {
  VARVE_CHECK(shard_.InExecutor());
  if (stopped_)
    return Reply(std::move(done), MakeError(Reason::SHUTTING_DOWN, "the broker is stopping"));
  // Before anything else: whoever does not lead has to say who does, however full it is.
  if (out_of_service()) return Reply(std::move(done), view_.NotLeader(options_.group));
  if (absl::Status suspect = log_->suspicion(); !suspect.ok())
    return Reply(std::move(done), std::move(suspect));
  if (raft_->core().role() != raft::Role::kLeader)
    return Reply(std::move(done), view_.NotLeader(options_.group));
  if (absl::Status full = CheckRoom(); !full.ok()) return Reply(std::move(done), std::move(full));
  waiting_for_room_.push_back({std::move(batch), records, std::move(done), expected_term});
  AdmitWaiting();
}

// Proposes what waits, in order, as far as the dirty budget has room.
void Partition::AdmitWaiting() {
  while (!waiting_for_room_.empty()) {
    if (!ReserveDirty(kEntryHeaderBytes + waiting_for_room_.front().batch.payload_bytes())) return;
    PendingAppend append = std::move(waiting_for_room_.front());
    waiting_for_room_.pop_front();
    ProposeBatch(std::move(append));
  }
}

bool Partition::ReserveDirty(size_t bytes) {
  if (room_requested_) return false;
  const bool granted = directory_.TryReserveDirty(bytes, [&shard = shard_, self = self_] {
    // Runs on any thread; the partition is only touched on its shard, which outlives it.
    shard.Post([self] {
      if (*self == nullptr) return;
      (*self)->room_requested_ = false;
      (*self)->AdmitWaiting();
    });
  });
  room_requested_ = !granted;
  return granted;
}

void Partition::ProposeBatch(PendingAppend append) {
  const size_t frame_bytes = kEntryHeaderBytes + append.batch.payload_bytes();
  // As late as can be: a record that repeats an older time would be deleted early.
  if (absl::Status off = clock_watch_.AdmitData();
      !off.ok() && options_.group >= kFirstTopicGroup) {
    directory_.ReturnDirty(frame_bytes);
    return Reply(std::move(append.done), std::move(off));
  }
  BeginSegmentIfFull(frame_bytes);
  bytes_in_segment_ += frame_bytes;
  const raft::ProposalId id = raft_->Propose(std::move(append.batch), EntryKind::kData,
                                             append.records, append.expected_term);
  appends_.emplace(id, ProposedAppend{frame_bytes, clock_.Now(), std::move(append.done)});
}

// The leader alone decides where segments begin, so that they are equal on every replica.
void Partition::BeginSegmentIfFull(uint64_t next_frame_bytes) {
  if (!serving() || bytes_in_segment_ + next_frame_bytes <= policy_.segment_bytes) return;
  // On a full disk the segment goes on: a new file takes more of it.
  if (!directory_.Admit(storage::SpaceClass::kSystem).ok()) return;
  BeginSegment();
}

void Partition::BeginSegment() {
  const Configurations& configurations = log_->configurations();
  const ConfigurationAt& current =
      configurations.uncommitted ? *configurations.uncommitted : configurations.committed;
  const std::string body =
      EncodeMeta(SegmentStart{current.index, current.configuration, log_->epochs(), StateDigest{}});
  roll_ = raft_->Propose(FrameBuffer::Copy(body), EntryKind::kMeta, 0, std::nullopt);
  bytes_in_segment_ = kEntryHeaderBytes + body.size();
}

void Partition::OnProposal(raft::ProposalResult result) {
  if (const auto* accepted = std::get_if<raft::ProposalAccepted>(&result.result)) {
    if (!Planted(Defect::kAcknowledgedWhenAccepted)) return;
    result.result =
        raft::ProposalCommitted{accepted->index, accepted->base_offset, accepted->append_time};
  }
  if (auto trim = trims_.extract(result.id); !trim.empty())
    return FinishTrim(std::move(trim.mapped()), result);
  if (retention_trim_ == result.id) {
    retention_trim_.reset();
    return ArmReview();
  }
  const auto* refused = std::get_if<raft::ProposalRefused>(&result.result);
  // What was refused takes no room in the segment.
  if (refused != nullptr && (!roll_ || roll_ == result.id))
    bytes_in_segment_ = log_->active_segment_bytes();
  if (roll_ == result.id) {
    roll_.reset();
    // Refused, the segment goes on: the next batch, or the timer, asks again.
    return refused == nullptr ? ReviewRetention() : ArmReview();
  }
  const auto at = appends_.find(result.id);
  if (at == appends_.end()) return;  // a segment start that another one followed
  AppendDone done = std::move(at->second.done);
  const size_t dirty_bytes = at->second.dirty_bytes;
  const MonoTime begun = at->second.begun;
  appends_.erase(at);
  if (const auto* committed = std::get_if<raft::ProposalCommitted>(&result.result)) {
    CountCommit(begun);
    return Reply(std::move(done),
                 AppendOutcome{committed->base_offset, committed->append_time, leader_epoch()});
  }
  if (refused != nullptr) {
    // It never reached the log.
    if (!Planted(Defect::kRoomNotReturned)) directory_.ReturnDirty(dirty_bytes);
    if (refused->reason == Reason::NOT_LEADER || refused->reason == Reason::LEADER_UNKNOWN)
      return Reply(std::move(done), view_.NotLeader(options_.group));
    return Reply(std::move(done),
                 MakeError(refused->reason, "partition group ", options_.group,
                           " refused the batch: ", InfoOf(refused->reason).advice));
  }
  if (std::holds_alternative<raft::ProposalLost>(result.result) ||
      Planted(Defect::kUnknownTakenForLost))
    return Reply(std::move(done), MakeError(Reason::PROPOSAL_LOST, "another leader took over"));
  const absl::Status health = directory_.health();
  Reply(std::move(done),
        MakeError(Reason::OUTCOME_UNKNOWN, "the batch may or may not be in the log: ",
                  health.ok() ? "the replica stopped leading" : MessageOf(health)));
}

void Partition::CountCommit(MonoTime begun) {
  if (metrics_ != nullptr) metrics_->commit_latency.Observe(clock_.Now() - begun);
}

void Partition::Reply(AppendDone done, absl::StatusOr<AppendOutcome> outcome) {
  shard_.Post([done = std::move(done), outcome = std::move(outcome)]() mutable {
    done(std::move(outcome));
  });
}

// --- Raft
// -----------------------------------------------------------------------------------------

void Partition::OnCommitted(Index index, Offset high_watermark) {
  ApplyTrims(index);
  if (review_timer_ == TimerId{}) ArmReview();
  ArmWatch();
  WakeReaders();
  OnDurable();
}

// A follower may hear that an entry is committed before its own disk has it.
void Partition::OnDurable() {
  const Index foldable = foldable_index();
  if (foldable <= foldable_told_) return;
  foldable_told_ = foldable;
  if (commit_listener_) commit_listener_(foldable);
}

void Partition::OnRoleChange(const raft::RoleChange& change) {
  const NodeId leader = change.leader.node;
  if (noted_leader_ != NodeId{} && noted_leader_ != leader)
    view_.ForgetLeader(options_.group, noted_leader_);
  noted_leader_ = leader;
  if (leader != NodeId{}) view_.NoteLeader(options_.group, leader, change.term);
  role_since_ = clock_.Now();
  watch_.Clear();
  NoteLeaderKnown();
  ArmWatch();
  if (change.role == raft::Role::kLeader) {
    bytes_in_segment_ = log_->active_segment_bytes();
  } else {
    WakeAllReaders();
    if (leader_is_known()) WakeLeaderWaiters();
  }
}

void Partition::OnLeadershipConfirmed() {
  NoteLeaderKnown();
  WakeAllReaders();
  WakeLeaderWaiters();
  ReviewRetention();
  ReviewMembers();
}

void Partition::WakeLeaderWaiters() {
  for (Task& wake : std::exchange(leader_waiters_, {})) shard_.Post(std::move(wake));
}

bool Partition::leader_is_known() const {
  const ReplicaId leader = raft_->core().leader();
  return leader == options_.self ? serving() : !leader.empty();
}

bool Partition::out_of_service() const {
  return !log_->suspicion().ok() &&
         !raft::IsSoleVoter(raft_->core().log().configuration(), options_.self);
}

absl::Status Partition::WhyNotServing() const {
  if (out_of_service()) return view_.NotLeader(options_.group);
  const ReplicaId leader = raft_->core().leader();
  if (leader.empty() || leader == options_.self)
    return MakeError(Reason::OFFSET_NOT_AVAILABLE,
                     "the partition has no leader yet that has committed in its term");
  return view_.NotLeader(options_.group);
}

bool Partition::serving() const { return !stopped_ && raft_->core().leadership_confirmed(); }
LogBounds Partition::bounds() const {
  const Offset high_watermark =
      Planted(Defect::kReadsUncommitted) ? log_->end().next_offset : raft_->core().high_watermark();
  return {log_->start().offset, high_watermark, high_watermark};
}
Term Partition::leader_epoch() const { return raft_->core().term(); }
// Who asks for the leader of a suspect replica without one is to be told here that it is suspect.
NodeId Partition::leader() const {
  if (out_of_service()) return view_.LeaderOf(options_.group).value_or(ClusterView::Leader{}).node;
  const NodeId known = raft_->core().leader().node;
  return known == NodeId{} && !log_->suspicion().ok() ? options_.self.node : known;
}
Index Partition::commit_index() const { return raft_->core().commit_index(); }
Index Partition::foldable_index() const {
  if (Planted(Defect::kFoldsUndurable)) return commit_index();
  return std::min(commit_index(), log_->durable_index());
}

// --- Reads
// ----------------------------------------------------------------------------------------

absl::Status Partition::CheckReadable(Offset from) const {
  if (stopped_) return MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  const LogBounds now = bounds();
  // A follower may be behind, also about the log start.
  if (out_of_service()) return WhyNotServing();
  if (log_->suspicion().ok() && raft_->core().role() != raft::Role::kLeader) return WhyNotServing();
  if (from < now.log_start)
    return MakeError(Reason::OFFSET_OUT_OF_RANGE, "offset ", from, " is below the log start ",
                     now.log_start);
  // Of a suspect replica nobody knows how far the log went.
  if (!log_->suspicion().ok())
    return from < now.high_watermark ? absl::OkStatus() : log_->suspicion();
  if (!serving() && !Planted(Defect::kReadsBeforeConfirmed)) return WhyNotServing();
  if (from > now.high_watermark)
    return MakeError(Reason::OFFSET_OUT_OF_RANGE, "offset ", from, " is beyond the high watermark ",
                     now.high_watermark);
  return absl::OkStatus();
}

void Partition::Read(Offset from, size_t max_bytes, ReadDone done) {
  VARVE_CHECK(shard_.InExecutor());
  if (absl::Status status = CheckReadable(from); !status.ok()) {
    return shard_.Post(
        [done = std::move(done), status = std::move(status)]() mutable { done(status); });
  }
  if (from == bounds().high_watermark) {
    return shard_.Post([done = std::move(done), out = MakeReadOutcome(from, {})]() mutable {
      done(std::move(out));
    });
  }
  const uint64_t read = ++last_read_;
  reads_.emplace(read, std::move(done));
  const Index last = Planted(Defect::kReadsUncommitted) ? log_->end().last_index : commit_index();
  log_->ReadOffset(from, last, max_bytes,
                   [self = self_, read, from](absl::StatusOr<storage::ReadResult> result) {
                     if (*self != nullptr) (*self)->FinishRead(read, from, std::move(result));
                   });
}

void Partition::FinishRead(uint64_t read, Offset from, absl::StatusOr<storage::ReadResult> result) {
  auto node = reads_.extract(read);
  if (node.empty()) return;
  if (!result.ok()) return node.mapped()(result.status());
  node.mapped()(MakeReadOutcome(from, std::move(result->entries)));
}

ReadOutcome Partition::MakeReadOutcome(Offset from, std::vector<Entry> entries) const {
  ReadOutcome out;
  out.next_offset = from;
  for (Entry& entry : entries) {
    // Zero-width entries take no offsets: what follows them is at the same next offset.
    if (entry.header.kind != EntryKind::kData || entry.header.next_offset() <= from) continue;
    out.next_offset = entry.header.next_offset();
    out.entries.push_back(std::move(entry));
  }
  out.bounds = bounds();
  out.leader_epoch = leader_epoch();
  return out;
}

void Partition::FindAppendTime(WallTime time, TimeDone done) {
  if (absl::Status status = CheckReadable(bounds().log_start); !status.ok()) {
    return shard_.Post(
        [done = std::move(done), status = std::move(status)]() mutable { done(status); });
  }
  const uint64_t lookup = ++last_read_;
  lookups_.emplace(lookup, std::move(done));
  log_->FindAppendTime(time, commit_index(), [self = self_, lookup](auto result) {
    if (*self != nullptr) (*self)->FinishLookup(lookup, std::move(result));
  });
}

void Partition::FinishLookup(uint64_t lookup,
                             absl::StatusOr<std::optional<storage::TimeLookup>> result) {
  auto node = lookups_.extract(lookup);
  if (!node.empty()) node.mapped()(std::move(result));
}

void Partition::ReadCommitted(Index from, size_t max_bytes, storage::PartitionLog::ReadDone done) {
  log_->Read(from, foldable_index(), max_bytes, std::move(done));
}

// --- Waiting
// --------------------------------------------------------------------------------------

Partition::WaiterId Partition::AwaitAbove(Offset offset, Task wake) {
  const WaiterId id = next_waiter_++;
  if (stopped_ || (serving() && bounds().high_watermark > offset)) {
    shard_.Post(std::move(wake));
    return id;
  }
  readers_.emplace(std::pair(offset, id), std::move(wake));
  reader_offsets_.emplace(id, offset);
  return id;
}

void Partition::CancelWait(WaiterId waiter) {
  const auto at = reader_offsets_.find(waiter);
  if (at == reader_offsets_.end()) return;
  readers_.erase({at->second, waiter});
  reader_offsets_.erase(at);
}

void Partition::WakeReaders() {
  if (!serving()) return;
  const Offset high_watermark = bounds().high_watermark;
  while (!readers_.empty() && readers_.begin()->first.first < high_watermark) {
    auto node = readers_.extract(readers_.begin());
    reader_offsets_.erase(node.key().second);
    shard_.Post(std::move(node.mapped()));
  }
}

void Partition::WakeAllReaders() {
  reader_offsets_.clear();
  for (auto& [key, wake] : std::exchange(readers_, {})) shard_.Post(std::move(wake));
}

void Partition::AwaitLeader(Task wake) {
  if (stopped_ || leader_is_known() || !log_->suspicion().ok()) return shard_.Post(std::move(wake));
  leader_waiters_.push_back(std::move(wake));
}

void Partition::SetCommitListener(absl::AnyInvocable<void(Index)> listener) {
  commit_listener_ = std::move(listener);
}

}  // namespace varve::server
