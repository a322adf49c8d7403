// What the writer does between commits: notes of syncs, requests for segment syncs, seals, the end.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/defect.h"
#include "storage/journal_spare.h"
#include "storage/journal_writer.h"

namespace varve::storage {
namespace {

// How often a full disk is asked for room.
constexpr Nanos kSpaceRetry = 100 * kMillisecond;

}  // namespace

void JournalWriter::NoteDurableInSegments(GroupId group, FrameSequence through, SyncPoint point) {
  executor_.Post([self = shared_from_this(), group, through, point] {
    self->files_.Release(group, through);
    // A sync that does not know of the last truncation vouches for bytes that are gone.
    const auto truncation = self->last_truncation_.find(group);
    if (truncation == self->last_truncation_.end() || truncation->second <= through) {
      self->state_.replicas.RaiseSyncPoint(group, point);
    }
    if (!std::exchange(self->blocked_, false)) return;
    const std::lock_guard lock(self->mutex_);
    self->PostDrain();
  });
}

void JournalWriter::SetNeedSegmentSync(Journal::NeedSegmentSync callback) {
  executor_.Post([self = shared_from_this(), callback = std::move(callback)]() mutable {
    self->need_sync_ = std::move(callback);
    if (std::exchange(self->ask_pending_, false)) self->AskForSegmentSync();
  });
}

void JournalWriter::AskForSegmentSync() {
  if (need_sync_ == nullptr) {
    ask_pending_ = true;
  } else {
    need_sync_();
  }
}

// Once per file: what is asked for covers every frame so far, and the next file asks again.
void JournalWriter::AskWhenSpaceIsShort() {
  if (asked_when_short_) return;
  const bool many = files_.live() > options_.max_live_files / 2;
  if (!many && !(files_.ActiveHalfFull() && files_.OlderPinned())) return;
  asked_when_short_ = true;
  AskForSegmentSync();
}

// What was submitted has its place in the order of its group, so it waits and is not refused: a
// frame that the group's owner counts and the journal does not would end the group's writes. Only
// the end of the journal gives up.
void JournalWriter::WaitForSpace(const absl::Status& why) {
  if (close_done_ != nullptr) return Refuse(why);
  if (space_timer_ == TimerId{}) {
    space_timer_ = executor_.RunAt(clock_.Now() + kSpaceRetry, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (self == nullptr) return;
      self->space_timer_ = TimerId{};
      self->blocked_ = false;
      self->asked_when_blocked_ = false;
      self->Drain();
    });
  }
  waits_for_space_.store(true);
}

void JournalWriter::FailFor(absl::Status why) {
  executor_.Post([self = shared_from_this(), why = std::move(why)] {
    {
      const std::lock_guard lock(self->mutex_);
      if (self->abandoned_ || !self->health_.ok()) return;
    }
    self->Fail(why);
  });
}

// A full disk is no failure here: the reserve is there, and the next file tries again.
void JournalWriter::MakeSpareAhead() {
  if (spare_executor_ == nullptr || making_spare_ || spare_refused_) return;
  const auto work = files_.TakeSpareWork();
  if (!work) return;
  making_spare_ = true;
  const auto done = [self = weak_from_this(), work = *work](absl::Status status) {
    if (const auto alive = self.lock()) alive->PostSpare(work, std::move(status));
  };
  JournalSpare::Make(file_system_, files_.directory(), JournalName(work->file), work->exists,
                     work->bytes, *spare_executor_, weak_from_this(), done);
}

// On the spare's executor. The lock keeps the journal's own executor alive: it outlives Abandon.
void JournalWriter::PostSpare(const JournalFiles::SpareWork& work, absl::Status status) {
  const std::lock_guard lock(mutex_);
  if (abandoned_) return;
  executor_.Post([self = shared_from_this(), work, status = std::move(status)] {
    self->making_spare_ = false;
    const bool full = ReasonOf(status) == Reason::NO_SPACE;
    if (status.ok() || (full && work.exists)) self->files_.AddSpare(work.file, status.ok());
    if (status.ok()) return;
    self->spare_refused_ = true;
    if (!full) self->FailFor(status);
  });
}

void JournalWriter::ArmSeal() {
  if (!unsealed_ || seal_timer_ != TimerId{} || !health().ok()) return;
  seal_timer_ = executor_.RunAt(last_write_ + options_.seal_after, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->OnSealTimer();
  });
}

