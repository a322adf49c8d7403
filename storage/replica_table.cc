#include <algorithm>
#include <type_traits>

#include "common/error.h"
#include "storage/defect.h"
#include "storage/format/file_header.h"
#include "storage/replica_state.h"

namespace varve::storage {
namespace {

template <class... Pieces>
absl::Status Misfit(const JournalFrame& frame, const Pieces&... pieces) {
  return MakeError(Reason::DATA_LOSS, "journal frame ", frame.sequence, " of group ", frame.group,
                   " does not fit its replica: ", pieces...);
}

// One frame being applied to a copy of what it changes, so that a misfit leaves the record as it
// was. The copy of the segment set is made by the step that changes it: most frames only append.
class FrameApplication {
 public:
  FrameApplication(const JournalFrame& frame, const ReplicaRecord& before)
      : frame_(frame),
        before_(before),
        segments_(&before.segments),
        sync_point_(before.sync_point),
        last_index_(before.scalars.end.last_index),
        next_offset_(before.scalars.end.next_offset) {}

  absl::Status Run() {
    VARVE_RETURN_IF_ERROR(CheckScalars());
    for (const JournalStep& step : frame_.steps) {
      VARVE_RETURN_IF_ERROR(std::visit([this](const auto& s) { return Take(s); }, step));
    }
    VARVE_RETURN_IF_ERROR(CheckSegments());
    if (before_.segments.empty() && !segments_->empty() && !touched_end_) {
      replaced_ = true;  // an install into a replica that had nothing
    }
    if (replaced_ && !InSet(sync_point_.file)) sync_point_ = SyncPoint{};
    if (!replaced_ && changed_segments_) LiftSyncPoint();
    return CheckEnd();
  }

  // Only after Run() returned OK.
  void Store(ReplicaRecord* record) && {
    record->scalars = frame_.scalars;
    record->last_frame = frame_.sequence;
    record->sync_point = sync_point_;
    if (changed_segments_) record->segments = std::move(*changed_segments_);
    if (configurations_ != nullptr) record->configurations = *configurations_;
  }

 private:
  // What no frame may take back.
  absl::Status CheckScalars() const {
    const ReplicaScalars& old = before_.scalars;
    const ReplicaScalars& now = frame_.scalars;
    if (now.hard_state.term < old.hard_state.term) {
      return Misfit(frame_, "term ", now.hard_state.term, " after ", old.hard_state.term);
    }
    if (now.hard_state.term == old.hard_state.term && !old.hard_state.vote.empty() &&
        now.hard_state.vote != old.hard_state.vote) {
      return Misfit(frame_, "a second vote in term ", now.hard_state.term);
    }
    if (now.commit_index < old.commit_index) {
      return Misfit(frame_, "commit index ", now.commit_index, " after ", old.commit_index);
    }
    if (now.start.index < old.start.index || now.start.offset < old.start.offset) {
      return Misfit(frame_, "log start ", now.start.index, " after ", old.start.index);
    }
    return absl::OkStatus();
  }

  absl::Status Take(const CreateReplicaStep&) { return absl::OkStatus(); }  // ReplicaTable's
  absl::Status Take(const RemoveReplicaStep&) { return absl::OkStatus(); }

  absl::Status Take(const TruncateStep& step) {
    if (step.from > last_index_ || step.from <= before_.scalars.commit_index ||
        step.from < before_.scalars.start.index) {
      return Misfit(frame_, "truncation from index ", step.from, " of a log that ends at ",
                    last_index_, ", committed up to ", before_.scalars.commit_index);
    }
    if (step.position < kFileHeaderBytes) {
      return Misfit(frame_, "truncation to position ", step.position, ", within the file header");
    }
    last_index_ = step.from - 1;
    next_offset_.reset();
    truncated_to_ = step.file;
    touched_end_ = true;
    append_at_ = {step.file, step.position};
    last_entry_ = nullptr;
    if (sync_point_.index > last_index_ && !Planted(Defect::kSyncPointNotLowered)) {
      sync_point_ = {step.file, step.position, last_index_, Offset{}};
      sync_offset_unknown_ = true;
    }
    return absl::OkStatus();
  }

  absl::Status Take(const AppendStep& step) {
    if (step.entries.empty()) return Misfit(frame_, "an append without entries");
    if (segments_->empty() || segments_->back().file != step.file) {
      return Misfit(frame_, "append to file ", step.file, ", which is not the active segment");
    }
    if (step.position < kFileHeaderBytes ||
        (append_at_.first == step.file && append_at_.second != step.position)) {
      return Misfit(frame_, "append to position ", step.position, " of file ", step.file,
                    ", which is not the segment's end");
    }
    append_at_ = {step.file, step.position};
    for (const Entry& entry : step.entries) VARVE_RETURN_IF_ERROR(TakeEntry(entry.header));
    touched_end_ = true;
    return absl::OkStatus();
  }

