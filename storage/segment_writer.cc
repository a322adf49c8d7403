#include "storage/segment_writer.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve::storage {

absl::Status SegmentWriter::health() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

void SegmentWriter::Fail(const absl::Status& why) {
  std::lock_guard lock(mutex_);
  if (failure_.ok())
    failure_ = MakeError(Reason::DISK_FAILED, "writing segments failed for good: ", MessageOf(why));
}

void SegmentWriter::Detach() {
  std::lock_guard lock(mutex_);
  journal_ = nullptr;
}

void SegmentWriter::Enqueue(FileWork work) {
  std::lock_guard lock(mutex_);
  if (journal_ == nullptr) return;  // the executors may be gone; the journal has the frame
  parts_.writes.Post([self = shared_from_this(), work = std::move(work)]() mutable {
    self->Carry(std::move(work));
  });
}

// --- Writing
// --------------------------------------------------------------------------------------

void SegmentWriter::Carry(FileWork work) {
  if (health().ok()) {
    if (absl::Status status = CarryFiles(work); !status.ok()) Fail(status);
  }
  if (health().ok()) {
    {
      std::lock_guard lock(work.replica->mutex);
      work.replica->written = {work.frame, work.end, work.truncations};
      if (work.truncations == work.replica->truncations) NoteWritten(*work.replica, work.end);
    }
    MarkDirty(work.replica);
  }
  if (work.dirty_bytes > 0) parts_.budget->Release(work.dirty_bytes);
}

// The replica's mutex is held. Everything up to `end` lies in files.
void SegmentWriter::NoteWritten(ReplicaFiles& replica, const SyncPoint& end) {
  replica.written_index = end.index;
  for (PlacedSegment& placed : replica.segments) {
    const bool last = placed.segment->file() == end.file;
    placed.written_end = last ? end.position : placed.end;
    if (last) return;
  }
}

absl::Status SegmentWriter::CarryFiles(FileWork& work) {
  ReplicaFiles& replica = *work.replica;
  std::vector<std::shared_ptr<Segment>> touched;
  bool directory_changed = work.create_directory || !work.remove.empty() || !work.retire.empty();
  if (work.create_directory) {
    VARVE_RETURN_IF_ERROR(parts_.files.CreateDirectory(replica.directory));
    VARVE_RETURN_IF_ERROR(parts_.files.SyncDirectory(parts_.groups_directory));
  }
  for (const auto& segment : work.remove) VARVE_RETURN_IF_ERROR(segment->Remove());
  if (work.truncate) {
    VARVE_RETURN_IF_ERROR(work.truncate->Truncate(work.truncate_to));
    touched.push_back(work.truncate);
    directory_changed = true;  // its index went
  }
  for (FileWork::Append& append : work.appends) {
    if (append.create) VARVE_RETURN_IF_ERROR(append.segment->Create());
    directory_changed = directory_changed || append.create;
    VARVE_RETURN_IF_ERROR(append.segment->Write(append.position, append.entries));
    touched.push_back(append.segment);
  }
  std::lock_guard lock(replica.mutex);
  replica.directory_changed = replica.directory_changed || directory_changed;
  for (auto& segment : touched)
    if (std::find(replica.unsynced.begin(), replica.unsynced.end(), segment) ==
        replica.unsynced.end())
      replica.unsynced.push_back(std::move(segment));
  for (const auto& removed : work.remove) std::erase(replica.unsynced, removed);
  for (auto& retired : work.retire) {
    std::erase(replica.unsynced, retired);
    replica.retired.push_back(std::move(retired));
  }
  return absl::OkStatus();
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
    if (journal_ == nullptr || std::exchange(pass_posted_, true)) return;
  }
  // Behind the writes that are queued now: they are what pins the journal.
  parts_.writes.Post([self = shared_from_this()] {
    self->parts_.syncs.Post([self] {
      {
        std::lock_guard lock(self->mutex_);
        self->pass_posted_ = false;
      }
      self->Pass();
    });
  });
}

void SegmentWriter::Pass() {
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
    retired = std::exchange(replica.retired, {});
    directory_changed = std::exchange(replica.directory_changed, false);
    for (const PlacedSegment& placed : replica.segments)
      if (std::find(segments.begin(), segments.end(), placed.segment) != segments.end())
        rows.emplace_back(placed.segment, placed.segment->TakeUnsavedRows(placed.written_end));
  }
  for (const auto& segment : segments) VARVE_RETURN_IF_ERROR(segment->SyncData());
  for (const auto& [segment, unsaved] : rows) VARVE_RETURN_IF_ERROR(segment->SaveIndex(unsaved));
  // Here and not by the writer: freeing a large file takes its time.
  for (const auto& segment : retired) VARVE_RETURN_IF_ERROR(segment->Remove());
  if (directory_changed) VARVE_RETURN_IF_ERROR(parts_.files.SyncDirectory(replica.directory));
  // A point from before a truncation would cover entries that replaced those which it means.
  std::lock_guard replica_lock(replica.mutex);
  if (mark.truncations != replica.truncations) mark.point = {};
  std::lock_guard lock(mutex_);
  if (journal_ != nullptr) journal_->NoteDurableInSegments(replica.group, mark.frame, mark.point);
  return absl::OkStatus();
}

void SegmentWriter::Drain(absl::AnyInvocable<void(absl::Status)> done) {
  parts_.writes.Post([self = shared_from_this(), done = std::move(done)]() mutable {
    self->parts_.syncs.Post([self, done = std::move(done)]() mutable {
      self->Pass();
      done(self->health());
    });
  });
}

}  // namespace varve::storage
