#include "storage/journal_writer.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/defect.h"
#include "storage/format/replica_record.h"

namespace varve::storage {
namespace {

// What a commit needs in its file: itself, and the seal that may follow and repeats its list.
uint64_t RoomFor(size_t groups, size_t preceding, size_t frame_bytes) {
  return CommitBytes(groups, preceding, frame_bytes) + CommitBytes(0, groups, 0);
}

struct BatchShape {
  std::vector<GroupFrame> groups;
  size_t frame_bytes = 0;
};

BatchShape ShapeOf(const std::vector<WaitingFrame>& frames) {
  BatchShape shape;
  std::map<GroupId, FrameSequence> last;
  for (const WaitingFrame& waiting : frames) {
    last[waiting.frame.group] = waiting.frame.sequence;
    shape.frame_bytes += waiting.image.bytes();
  }
  for (const auto& [group, sequence] : last) shape.groups.push_back({group, sequence});
  return shape;
}

}  // namespace

JournalWriter::JournalWriter(FileSystem& files, std::string directory, DirectoryIdentity identity,
                             JournalOptions options, Checkpoint state, Executor& executor,
                             const Clock& clock, Executor* spare_executor,
                             std::shared_ptr<DiskWatch> watch)
    : file_system_(files),
      options_(options),
      executor_(executor),
      clock_(clock),
      spare_executor_(spare_executor),
      watch_(std::move(watch)),
      process_epoch_(state.process_epoch),
      next_file_(std::max<uint64_t>(state.next_file.value(), 1)),
      durable_(state.last_commit.value()),
      durable_frames_(state.last_commit.value()),
      settled_epoch_(state.settled_epoch),
      marks_(state.peers),
      durable_marks_(state.peers),
      files_(files, std::move(directory), identity, options.file_bytes, &next_file_),
      state_(std::move(state)) {}

absl::Status JournalWriter::Begin() {
  state_.next_generation = std::max(state_.next_generation, Generation{1});
  VARVE_RETURN_IF_ERROR(files_.Inherit(state_.live_files));
  VARVE_RETURN_IF_ERROR(Roll(0));
  VARVE_RETURN_IF_ERROR(files_.MakeReserve());
  last_write_ = clock_.Now();
  return absl::OkStatus();
}

void JournalWriter::ScheduleFirstSeal() { Post(&JournalWriter::ArmSeal); }

void JournalWriter::Post(void (JournalWriter::*step)()) {
  executor_.Post([self = shared_from_this(), step] { ((*self).*step)(); });
}

// Under mutex_.
void JournalWriter::PostDrain() {
  if (drain_posted_ || abandoned_) return;
  drain_posted_ = true;
  Post(&JournalWriter::Drain);
}

void JournalWriter::Submit(JournalFrame frame, bool urgent, Journal::Done done) {
  WaitingFrame waiting{std::move(frame), {}, urgent, std::move(done)};
  waiting.image = FrameImage::Of(waiting.frame);
  const std::lock_guard lock(mutex_);
  absl::Status refusal = health_;
  if (refusal.ok() && closing_) {
    refusal = MakeError(Reason::SHUTTING_DOWN, "the journal is closed");
  }
  if (refusal.ok()) {
    queue_.Push(std::move(waiting));
    PostDrain();
    return;
  }
  executor_.Post([refusal, done = std::move(waiting.done)]() mutable { done(refusal); });
}

void JournalWriter::Drain() {
  {
    const std::lock_guard lock(mutex_);
    drain_posted_ = false;
    if (abandoned_ || !health_.ok()) return;
  }
  if (blocked_) return;
  if (!NextBatch()) {
    if (close_done_ != nullptr) FinishClose();
    return;
  }
  if (!MakeRoom()) return;
  if (const absl::Status status = WriteStaged(); !status.ok()) return Fail(status);
  const std::lock_guard lock(mutex_);
  if (!queue_.empty() || closing_) PostDrain();
}

// Whether there is something to write.
bool JournalWriter::NextBatch() {
  while (staged_.empty()) {
    {
      const std::lock_guard lock(mutex_);
      staged_ = queue_.Take(preceding_.size(), limits::kMaxCommitBytes);
    }
    if (staged_.empty()) return false;
    AddMarksToStaged();
  }
  return true;
}

// A batch keeps its frames while it waits: later frames of its groups come behind it.
bool JournalWriter::MakeRoom() {
  const BatchShape shape = ShapeOf(staged_);
  const uint64_t room = RoomFor(shape.groups.size(), preceding_.size(), shape.frame_bytes);
  if (files_.HasRoom(room)) return true;
  absl::Status status;
  if (files_.LiveAfterRoll() <= std::max<size_t>(options_.max_live_files, 2)) {
    status = Roll(room);
    if (status.ok()) return true;
    if (ReasonOf(status) != Reason::NO_SPACE) {
      Fail(status);
      return false;
    }
    WaitForSpace(status);
    if (staged_.empty()) return false;  // refused at the end
  }
  blocked_ = true;
  if (!std::exchange(asked_when_blocked_, true)) AskForSegmentSync();
  return false;
}

absl::Status JournalWriter::Roll(uint64_t room_bytes) {
  // No commit is under way: all that was written is durable.
  const DiskWatch::Scope watched(watch_.get());
  state_.durable_through = state_.last_commit;
  TakeMarksInto(&state_);
  VARVE_RETURN_IF_ERROR(files_.Roll(&state_, room_bytes));
  MarksAreDurable(state_.peers.marks());
  AnswerSuspicion(absl::OkStatus());
  asked_when_short_ = false;
  asked_when_blocked_ = false;
  spare_refused_ = false;
  waits_for_space_.store(false);
  const std::lock_guard lock(mutex_);
  ++stats_.checkpoints;
  stats_.recycled = files_.recycled();
  stats_.live_files = files_.live();
  stats_.spare_files = files_.spares();
  stats_.bytes = files_.bytes_written();
  return absl::OkStatus();
}

absl::Status JournalWriter::WriteStaged() {
  // Before the write: a frame that does not fit must stop this process, not every later recovery.
  // No checkpoint is written in between, and after a failed write none at all.
  for (const WaitingFrame& waiting : staged_) {
    if (waiting.frame.group == kNoGroup) continue;
    const absl::Status status = state_.replicas.Apply(waiting.frame);
    VARVE_CHECK(status.ok(), MessageOf(status));
  }
  const BatchShape shape = ShapeOf(staged_);
  VARVE_RETURN_IF_ERROR(WriteCommit(shape.groups, &staged_, shape.frame_bytes));
  // Marks alone are no loss, and their commit vouches for the one before like a seal.
  unsealed_ = shape.groups.back().group != kNoGroup;
  AfterCommit(std::exchange(staged_, {}));
  return absl::OkStatus();
}

absl::Status JournalWriter::WriteCommit(const std::vector<GroupFrame>& groups, Frames* frames,
                                        size_t frame_bytes) {
  CommitHeader header;
  header.generation = files_.active().generation;
  header.sequence = state_.last_commit + 1;
  header.durable_through =
      Planted(Defect::kDurableThroughAhead) ? header.sequence : state_.last_commit;
  header.frames = static_cast<uint32_t>(frames->size());
  const std::string head = EncodeCommitHeader(&header, groups, preceding_, frame_bytes);
  const std::string end = EncodeCommitEnd(header, groups, frame_bytes);
  const uint32_t seed = GenerationSeed(header.generation);
  std::vector<std::string_view> pieces = {head};
  if (Planted(Defect::kFramesReordered)) std::reverse(frames->begin(), frames->end());
  for (WaitingFrame& waiting : *frames) {
    waiting.image.Seal(seed);
    waiting.image.AppendPieces(&pieces);
  }
  if (Planted(Defect::kFramesReordered)) std::reverse(frames->begin(), frames->end());
  pieces.push_back(end);
  MonoTime before;
  {
    const DiskWatch::Scope watched(watch_.get());
    VARVE_RETURN_IF_ERROR(files_.Append(pieces, header.bytes));
    before = clock_.Now();
    if (!Planted(Defect::kAcknowledgedBeforeSync)) VARVE_RETURN_IF_ERROR(files_.Sync());
  }
  last_write_ = clock_.Now();
  state_.last_commit = header.sequence;
  durable_.store(header.sequence.value());
  if (!groups.empty() && groups.back().group != kNoGroup)
    durable_frames_.store(header.sequence.value());
  preceding_ = groups;
  const std::lock_guard lock(mutex_);
  ++(frames->empty() ? stats_.seals : stats_.commits);
  stats_.frames += frames->size();
  stats_.bytes = files_.bytes_written();
  stats_.sync_latency.Observe(static_cast<uint64_t>(std::max<Nanos>(last_write_ - before, 0)));
  if (!frames->empty()) {
    stats_.commit_frames.Observe(frames->size());
    stats_.commit_bytes.Observe(header.bytes);
  }
  stats_.live_files = files_.live();
  stats_.spare_files = files_.spares();
  return absl::OkStatus();
}

void JournalWriter::AfterCommit(Frames frames) {
  for (const WaitingFrame& waiting : frames) NoteFrame(waiting.frame);
  AskWhenSpaceIsShort();
  MakeSpareAhead();
  ArmSeal();
  for (WaitingFrame& waiting : frames) waiting.done(absl::OkStatus());
}

void JournalWriter::NoteFrame(const JournalFrame& frame) {
  if (frame.group == kNoGroup)
    return MarksAreDurable(std::get<PeerMarksStep>(frame.steps.front()).marks);
  files_.Pin(frame.group, frame.replica_epoch, frame.sequence);
  if (state_.replicas.Find(frame.group) == nullptr) {
    last_truncation_.erase(frame.group);
    return;
  }
  for (const JournalStep& step : frame.steps) {
    if (std::holds_alternative<CreateReplicaStep>(step)) last_truncation_.erase(frame.group);
    if (std::holds_alternative<TruncateStep>(step)) last_truncation_[frame.group] = frame.sequence;
  }
}

void JournalWriter::Fail(const absl::Status& status) {
  {
    const std::lock_guard lock(mutex_);
    health_ = MakeError(Reason::DISK_FAILED, "journal: ", MessageOf(status));
  }
  Refuse(health());
  AnswerSuspicion(health());
  if (close_done_ != nullptr) std::exchange(close_done_, nullptr)(health());
}

void JournalWriter::Refuse(const absl::Status& status) {
  Frames frames = std::exchange(staged_, {});
  {
    const std::lock_guard lock(mutex_);
    for (WaitingFrame& waiting : queue_.TakeAll()) frames.push_back(std::move(waiting));
    if (closing_) PostDrain();
  }
  for (WaitingFrame& waiting : frames) waiting.done(status);
}

void JournalWriter::Abandon() {
  Frames dropped;  // destroyed without the lock
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  dropped = queue_.TakeAll();
}

absl::Status JournalWriter::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

JournalStats JournalWriter::stats() const {
  const std::lock_guard lock(mutex_);
  JournalStats stats = stats_;
  stats.waiting_frames = queue_.frames();
  stats.waiting_bytes = queue_.bytes();
  return stats;
}

}  // namespace varve::storage