  absl::Status TakeEntry(const EntryHeader& entry) {
    if (entry.group != frame_.group) return Misfit(frame_, "entry of group ", entry.group);
    if (entry.first_index != last_index_ + 1 ||
        (next_offset_ && entry.base_offset != *next_offset_)) {
      return Misfit(frame_, "entry of index ", entry.first_index, " and offset ", entry.base_offset,
                    " after index ", last_index_);
    }
    if (sync_offset_unknown_) SetSyncOffset(entry.base_offset);
    last_index_ = entry.last_index;
    next_offset_ = entry.next_offset();
    append_at_.second += entry.frame_bytes();
    last_entry_ = &entry;
    return absl::OkStatus();
  }

  absl::Status Take(const SegmentSetStep& step) {
    if (!changed_segments_) changed_segments_ = *segments_;
    std::vector<SegmentRef>& set = *changed_segments_;
    segments_ = &set;
    const auto find = [&set](FileNumber file) {
      return std::find_if(set.begin(), set.end(),
                          [file](const SegmentRef& ref) { return ref.file == file; });
    };
    const FileNumber active = set.empty() ? FileNumber{} : set.back().file;
    for (const FileNumber file : step.removed) {
      const auto at = find(file);
      if (at == set.end()) return Misfit(frame_, "removal of file ", file, ", not of its set");
      set.erase(at);
    }
    for (const SegmentRef& ref : step.put) {
      const auto at = find(ref.file);
      if (at != set.end()) {
        *at = ref;
      } else {
        set.push_back(ref);
      }
    }
    std::sort(set.begin(), set.end(), [](const SegmentRef& a, const SegmentRef& b) {
      return a.first_index < b.first_index;
    });
    // Without its active segment a log has another end: an install. The scalars then name it.
    if (active != FileNumber{} && find(active) == set.end()) replaced_ = true;
    return absl::OkStatus();
  }

  absl::Status Take(const ConfigurationsStep& step) {
    configurations_ = &step.configurations;
    return absl::OkStatus();
  }

  absl::Status Take(const PeerMarksStep&) { return Misfit(frame_, "peer marks of a replica"); }

  // The file of the sync point left the set. After a trim, what it covered is gone, and the log
  // begins where the first segment does. After a repair another file has the same entries, and is
  // durable as a whole.
  void LiftSyncPoint() {
    if (sync_point_.file == FileNumber{} || InSet(sync_point_.file) || segments_->empty()) return;
    const SegmentRef& front = segments_->front();
    if (front.first_index > sync_point_.index) {
      sync_point_ = {front.file, kFileHeaderBytes, front.first_index - 1, front.base_offset};
      return;
    }
    for (size_t i = 0; i + 1 < segments_->size(); ++i) {
      const SegmentRef& ref = (*segments_)[i];
      const SegmentRef& next = (*segments_)[i + 1];
      if (next.first_index <= sync_point_.index) continue;
      sync_point_ = {ref.file, ref.end_position, next.first_index - 1, next.base_offset};
      return;
    }
  }

  bool InSet(FileNumber file) const {
    return std::any_of(segments_->begin(), segments_->end(),
                       [file](const SegmentRef& ref) { return ref.file == file; });
  }

  absl::Status CheckSegments() const {
    if (truncated_to_ && !InSet(*truncated_to_)) {
      return Misfit(frame_, "truncation within file ", *truncated_to_, ", not of its set");
    }
    if (!changed_segments_) return absl::OkStatus();
    const std::vector<SegmentRef>& set = *segments_;
    for (size_t i = 0; i < set.size(); ++i) {
      const bool last = i + 1 == set.size();
      if (set[i].file == FileNumber{} || (set[i].end_position == 0) != last ||
          (!last && set[i].end_position < kFileHeaderBytes)) {
        return Misfit(frame_, "segment file ", set[i].file, " with end position ",
                      set[i].end_position, " as number ", i + 1, " of ", set.size());
      }
      if (last) break;
      if (set[i].first_index >= set[i + 1].first_index ||
          set[i].base_offset > set[i + 1].base_offset) {
        return Misfit(frame_, "segment files ", set[i].file, " and ", set[i + 1].file, " overlap");
      }
    }
    if (!set.empty() && (set.front().first_index > frame_.scalars.start.index ||
                         set.back().first_index > frame_.scalars.end.last_index + 1)) {
      return Misfit(frame_, "segments from index ", set.front().first_index, " to ",
                    set.back().first_index, " do not hold the log");
    }
    return absl::OkStatus();
  }

