#include "storage/segment_writer.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "storage/defect.h"

namespace varve::storage {
namespace {

// How often a full disk is asked for room.
constexpr Nanos kSpaceRetry = 100 * kMillisecond;

// A sync that fails for lack of space has failed like any other: what it covered is unknown.
absl::Status Synced(const absl::Status& status) {
  if (ReasonOf(status) != Reason::NO_SPACE) return status;
  return MakeError(Reason::DISK_FAILED, MessageOf(status));
}

}  // namespace

uint64_t DiskBytesOf(const FileWork& work) {
  const auto blocks = [](uint64_t bytes) {
    return (bytes + limits::kBlockBytes - 1) / limits::kBlockBytes;
  };
  // A name takes an inode and may take a block of its directory.
  uint64_t taken = work.create_directory ? 2 : 0;
  for (const FileWork::Append& append : work.appends) {
    uint64_t end = append.position;
    for (const Entry& entry : append.entries) end += entry.frame.size();
    taken += append.create ? blocks(end) + 2 : blocks(end) - blocks(append.position);
  }
  return taken * limits::kBlockBytes;
}

absl::Status SegmentWriter::health() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void SegmentWriter::Fail(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  if (!failure_.ok()) return;
  failure_ = MakeError(Reason::DISK_FAILED, "writing segments failed for good: ", MessageOf(why));
  // Its frames may wait for syncs that will never come.
  if (journal_ != nullptr) journal_->Fail(failure_);
}

void SegmentWriter::Detach() {
  std::lock_guard lock(mutex_);
  journal_ = nullptr;
}

void SegmentWriter::Enqueue(FileWork work) {
  std::lock_guard lock(mutex_);
  if (journal_ == nullptr) return;  // the executors may be gone; the journal has the frame
  parts_.writes.Post([self = shared_from_this(), work = std::move(work)]() mutable {
    self->Hold(std::move(work));
  });
}

void SegmentWriter::RunInTurn(Turn task) {
  std::lock_guard lock(mutex_);
  if (journal_ == nullptr) return;
  parts_.writes.Post([self = shared_from_this(), task = std::move(task)]() mutable {
    self->Hold(std::move(task));
  });
}

void SegmentWriter::RunOnWriter(Task task) {
  std::lock_guard lock(mutex_);
  if (journal_ != nullptr) parts_.writes.Post(std::move(task));
}

void SegmentWriter::RunOnSyncer(Task task) {
  PostBehindWrites([task = std::move(task)](SegmentWriter&) mutable { task(); });
}

// --- Writing
// --------------------------------------------------------------------------------------

void SegmentWriter::Hold(std::variant<FileWork, Turn> next) {
  held_.push_back(std::move(next));
  ++unwritten_;
  if (held_.size() == 1) CarryHeld();  // otherwise the first one waits
}

void SegmentWriter::CarryHeld() {
  while (!held_.empty()) {
    if (auto* work = std::get_if<FileWork>(&held_.front())) {
      if (!CarryOut(*work)) return;
    } else {
      std::get<Turn>(held_.front())(*this);
    }
    held_.pop_front();
    --unwritten_;
  }
}

bool SegmentWriter::CarryOut(FileWork& work) {
  if (health().ok()) {
    if (WaitForSync()) return false;
    const absl::Status status = CarryWithReserve(work);
    if (ReasonOf(status) == Reason::NO_SPACE) {
      WaitForSpace();
      return false;
    }
    if (!status.ok() && !Planted(Defect::kWriteErrorIgnored)) Fail(status);
  }
  waits_for_space_.store(false);
  FinishWork(work);
  return true;
}

bool SegmentWriter::WaitForSync() {
  if (unsynced_files_.load() < parts_.max_unsynced_files) return false;
  waits_for_sync_.store(true);
  RequestSync();
  return true;
}

absl::Status SegmentWriter::CarryWithReserve(FileWork& work) {
  while (true) {
    absl::Status status = CarryFiles(work);
    if (ReasonOf(status) != Reason::NO_SPACE) return status;
    if (Planted(Defect::kReserveIgnored)) return status;
    VARVE_RETURN_IF_ERROR(parts_.reserve->Draw(work.disk_bytes));
  }
}

// The journal has the frame, and every step of a work may be done again: nothing is lost by
// waiting. Meanwhile the dirty budget fills up and admits no more.
void SegmentWriter::WaitForSpace() {
  waits_for_space_.store(true);
  std::lock_guard lock(mutex_);
  if (journal_ == nullptr) return;
  parts_.writes.RunAt(parts_.clock.Now() + kSpaceRetry, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->CarryHeld();
  });
}

