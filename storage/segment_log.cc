#include "storage/segment_log.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/defect.h"
#include "storage/format/file_header.h"

namespace varve::storage {

absl::Status SuspicionOf(GroupId group, std::string_view why) {
  return MakeError(Reason::REPLICA_SUSPECT, "the replica of group ", group,
                   " may have lost a vote or an acknowledged entry: ", why);
}

void DropCommittedEnds(ReplicaFiles* files) {
  while (files->tail.size() > 1 && files->tail[1].end.last_index <= files->scalars.commit_index)
    files->tail.pop_front();
}

std::optional<Term> TermAt(const ReplicaFiles& files, Index index) {
  const LogStart& start = files.scalars.start;
  if (index > files.scalars.end.last_index) return std::nullopt;
  if (index < start.index)
    return index + 1 == start.index ? std::optional(start.previous_term) : std::nullopt;
  const auto at = std::upper_bound(files.epochs.begin(), files.epochs.end(), index,
                                   [](Index i, const EpochStart& e) { return i < e.index; });
  if (at == files.epochs.begin()) return start.previous_term;
  return std::prev(at)->term;
}

SegmentLog::SegmentLog(const LogParts& parts, std::shared_ptr<ReplicaFiles> files, Executor& shard)
    : parts_(parts),
      files_(std::move(files)),
      shard_(shard),
      self_(std::make_shared<SegmentLog*>(this)) {}

SegmentLog::~SegmentLog() {
  *self_ = nullptr;
  std::lock_guard lock(files_->mutex);
  files_->log_open = false;
}

// Scalars, configurations and epochs are written by this shard only: it reads them without the
// lock.

std::vector<LogEnd> SegmentLog::ends() const {
  std::vector<LogEnd> ends;
  ends.reserve(files_->tail.size());
  for (const EntryEnd& entry : files_->tail) ends.push_back(entry.end);
  return ends;
}

std::vector<DamagedRange> SegmentLog::damaged_ranges() const {
  std::vector<DamagedRange> out;
  std::lock_guard lock(files_->mutex);
  for (const DamagedRange& range : files_->damaged)
    if (range.last >= files_->scalars.start.index) out.push_back(range);
  return out;
}

uint64_t SegmentLog::size_bytes() const {
  std::lock_guard lock(files_->mutex);
  uint64_t bytes = 0;
  for (const PlacedSegment& placed : files_->segments) bytes += placed.end;
  return bytes;
}

uint64_t SegmentLog::active_segment_bytes() const {
  std::lock_guard lock(files_->mutex);
  return files_->segments.empty() ? 0 : files_->segments.back().end;
}

std::optional<Term> SegmentLog::TermAt(Index index) const {
  return storage::TermAt(*files_, index);
}

// --- Writing
// --------------------------------------------------------------------------------------

SegmentLog::Draft SegmentLog::NewDraft() {
  Draft draft;
  draft.frame.group = files_->group;
  draft.frame.replica_epoch = files_->epoch;
  draft.frame.sequence = files_->last_frame + 1;
  draft.work.replica = files_;
  draft.work.frame = draft.frame.sequence;
  return draft;
}

void SegmentLog::Write(LogWrite write, Done done) {
  VARVE_CHECK(shard_.InExecutor());
  absl::Status health = parts_.writer->health();
  health.Update(files_->Suspicion());
  if (!health.ok()) {
    size_t reserved = 0;
    for (const Entry& entry : write.entries)
      if (!entry.header.zero_width()) reserved += entry.frame.size();
    if (reserved > 0) parts_.budget->Release(reserved);
    return shard_.Post([self = self_, done = std::move(done), health]() mutable {
      if (*self != nullptr) done(health);
    });
  }
  Draft draft = NewDraft();
  const bool urgent = write.hard_state.has_value() || files_->group < kFirstTopicGroup;
  {
    std::lock_guard lock(files_->mutex);
    if (write.truncate_from) Truncate(*write.truncate_from, &draft);
    Append(std::move(write.entries), &draft);
    ReplicaScalars& scalars = files_->scalars;
    if (write.hard_state) scalars.hard_state = *write.hard_state;
    scalars.commit_index =
        std::max(scalars.commit_index, std::min(write.commit_index, scalars.end.last_index));
    DropCommittedEnds(files_.get());
    if (write.configurations) {
      files_->configurations = *write.configurations;
      draft.frame.steps.push_back(ConfigurationsStep{*std::move(write.configurations)});
    }
    ApplyTrims(&draft);
  }
  Submit(std::move(draft), urgent, std::move(done));
}

void SegmentLog::WriteCreation(std::optional<Entry> bootstrap, Configurations configurations,
                               Done done) {
  Draft draft = NewDraft();
  draft.frame.steps.push_back(CreateReplicaStep{});
  draft.work.create_directory = true;
  {
    std::lock_guard lock(files_->mutex);
    if (bootstrap) {
      Append({*std::move(bootstrap)}, &draft);
      files_->scalars.commit_index = Index(1);
      DropCommittedEnds(files_.get());
    }
    files_->configurations = configurations;
    draft.frame.steps.push_back(ConfigurationsStep{std::move(configurations)});
  }
  Submit(std::move(draft), true, std::move(done));
}

// files_->mutex held, as in the following.
EntryEnd SegmentLog::FindCut(Index from) const {
  const ReplicaScalars& scalars = files_->scalars;
  VARVE_CHECK(
      from > scalars.commit_index && from <= scalars.end.last_index && from > scalars.start.index,
      "group ", files_->group, ": truncation from ", from, " with commit ", scalars.commit_index);
  const auto at = std::lower_bound(
      files_->tail.begin(), files_->tail.end(), from - 1,
      [](const EntryEnd& entry, Index last) { return entry.end.last_index < last; });
  VARVE_CHECK(at != files_->tail.end() && at->end.last_index == from - 1, "group ", files_->group,
              ": no entry of the log ends at ", from - 1);
  return *at;
}

void SegmentLog::Truncate(Index from, Draft* draft) {
  const EntryEnd cut = FindCut(from);
  while (files_->tail.back().end.last_index >= from) files_->tail.pop_back();
  while (!files_->cache.empty() && files_->cache.back().header.first_index >= from)
    files_->cache.pop_back();
  while (!files_->epochs.empty() && files_->epochs.back().index >= from) files_->epochs.pop_back();
  while (!files_->pending_trims.empty() && files_->pending_trims.back().index >= from)
    files_->pending_trims.pop_back();
  SegmentSetStep set;
  while (files_->segments.back().segment->first_index() >= from) {
    set.removed.push_back(files_->segments.back().segment->file());
    draft->work.remove.push_back(files_->segments.back().segment);
    files_->segments.pop_back();
  }
  PlacedSegment& active = files_->segments.back();
  const FileNumber file = active.segment->file();
  if (!set.removed.empty()) {
    set.put.push_back({file, active.segment->base_offset(), active.segment->first_index(), 0});
    draft->frame.steps.push_back(std::move(set));
  }
  files_->scalars.end = cut.end;
  active.end = cut.position;
  active.written_end = std::min(active.written_end, cut.position);
  active.segment->Forget(cut.position);
  files_->durable_index = std::min(files_->durable_index, from - 1);
  files_->written_index = std::min(files_->written_index, from - 1);
  if (files_->synced.index >= from) files_->synced = {};  // until the next pass
  ++files_->truncations;
  draft->frame.steps.push_back(TruncateStep{from, file, cut.position});
  draft->work.truncate = active.segment;
  draft->work.truncate_to = cut.position;
}

void SegmentLog::BeginSegment(const Entry& start, Draft* draft) {
  SegmentSetStep set;
  if (!files_->segments.empty()) {
    const PlacedSegment& active = files_->segments.back();
    set.put.push_back({active.segment->file(), active.segment->base_offset(),
                       active.segment->first_index(), active.end});
  }
  const bool reuse = Planted(Defect::kFileNumberReused) && !files_->segments.empty();
  SegmentRef ref{
      reuse ? files_->segments.back().segment->file() + 1 : parts_.journal.NextFileNumber(),
      start.header.base_offset, start.header.first_index, 0};
  set.put.push_back(ref);
  draft->frame.steps.push_back(std::move(set));
  PlacedSegment placed{
      std::make_shared<Segment>(parts_.context, files_->directory, files_->group, ref),
      kFileHeaderBytes, kFileHeaderBytes, start.header.append_time};
  draft->work.appends.push_back({placed.segment, true, kFileHeaderBytes, {}});
  draft->frame.steps.push_back(AppendStep{ref.file, kFileHeaderBytes, {}});
  files_->segments.push_back(std::move(placed));
}

void SegmentLog::Append(std::vector<Entry> entries, Draft* draft) {
  LogEnd& end = files_->scalars.end;
  bool continues = false;  // the newest append step goes on
  for (Entry& entry : entries) {
    const EntryHeader& header = entry.header;
    VARVE_CHECK(header.group == files_->group && header.first_index == end.last_index + 1 &&
                    header.base_offset == end.next_offset && header.term >= end.last_term &&
                    header.append_time >= end.append_time,
                "group ", files_->group, ": entry ", header.first_index, " at offset ",
                header.base_offset, " does not continue the log at ", end.last_index, ", offset ",
                end.next_offset);
    const bool begins = header.kind == EntryKind::kMeta && IsSegmentStart(entry.payload());
    VARVE_CHECK(begins || !files_->segments.empty(), "a log begins with a segment start");
    if (begins) {
      BeginSegment(entry, draft);
    } else if (!continues) {
      const PlacedSegment& active = files_->segments.back();
      draft->work.appends.push_back({active.segment, false, active.end, {}});
      draft->frame.steps.push_back(AppendStep{active.segment->file(), active.end, {}});
    }
    continues = true;
    if (header.kind == EntryKind::kMeta) {
      if (const auto log_start = TrimOf(entry.payload()))
        files_->pending_trims.push_back(
            {header.first_index, std::min(*log_start, header.base_offset)});
    }
    PlacedSegment& active = files_->segments.back();
    active.segment->Note(header, MaxRecordTimestamp(header, entry.frame.view()), active.end);
    active.end += header.frame_bytes();
    if (files_->epochs.empty() || files_->epochs.back().term < header.term)
      files_->epochs.push_back({header.term, header.first_index, header.base_offset});
    end = {header.last_index, header.term, header.next_offset(), header.append_time};
    files_->tail.push_back({end, active.segment->file(), active.end});
    draft->cached.emplace_back(header.last_index, entry.frame.size());
    draft->work.dirty_bytes += entry.frame.size();
    if (header.zero_width()) parts_.budget->Charge(entry.frame.size());
    files_->cache.push_back(entry);
    draft->work.appends.back().entries.push_back(entry);
    std::get<AppendStep>(draft->frame.steps.back()).entries.push_back(std::move(entry));
  }
}

void SegmentLog::Submit(Draft draft, bool urgent, Done done) {
  files_->last_frame = draft.frame.sequence;
  draft.work.truncations = files_->truncations;
  draft.frame.scalars = files_->scalars;
  const LogEnd& end = files_->scalars.end;
  if (!files_->segments.empty())
    draft.work.end = {files_->segments.back().segment->file(), files_->segments.back().end,
                      end.last_index, end.next_offset};
  draft.work.disk_bytes = DiskBytesOf(draft.work);
  parts_.reserve->Charge(draft.work.disk_bytes);
  for (const auto& [last, bytes] : draft.cached) parts_.cache.Added(files_, last, bytes);
  // On the journal's executor: hand over to the writer first, so that nothing that was acknowledged
  // can be forgotten, whatever happens to this log meanwhile.
  parts_.journal.Submit(
      std::move(draft.frame), urgent,
      [writer = parts_.writer, budget = parts_.budget, reserve = parts_.reserve, &shard = shard_,
       self = self_, work = std::move(draft.work), through = end.last_index,
       truncations = files_->truncations, done = std::move(done)](absl::Status status) mutable {
        if (status.ok()) {
          writer->Enqueue(std::move(work));
        } else {
          if (work.dirty_bytes > 0) budget->Release(work.dirty_bytes);
          reserve->Return(work.disk_bytes);
        }
        shard.Post([self, through, truncations, done = std::move(done),
                    status = std::move(status)]() mutable {
          if (*self == nullptr) return;
          if (status.ok()) (*self)->OnDurable(through, truncations);
          done(std::move(status));
        });
      });
}

// What a truncation overtook says nothing about the entries that came after it.
void SegmentLog::OnDurable(Index through, uint64_t truncations) {
  std::lock_guard lock(files_->mutex);
  if (truncations != files_->truncations) return;
  files_->durable_index = std::max(files_->durable_index, through);
}

}  // namespace varve::storage