  // The end that the scalars claim must be the one that the steps lead to.
  absl::Status CheckEnd() {
    const LogEnd& end = frame_.scalars.end;
    if (segments_->empty() && end.last_index >= frame_.scalars.start.index) {
      return Misfit(frame_, "entries without a segment");
    }
    bool fits = true;
    if (last_entry_ != nullptr) {
      fits = end == LogEnd{last_entry_->last_index, last_entry_->term, last_entry_->next_offset(),
                           last_entry_->append_time};
    } else if (touched_end_) {
      const LogEnd& old = before_.scalars.end;
      fits = end.last_index == last_index_ && end.next_offset <= old.next_offset &&
             end.last_term <= old.last_term;
    } else if (!replaced_) {
      fits = end == before_.scalars.end;
    }
    if (!fits) {
      return Misfit(frame_, "its log end ", end.last_index, " (offset ", end.next_offset,
                    ") is not that of its steps, ", last_index_);
    }
    if (sync_offset_unknown_) SetSyncOffset(end.next_offset);
    return absl::OkStatus();
  }

  void SetSyncOffset(Offset offset) {
    sync_point_.next_offset = offset;
    sync_offset_unknown_ = false;
  }

  const JournalFrame& frame_;
  const ReplicaRecord& before_;
  const std::vector<SegmentRef>* segments_;
  std::optional<std::vector<SegmentRef>> changed_segments_;
  SyncPoint sync_point_;
  bool sync_offset_unknown_ = false;
  Index last_index_;
  std::optional<Offset> next_offset_;          // unknown after a truncation, until an append
  std::pair<FileNumber, uint64_t> append_at_;  // where this frame's last step left a file
  std::optional<FileNumber> truncated_to_;
  bool touched_end_ = false;
  bool replaced_ = false;
  const EntryHeader* last_entry_ = nullptr;
  const Configurations* configurations_ = nullptr;
};

template <class Step>
bool IsOnlyAt(const std::vector<JournalStep>& steps, size_t place) {
  for (size_t i = 0; i < steps.size(); ++i)
    if (i != place && std::holds_alternative<Step>(steps[i])) return false;
  return true;
}

}  // namespace

absl::Status ReplicaTable::Apply(const JournalFrame& frame) {
  if (frame.group == kNoGroup || frame.sequence == FrameSequence{}) {
    return Misfit(frame, "no group or no sequence");
  }
  const auto& steps = frame.steps;
  const bool creates = !steps.empty() && std::holds_alternative<CreateReplicaStep>(steps.front());
  const bool removes = !steps.empty() && std::holds_alternative<RemoveReplicaStep>(steps.back());
  if (!IsOnlyAt<CreateReplicaStep>(steps, 0) ||
      !IsOnlyAt<RemoveReplicaStep>(steps, steps.size() - 1)) {
    return Misfit(frame, "a replica is created by the first step and removed by the last");
  }
  auto at = records_.find(frame.group);
  if (creates != (at == records_.end())) {
    return Misfit(frame, creates ? "the replica exists already" : "there is no such replica");
  }
  ReplicaRecord fresh;
  fresh.group = frame.group;
  fresh.replica_epoch = frame.replica_epoch;
  ReplicaRecord& record = creates ? fresh : at->second;
  if (frame.replica_epoch != record.replica_epoch) {
    return Misfit(frame, "replica epoch ", frame.replica_epoch, ", not ", record.replica_epoch);
  }
  if (!creates && frame.sequence != record.last_frame + 1) {
    return Misfit(frame, "the last one was ", record.last_frame);
  }
  if (removes && steps.size() == 1) {  // nothing of its state matters any more
    records_.erase(at);
    return absl::OkStatus();
  }
  FrameApplication application(frame, record);
  VARVE_RETURN_IF_ERROR(application.Run());
  if (removes) {
    if (!creates) records_.erase(at);
    return absl::OkStatus();
  }
  std::move(application).Store(&record);
  if (creates) records_.emplace(frame.group, std::move(fresh));
  return absl::OkStatus();
}

void ReplicaTable::RaiseSyncPoint(GroupId group, const SyncPoint& point) {
  const auto at = records_.find(group);
  if (at == records_.end()) return;
  ReplicaRecord& record = at->second;
  if (point.index > record.scalars.end.last_index || point.index <= record.sync_point.index) return;
  record.sync_point = point;
}

void ReplicaTable::MarkAllSuspect(std::string_view why) {
  for (auto& [group, record] : records_) {
    if (record.suspect) continue;
    record.suspect = true;
    record.suspect_why = why;
  }
}

void ReplicaTable::Put(ReplicaRecord record) {
  const GroupId group = record.group;
  records_.insert_or_assign(group, std::move(record));
}

const ReplicaRecord* ReplicaTable::Find(GroupId group) const {
  const auto at = records_.find(group);
  return at == records_.end() ? nullptr : &at->second;
}

}  // namespace varve::storage
