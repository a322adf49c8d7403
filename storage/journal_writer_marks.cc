// What concerns the directory as a whole: marks of peers, and suspicion of all its replicas.
//
// Two idle nodes must not keep each other's journals busy by their marks: a node tells its peers of
// the last commit that holds frames of replicas (durable_frames()), which neither a commit of marks
// nor a seal is. So what one writes because of the other's mark does not grow its own.
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "storage/journal_writer.h"

namespace varve::storage {
namespace {

// How often a full disk is asked for a checkpoint.
constexpr Nanos kSuspicionRetry = 100 * kMillisecond;

}  // namespace

void JournalWriter::NotePeer(const PeerMark& mark) {
  const std::lock_guard lock(mutex_);
  if (!marks_.Note(mark)) return;
  marks_pending_ = true;
  if (closing_ || abandoned_ || !health_.ok()) return;
  if (!std::exchange(marks_posted_, true)) Post(&JournalWriter::ArmMarks);
}

std::vector<Journal::KnownPeer> JournalWriter::peer_marks() const {
  const std::lock_guard lock(mutex_);
  std::vector<Journal::KnownPeer> out;
  out.reserve(marks_.marks().size());
  for (const PeerMark& mark : marks_.marks()) {
    const PeerMark* durable = durable_marks_.Find(mark.node, mark.directory);
    out.push_back({mark, durable != nullptr && *durable == mark});
  }
  return out;
}

std::vector<PeerMark> JournalWriter::PendingMarks() const {
  std::vector<PeerMark> pending;
  {
    const std::lock_guard lock(mutex_);
    if (!marks_pending_) return pending;
  }
  for (const Journal::KnownPeer& known : peer_marks())
    if (!known.durable) pending.push_back(known.mark);
  return pending;
}

JournalFrame JournalWriter::FrameOf(std::vector<PeerMark> marks) const {
  JournalFrame frame;
  frame.group = kNoGroup;
  frame.sequence = FrameSequence{state_.last_commit.value() + 1};
  frame.steps.emplace_back(PeerMarksStep{std::move(marks)});
  return frame;
}

// Frames that go anyway take the marks along. A commit that has no room leaves them to the timer.
void JournalWriter::AddMarksToStaged() {
  if (staged_.empty()) return;
  std::vector<PeerMark> pending = PendingMarks();
  if (pending.empty()) return;
  WaitingFrame marks{FrameOf(std::move(pending)), {}, false, [](const absl::Status&) {}};
  marks.image = FrameImage::Of(marks.frame);
  size_t bytes = marks.image.bytes();
  for (const WaitingFrame& waiting : staged_) bytes += waiting.image.bytes();
  // At most as many groups as frames.
  if (CommitBytes(staged_.size() + 1, preceding_.size(), bytes) > limits::kMaxCommitBytes) return;
  staged_.push_back(std::move(marks));
}

void JournalWriter::TakeMarksInto(Checkpoint* checkpoint) const {
  const std::lock_guard lock(mutex_);
  checkpoint->peers = marks_;
}

void JournalWriter::MarksAreDurable(const std::vector<PeerMark>& marks) {
  const std::lock_guard lock(mutex_);
  for (const PeerMark& mark : marks) durable_marks_.Note(mark);
  marks_pending_ = durable_marks_.marks() != marks_.marks();
}

void JournalWriter::ArmMarks() {
  {
    const std::lock_guard lock(mutex_);
    marks_posted_ = false;
    if (abandoned_ || closing_ || !health_.ok()) return;
  }
  if (marks_timer_ != TimerId{}) return;
  marks_timer_ = executor_.RunAt(clock_.Now() + options_.marks_after, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->OnMarksTimer();
  });
}

void JournalWriter::OnMarksTimer() {
  marks_timer_ = TimerId{};
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_ || closing_ || !health_.ok()) return;
  }
  std::vector<PeerMark> pending = PendingMarks();
  if (pending.empty()) return;
  // A batch that waits for room was given its number and its list already.
  if (!staged_.empty()) return ArmMarks();
  if (const absl::Status status = WriteMarks(std::move(pending)); !status.ok()) {
    if (ReasonOf(status) != Reason::NO_SPACE) return Fail(status);
    ArmMarks();
  }
}

absl::Status JournalWriter::WriteMarks(std::vector<PeerMark> marks) {
  Frames frames;
  frames.push_back({FrameOf(std::move(marks)), {}, false, [](const absl::Status&) {}});
  frames.back().image = FrameImage::Of(frames.back().frame);
  const size_t bytes = frames.back().image.bytes();
  const uint64_t room = CommitBytes(1, preceding_.size(), bytes) + CommitBytes(0, 1, 0);
  if (!files_.HasRoom(room)) {
    if (files_.LiveAfterRoll() > std::max<size_t>(options_.max_live_files, 2)) {
      AskForSegmentSync();
      ArmMarks();
      return absl::OkStatus();
    }
    return Roll(0);  // its checkpoint holds the marks
  }
  staged_ = std::move(frames);
  return WriteStaged();
}

void JournalWriter::MarkAllSuspect(std::string why, uint64_t settled_epoch, Journal::Done done) {
  executor_.Post([self = shared_from_this(), why = std::move(why), settled_epoch,
                  done = std::move(done)]() mutable {
    absl::Status refusal = self->health();
    {
      const std::lock_guard lock(self->mutex_);
      if (refusal.ok() && self->closing_)
        refusal = MakeError(Reason::SHUTTING_DOWN, "the journal is closed");
    }
    if (!refusal.ok()) return done(refusal);
    self->state_.replicas.MarkAllSuspect(why);
    self->state_.settled_epoch = std::max(self->state_.settled_epoch, settled_epoch);
    self->suspicions_.push_back(std::move(done));
    self->RollForSuspicion();
  });
}

// Beyond the bound of live files, if it must be: nothing of a suspect directory is written that
// would free one.
void JournalWriter::RollForSuspicion() {
  if (suspicions_.empty() || !health().ok()) return;
  const absl::Status status = Roll(0);
  if (!status.ok() && ReasonOf(status) != Reason::NO_SPACE) return Fail(status);
  if (status.ok()) {
    if (!std::exchange(blocked_, false)) return;
    const std::lock_guard lock(mutex_);
    return PostDrain();
  }
  if (suspicion_timer_ != TimerId{}) return;
  suspicion_timer_ = executor_.RunAt(clock_.Now() + kSuspicionRetry, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->suspicion_timer_ = TimerId{};
    self->RollForSuspicion();
  });
}

void JournalWriter::AnswerSuspicion(const absl::Status& status) {
  if (status.ok()) settled_epoch_.store(state_.settled_epoch);
  for (Journal::Done& done : std::exchange(suspicions_, {})) done(status);
}

}  // namespace varve::storage