void SegmentWriter::FinishWork(FileWork& work) {
  if (health().ok()) {
    {
      std::lock_guard lock(work.replica->mutex);
      work.replica->written = {work.frame, work.end, work.truncations};
      if (work.truncations == work.replica->truncations) NoteWritten(*work.replica, work.end);
    }
    MarkDirty(work.replica);
  }
  if (work.dirty_bytes > 0) parts_.budget->Release(work.dirty_bytes);
  parts_.reserve->Return(work.disk_bytes);
}

// The replica's mutex is held. Everything up to `end` lies in files.
void SegmentWriter::NoteWritten(ReplicaFiles& replica, const SyncPoint& end) {
  replica.written_index = end.index;
  for (PlacedSegment& placed : replica.segments) {
    // The end's own segment may have been trimmed meanwhile.
    if (placed.segment->first_index() > end.index) return;
    const bool last = placed.segment->file() == end.file;
    placed.written_end = last ? end.position : placed.end;
    if (last) return;
  }
}

absl::Status SegmentWriter::CarryFiles(FileWork& work) {
  ReplicaFiles& replica = *work.replica;
  {
    std::lock_guard lock(replica.mutex);
    if (replica.removed) return absl::OkStatus();  // its directory may be in the trash already
  }
  std::vector<std::shared_ptr<Segment>> touched;
  bool directory_changed = work.create_directory || !work.remove.empty() || !work.retire.empty();
  if (work.create_directory) {
    VARVE_RETURN_IF_ERROR(parts_.files.CreateDirectory(replica.directory));
    VARVE_RETURN_IF_ERROR(Synced(parts_.files.SyncDirectory(parts_.groups_directory)));
  }
  for (const auto& segment : work.remove) VARVE_RETURN_IF_ERROR(segment->Remove());
  if (work.truncate) {
    VARVE_RETURN_IF_ERROR(work.truncate->Truncate(work.truncate_to));
    touched.push_back(work.truncate);
    directory_changed = true;  // its index went
  }
  for (FileWork::Append& append : work.appends) {
    if (append.create) VARVE_RETURN_IF_ERROR(CreateSegment(*append.segment));
    directory_changed = directory_changed || append.create;
    VARVE_RETURN_IF_ERROR(append.segment->Write(append.position, append.entries));
    touched.push_back(append.segment);
  }
  std::lock_guard lock(replica.mutex);
  replica.directory_changed = replica.directory_changed || directory_changed;
  const size_t before = replica.unsynced.size();
  for (auto& segment : touched)
    if (std::find(replica.unsynced.begin(), replica.unsynced.end(), segment) ==
        replica.unsynced.end())
      replica.unsynced.push_back(std::move(segment));
  for (const auto& removed : work.remove) std::erase(replica.unsynced, removed);
  for (auto& retired : work.retire) {
    std::erase(replica.unsynced, retired);
    replica.retired.push_back(std::move(retired));
  }
  unsynced_files_ += replica.unsynced.size();
  unsynced_files_ -= before;
  return absl::OkStatus();
}

// Again after a full disk: the number is the segment's alone, so a file of that name is its own.
absl::Status SegmentWriter::CreateSegment(Segment& segment) {
  const absl::Status status = segment.Create();
  return absl::IsAlreadyExists(status) ? segment.WriteHeader() : status;
}

void SegmentWriter::MarkDirty(const std::shared_ptr<ReplicaFiles>& replica) {
  {
    std::lock_guard lock(replica->mutex);
    if (std::exchange(replica->listed_dirty, true)) return;
  }
  std::lock_guard lock(mutex_);
  dirty_.push_back(replica);
  ArmTimer();
}

// --- Syncing
// --------------------------------------------------------------------------------------

// mutex_ held.
void SegmentWriter::ArmTimer() {
  if (journal_ == nullptr || std::exchange(timer_armed_, true)) return;
  parts_.syncs.RunAt(parts_.clock.Now() + parts_.sync_interval, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    {
      std::lock_guard lock(self->mutex_);
      self->timer_armed_ = false;
    }
    self->Pass();
  });
}

void SegmentWriter::RequestSync() {
  {
    std::lock_guard lock(mutex_);
    if (journal_ == nullptr) return;
    if (std::exchange(pass_posted_, true)) {
      pass_again_ = true;
      return;
    }
  }
  // Behind the writes that are queued now: they are what pins the journal.
  PostBehindWrites([](SegmentWriter& self) {
    bool again = false;
    {
      std::lock_guard lock(self.mutex_);
      self.pass_posted_ = false;
      again = std::exchange(self.pass_again_, false);
    }
    self.Pass();
    if (again) self.RequestSync();
  });
}