void JournalWriter::OnSealTimer() {
  seal_timer_ = TimerId{};
  {
    const std::lock_guard lock(mutex_);
    if (abandoned_ || closing_ || !health_.ok()) return;
  }
  if (!unsealed_) return;
  if (clock_.Now() < last_write_ + options_.seal_after) return ArmSeal();
  if (const absl::Status status = WriteSeal(); !status.ok()) Fail(status);
}

// Its header says that the last commit is durable. MakeRoom left room for it behind every commit.
absl::Status JournalWriter::WriteSeal() {
  if (Planted(Defect::kSealLeftOut)) return absl::OkStatus();
  if (!files_.HasRoom(CommitBytes(0, preceding_.size(), 0))) return absl::OkStatus();
  Frames none;
  VARVE_RETURN_IF_ERROR(WriteCommit({}, &none, 0));
  unsealed_ = false;
  return absl::OkStatus();
}

void JournalWriter::Close(Journal::Done done) {
  const std::lock_guard lock(mutex_);
  VARVE_CHECK(!closing_, "the journal is closed twice");
  closing_ = true;
  executor_.Post([self = shared_from_this(), done = std::move(done)]() mutable {
    if (const absl::Status health = self->health(); !health.ok()) return done(health);
    self->close_done_ = std::move(done);
    if (self->space_timer_ != TimerId{}) {
      self->executor_.Cancel(std::exchange(self->space_timer_, TimerId{}));
      self->blocked_ = false;
    }
    const std::lock_guard lock_again(self->mutex_);
    self->PostDrain();
  });
}

void JournalWriter::FinishClose() {
  absl::Status status;
  if (unsealed_) status = WriteSeal();
  // On a full disk the present file and its seal serve the next start as well.
  if (status.ok()) status = Roll(0);
  if (!status.ok() && ReasonOf(status) != Reason::NO_SPACE) return Fail(status);
  for (TimerId* timer : {&seal_timer_, &marks_timer_, &suspicion_timer_})
    if (*timer != TimerId{}) executor_.Cancel(std::exchange(*timer, TimerId{}));
  AnswerSuspicion(status);
  std::exchange(close_done_, nullptr)(absl::OkStatus());
}

namespace {

class JournalHandle : public Journal {
 public:
  explicit JournalHandle(std::shared_ptr<JournalWriter> writer) : writer_(std::move(writer)) {}
  ~JournalHandle() override { writer_->Abandon(); }

  void Submit(JournalFrame frame, bool urgent, Done done) override {
    writer_->Submit(std::move(frame), urgent, std::move(done));
  }
  void NoteDurableInSegments(GroupId group, FrameSequence through, SyncPoint point) override {
    writer_->NoteDurableInSegments(group, through, point);
  }
  void NotePeer(const PeerMark& mark) override { writer_->NotePeer(mark); }
  std::vector<KnownPeer> peer_marks() const override { return writer_->peer_marks(); }
  void MarkAllSuspect(std::string why, uint64_t settled_epoch, Done done) override {
    writer_->MarkAllSuspect(std::move(why), settled_epoch, std::move(done));
  }
  void SetNeedSegmentSync(NeedSegmentSync callback) override {
    writer_->SetNeedSegmentSync(std::move(callback));
  }
  FileNumber NextFileNumber() override { return writer_->NextFileNumber(); }
  absl::Status health() const override { return writer_->health(); }
  CommitSequence durable_through() const override { return writer_->durable_through(); }
  CommitSequence durable_frames() const override { return writer_->durable_frames(); }
  uint64_t process_epoch() const override { return writer_->process_epoch(); }
  uint64_t settled_epoch() const override { return writer_->settled_epoch(); }
  bool waits_for_space() const override { return writer_->waits_for_space(); }
  JournalStats stats() const override { return writer_->stats(); }
  void Fail(absl::Status why) override { writer_->FailFor(std::move(why)); }
  void Close(Done done) override { writer_->Close(std::move(done)); }

 private:
  const std::shared_ptr<JournalWriter> writer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Begin(FileSystem& files, std::string directory,
                                                        DirectoryIdentity identity,
                                                        JournalOptions options, Checkpoint state,
                                                        Executor& executor, const Clock& clock,
                                                        Executor* spare_executor,
                                                        std::shared_ptr<DiskWatch> watch) {
  auto writer = std::make_shared<JournalWriter>(files, std::move(directory), identity, options,
                                                std::move(state), executor, clock, spare_executor,
                                                std::move(watch));
  VARVE_RETURN_IF_ERROR(writer->Begin());
  writer->ScheduleFirstSeal();
  return std::make_unique<JournalHandle>(std::move(writer));
}

}  // namespace varve::storage