void SegmentWriter::PostBehindWrites(absl::AnyInvocable<void(SegmentWriter&)> step) {
  std::lock_guard lock(mutex_);
  if (journal_ == nullptr) return;
  parts_.writes.Post([self = shared_from_this(), step = std::move(step)]() mutable {
    std::lock_guard inner(self->mutex_);
    if (self->journal_ == nullptr) return;  // detached meanwhile: the other executor may be gone
    self->parts_.syncs.Post([self, step = std::move(step)]() mutable { step(*self); });
  });
}

void SegmentWriter::Pass() {
  SyncDirty();
  if (!waits_for_sync_.exchange(false)) return;
  {
    std::lock_guard lock(mutex_);
    if (journal_ == nullptr) return;
    parts_.writes.Post([self = shared_from_this()] { self->CarryHeld(); });
  }
  RequestSync();  // whoever asked for this pass meant what was held, too
}

void SegmentWriter::ForgetUnsynced(ReplicaFiles* replica) {
  unsynced_files_ -= replica->unsynced.size();
  replica->unsynced.clear();
}

void SegmentWriter::SyncDirty() {
  std::vector<std::shared_ptr<ReplicaFiles>> replicas;
  {
    std::lock_guard lock(mutex_);
    replicas = std::exchange(dirty_, {});
  }
  for (const auto& replica : replicas) {
    if (!health().ok()) return;
    if (absl::Status status = SyncReplica(*replica); !status.ok()) return Fail(status);
  }
}

absl::Status SegmentWriter::SyncReplica(ReplicaFiles& replica) {
  WrittenMark mark;
  std::vector<std::shared_ptr<Segment>> segments;
  std::vector<std::shared_ptr<Segment>> retired;
  std::vector<std::pair<std::shared_ptr<Segment>, UnsavedRows>> rows;
  bool directory_changed = false;
  {
    std::lock_guard lock(replica.mutex);
    replica.listed_dirty = false;
    if (replica.removed) return absl::OkStatus();
    mark = replica.written;
    segments = std::exchange(replica.unsynced, {});
    unsynced_files_ -= segments.size();
    retired = std::exchange(replica.retired, {});
    directory_changed = std::exchange(replica.directory_changed, false);
    for (const PlacedSegment& placed : replica.segments)
      if (std::find(segments.begin(), segments.end(), placed.segment) != segments.end())
        rows.emplace_back(placed.segment, placed.segment->TakeUnsavedRows(placed.written_end));
  }
  for (const auto& segment : segments)
    if (!Planted(Defect::kRecycledBeforeSegmentSync)) VARVE_RETURN_IF_ERROR(segment->SyncData());
  if (parts_.reserve->is_short()) rows.clear();  // hints; a later pass saves them
  for (const auto& [segment, unsaved] : rows) {
    absl::Status saved = segment->SaveIndex(unsaved);
    // A hint that a full disk does not take; the next pass tries again.
    if (!saved.ok() && ReasonOf(saved) != Reason::NO_SPACE) return saved;
  }
  // Here and not by the writer: freeing a large file takes its time.
  for (const auto& segment : retired) VARVE_RETURN_IF_ERROR(segment->Remove());
  trimmed_segments_ += retired.size();
  if (directory_changed && !Planted(Defect::kSegmentDirectoryNotSynced)) {
    absl::Status named = parts_.files.SyncDirectory(replica.directory);
    if (!named.ok() && !Planted(Defect::kNameSyncErrorIgnored)) return named;
  }
  // A point from before a truncation would cover entries that replaced those which it means.
  std::lock_guard replica_lock(replica.mutex);
  if (Planted(Defect::kLaterWritesCounted)) mark = replica.written;
  if (mark.truncations != replica.truncations) {
    mark.point = {};
  } else {
    replica.synced = mark.point;
  }
  std::lock_guard lock(mutex_);
  if (journal_ != nullptr) journal_->NoteDurableInSegments(replica.group, mark.frame, mark.point);
  return absl::OkStatus();
}

void SegmentWriter::Drain(absl::AnyInvocable<void(absl::Status)> done) {
  PostBehindWrites([done = std::move(done)](SegmentWriter& self) mutable {
    self.Pass();
    if (self.unwritten_.load() > 0 && self.health().ok() && !self.waits_for_space())
      return self.Drain(std::move(done));  // the pass made room for what was held
    absl::Status status = self.health();
    if (status.ok() && self.waits_for_space()) {
      status = MakeError(Reason::NO_SPACE, "segments wait for space; the journal keeps the rest");
    }
    done(std::move(status));
  });
}

}  // namespace varve::storage
