#include "storage/recovery.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

std::string Missing(const Segment& segment) {
  return StrCat("segment \"", segment.path(),
                "\" is missing; the journal lists it, and its bytes are no longer in the journal");
}

// Brings the segments to what the journal says: observes, and does what the tables say.
class Recovery {
 public:
  Recovery(const SegmentContext& context, const DirectoryPaths& paths, RecoveryTrace* trace)
      : context_(context), paths_(paths), trace_(trace) {}

  absl::StatusOr<Recovered> Run();

 private:
  // One replica while it is brought up.
  struct Work {
    const ReplicaRecord* record = nullptr;
    std::shared_ptr<ReplicaFiles> files;
    std::map<FileNumber, std::shared_ptr<Segment>> segments;
    std::set<FileNumber> present;  // files that exist
  };
  absl::Status OpenReplicas();
  absl::Status ListDirectory(Work& work);
  absl::Status Redo(const JournalFrame& frame);
  const RecoveryRowInfo& JudgeRedo(const Work& work, StepSeen step, FileNumber file);
  absl::Status RedoAppend(Work& work, const AppendStep& step, const RecoveryRowInfo& row);
  absl::Status Finish(Work& work);
  absl::Status LoadSegments(Work& work);
  absl::Status LoadSegment(Work& work, const SegmentRef& ref);
  absl::StatusOr<SegmentObservation> Observe(Work& work, const SegmentRef& ref, uint64_t* end,
                                             absl::Status* why);
  absl::Status JudgeTail(absl::Status status);
  absl::Status LoadEpochs(Work& work);
  static absl::Status LoadTail(ReplicaFiles& files);
  static absl::Status LoadPendingTrims(ReplicaFiles& files);
  absl::Status SyncReplica(Work& work);
  absl::Status TrashStrays();
  absl::Status JudgeGroupDirectory(const DirectoryEntry& entry);
  absl::Status JudgeFile(const Work& work, const std::string& directory,
                         const DirectoryEntry& group, const DirectoryEntry& file);
  absl::Status MoveToTrash(const std::string& path, const std::string& name);
  void RaiseNextFile(FileNumber file);

  const SegmentContext& context_;
  const DirectoryPaths& paths_;
  RecoveryTrace* const trace_;
  JournalContents journal_;
  std::map<GroupId, Work> works_;
  Recovered out_;
};

absl::StatusOr<Recovered> Recovery::Run() {
  VARVE_ASSIGN_OR_RETURN(journal_,
                         ReadJournal(context_.files, paths_.journal, context_.identity, trace_));
  out_.report.notes = journal_.notes;
  out_.checkpoint = journal_.checkpoint;
  VARVE_RETURN_IF_ERROR(OpenReplicas());
  VARVE_RETURN_IF_ERROR(ReplayJournal(context_.files, paths_.journal, journal_,
                                      [this](const JournalFrame& frame) { return Redo(frame); }));
  for (auto& [group, work] : works_) VARVE_RETURN_IF_ERROR(Finish(work));
  VARVE_RETURN_IF_ERROR(TrashStrays());
  VARVE_RETURN_IF_ERROR(context_.files.SyncDirectory(paths_.groups));
  out_.checkpoint.replicas = {};
  for (auto& [group, work] : works_) {
    ReplicaRecord record = *work.record;
    if (!record.segments.empty())
      record.sync_point = {record.segments.back().file, work.files->segments.back().end,
                           record.scalars.end.last_index, record.scalars.end.next_offset};
    out_.checkpoint.replicas.Put(std::move(record));
    out_.replicas.emplace(group, std::move(work.files));
  }
  out_.checkpoint.last_commit = journal_.last_commit;
  out_.checkpoint.durable_through = journal_.last_commit;
  ++out_.checkpoint.process_epoch;
  out_.report.replicas = works_.size();
  return std::move(out_);
}

void Recovery::RaiseNextFile(FileNumber file) {
  out_.checkpoint.next_file = std::max(out_.checkpoint.next_file, file + 1);
}

absl::Status Recovery::OpenReplicas() {
  for (const auto& [group, record] : journal_.replicas.records()) {
    Work& work = works_[group];
    work.record = &record;
    work.files = std::make_shared<ReplicaFiles>(group, record.replica_epoch,
                                                JoinPath(paths_.groups, GroupDirectoryName(group)));
    for (const SegmentRef& ref : record.segments) {
      work.segments[ref.file] =
          std::make_shared<Segment>(context_, work.files->directory, group, ref);
      RaiseNextFile(ref.file);
    }
    VARVE_RETURN_IF_ERROR(ListDirectory(work));
  }
  return absl::OkStatus();
}

absl::Status Recovery::ListDirectory(Work& work) {
  auto listed = context_.files.List(work.files->directory);
  if (absl::IsNotFound(listed.status())) {
    const NameObservation seen{NameSeen::kNoGroupDirectory, NameOwner::kKnown};
    VARVE_CHECK(Decide(seen, trace_).verdict == RecoveryVerdict::kCreate);
    return context_.files.CreateDirectory(work.files->directory);
  }
  VARVE_RETURN_IF_ERROR(listed.status());
  for (const DirectoryEntry& entry : *listed) {
    const auto name = ParseGroupFileName(entry.name);
    if (!name) continue;
    RaiseNextFile(name->file);
    if (name->kind != GroupFileKind::kSegment) continue;
    work.present.insert(name->file);
  }
  return absl::OkStatus();
}

// --- Redo
// -----------------------------------------------------------------------------------------

absl::Status Recovery::Redo(const JournalFrame& frame) {
  const auto at = works_.find(frame.group);
  RedoObservation seen;
  if (at == works_.end()) {
    seen.replica = ReplicaSeen::kGone;
  } else if (at->second.record->replica_epoch != frame.replica_epoch) {
    seen.replica = ReplicaSeen::kOtherEpoch;
  }
  Decide(seen, trace_);
  if (seen.replica != ReplicaSeen::kPresent) return absl::OkStatus();
  Work& work = at->second;
  ++out_.report.frames_replayed;
  for (const JournalStep& step : frame.steps) {
    if (const auto* append = std::get_if<AppendStep>(&step)) {
      const bool first = append->position == kFileHeaderBytes;
      const RecoveryRowInfo& row =
          JudgeRedo(work, first ? StepSeen::kAppendAtStart : StepSeen::kAppend, append->file);
      VARVE_RETURN_IF_ERROR(RedoAppend(work, *append, row));
    } else if (const auto* truncate = std::get_if<TruncateStep>(&step)) {
      const RecoveryRowInfo& row = JudgeRedo(work, StepSeen::kTruncate, truncate->file);
      if (row.verdict == RecoveryVerdict::kRedo)
        VARVE_RETURN_IF_ERROR(work.segments[truncate->file]->Truncate(truncate->position));
    }
  }
  return absl::OkStatus();
}

const RecoveryRowInfo& Recovery::JudgeRedo(const Work& work, StepSeen step, FileNumber file) {
  const RedoObservation seen{ReplicaSeen::kPresent, step,
                             work.segments.contains(file) ? SetSeen::kInSet : SetSeen::kLeftSet,
                             work.present.contains(file) ? FileSeen::kPresent : FileSeen::kMissing};
  return Decide(seen, trace_);
}

absl::Status Recovery::RedoAppend(Work& work, const AppendStep& step, const RecoveryRowInfo& row) {
  if (row.verdict == RecoveryVerdict::kIgnore) return absl::OkStatus();
  Segment& segment = *work.segments.at(step.file);
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, Missing(segment));
  if (row.verdict == RecoveryVerdict::kCreate) {
    work.present.insert(step.file);
    VARVE_RETURN_IF_ERROR(segment.Create());
  } else if (row.row == RecoveryRow::kRedoBeginsSegment) {
    VARVE_RETURN_IF_ERROR(segment.WriteHeader());
  }
  for (const Entry& entry : step.entries) out_.report.bytes_replayed += entry.frame.size();
  return segment.Write(step.position, step.entries);
}

// --- Bringing replicas up
// -------------------------------------------------------------------------

absl::Status Recovery::Finish(Work& work) {
  const ReplicaRecord& record = *work.record;
  ReplicaFiles& files = *work.files;
  files.scalars = record.scalars;
  files.configurations = record.configurations;
  files.last_frame = record.last_frame;
  files.durable_index = record.scalars.end.last_index;
  files.written_index = record.scalars.end.last_index;
  VARVE_RETURN_IF_ERROR(LoadSegments(work));
  VARVE_RETURN_IF_ERROR(JudgeTail(LoadEpochs(work)));
  DropEpochsBefore(files.scalars.start.index, &files.epochs);
  VARVE_RETURN_IF_ERROR(JudgeTail(LoadTail(files)));
  VARVE_RETURN_IF_ERROR(JudgeTail(LoadPendingTrims(files)));
  VARVE_RETURN_IF_ERROR(SyncReplica(work));
  if (!files.segments.empty())
    files.written = {record.last_frame,
                     {record.segments.back().file, files.segments.back().end,
                      record.scalars.end.last_index, record.scalars.end.next_offset}};
  return absl::OkStatus();
}

absl::Status Recovery::LoadSegments(Work& work) {
  for (const SegmentRef& ref : work.record->segments) VARVE_RETURN_IF_ERROR(LoadSegment(work, ref));
  return absl::OkStatus();
}

// What is found of a segment, and in `why` what is wrong with it. Loads it, if it is whole: then
// `end` is where it ends. An error is one of the disk.
absl::StatusOr<SegmentObservation> Recovery::Observe(Work& work, const SegmentRef& ref,
                                                     uint64_t* end, absl::Status* why) {
  SegmentObservation seen;
  const ReplicaRecord& record = *work.record;
  if (ref.file != record.segments.back().file) {
    const auto next =
        std::find_if(record.segments.begin(), record.segments.end(),
                     [&](const SegmentRef& r) { return r.first_index > ref.first_index; });
    if (next->first_index - 1 <= std::min(record.sync_point.index, record.scalars.commit_index))
      seen.place = SegmentPlace::kSynced;
  }
  const auto& segment = work.segments[ref.file];
  if (!work.present.contains(ref.file)) {
    seen.segment = SegmentSeen::kMissing;
    *why = MakeError(Reason::DATA_LOSS, Missing(*segment));
    return seen;
  }
  *end = ref.end_position;
  if (*end != 0) {
    *why = segment->Load(*end, trace_);
  } else if (const auto found = segment->LoadUpTo(record.scalars.end, trace_); found.ok()) {
    *end = *found;
  } else {
    *why = found.status();
  }
  VARVE_ASSIGN_OR_RETURN(const DirectoryEntry stat, context_.files.Stat(segment->path()));
  switch (ReasonOf(*why)) {
    case Reason::OK:
      seen.segment = stat.size > *end ? SegmentSeen::kLonger : SegmentSeen::kWhole;
      return seen;
    case Reason::NEWER_FORMAT:
      seen.segment = SegmentSeen::kNewerFormat;
      return seen;
    case Reason::FOREIGN_DIRECTORY:
      seen.segment = SegmentSeen::kForeign;
      return seen;
    case Reason::DATA_LOSS: {
      const uint64_t vouched =
          record.sync_point.file == ref.file ? record.sync_point.position : *end;
      seen.segment = stat.size < vouched ? SegmentSeen::kShorter : SegmentSeen::kMismatch;
      return seen;
    }
    default:
      return *why;
  }
}

absl::Status Recovery::LoadSegment(Work& work, const SegmentRef& ref) {
  uint64_t end = 0;
  absl::Status why;
  VARVE_ASSIGN_OR_RETURN(const SegmentObservation seen, Observe(work, ref, &end, &why));
  const RecoveryRowInfo& row = Decide(seen, trace_);
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, MessageOf(why));
  const auto& segment = work.segments[ref.file];
  if (row.verdict == RecoveryVerdict::kCut) {
    VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(segment->path()));
    VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    VARVE_RETURN_IF_ERROR(file->Truncate(end));
    out_.report.notes.push_back(
        StrCat("cut ", size - end, " bytes behind the end of ", segment->path()));
  }
  VARVE_RETURN_IF_ERROR(segment->SaveIndex(segment->TakeUnsavedRows(end)));
  work.files->segments.push_back({segment, end, end, WallTime{}});
  return absl::OkStatus();
}

// Reading the tail once more, for what its entries say, may find damage that the load did not.
absl::Status Recovery::JudgeTail(absl::Status status) {
  if (ReasonOf(status) != Reason::DATA_LOSS) return status;
  const SegmentObservation seen{SegmentSeen::kMismatch, SegmentPlace::kTail};
  return RefusalOf(Decide(seen, trace_), MessageOf(status));
}

// The newest segment start knows all terms before it; those after it show where frame headers
// change.
absl::Status Recovery::LoadEpochs(Work& work) {
  ReplicaFiles& files = *work.files;
  if (files.segments.empty()) return absl::OkStatus();
  const PlacedSegment& active = files.segments.back();
  const WalkStart first{kFileHeaderBytes, active.segment->first_index()};
  VARVE_ASSIGN_OR_RETURN(const std::vector<Entry> start,
                         active.segment->Read(first, active.end, active.segment->first_index(),
                                              active.segment->first_index(), std::nullopt, 1));
  if (start.size() != 1 || start[0].header.kind != EntryKind::kMeta)
    return MakeError(Reason::DATA_LOSS, "segment \"", active.segment->path(),
                     "\" does not begin with a segment start");
  VARVE_ASSIGN_OR_RETURN(const MetaBody body, DecodeMeta(start[0].payload()));
  const auto* meta = std::get_if<SegmentStart>(&body);
  if (meta == nullptr)
    return MakeError(Reason::DATA_LOSS, "segment \"", active.segment->path(),
                     "\" does not begin with a segment start");
  files.epochs = meta->epochs;
  files.segments.back().begin_time = start[0].header.append_time;
  const auto note = [&](const EntryHeader& header) {
    if (files.epochs.empty() || files.epochs.back().term < header.term)
      files.epochs.push_back({header.term, header.first_index, header.base_offset});
  };
  note(start[0].header);
  if (files.epochs.back().term == files.scalars.end.last_term) return absl::OkStatus();
  return active.segment->Walk(first, active.end, false, [&](const EntryHeader& header, uint64_t) {
    note(header);
    return header.term < files.scalars.end.last_term;
  });
}

// Ends of the entries that a truncation may uncover.
absl::Status Recovery::LoadTail(ReplicaFiles& files) {
  const Index first = files.scalars.commit_index;
  for (size_t i = 0; i < files.segments.size(); ++i) {
    const PlacedSegment& placed = files.segments[i];
    if (i + 1 < files.segments.size() && files.segments[i + 1].segment->first_index() <= first)
      continue;
    VARVE_RETURN_IF_ERROR(placed.segment->Walk(
        placed.segment->Before(first), placed.end, false,
        [&](const EntryHeader& header, uint64_t position) {
          files.tail.push_back(
              {{header.last_index, header.term, header.next_offset(), header.append_time},
               placed.segment->file(),
               position + header.frame_bytes()});
          DropCommittedEnds(&files);
          return true;
        }));
  }
  return absl::OkStatus();
}

// Trims up to the recorded commit index are in the log start; those beyond it wait for their
// commit.
absl::Status Recovery::LoadPendingTrims(ReplicaFiles& files) {
  const Index first = files.scalars.commit_index + 1;
  std::vector<std::pair<const PlacedSegment*, Index>> metas;
  for (size_t i = 0; i < files.segments.size(); ++i) {
    const PlacedSegment& placed = files.segments[i];
    if (i + 1 < files.segments.size() && files.segments[i + 1].segment->first_index() <= first)
      continue;
    if (files.scalars.end.last_index < first) break;
    VARVE_RETURN_IF_ERROR(placed.segment->Walk(
        placed.segment->Before(first), placed.end, false, [&](const EntryHeader& header, uint64_t) {
          if (header.kind == EntryKind::kMeta && header.first_index >= first)
            metas.emplace_back(&placed, header.first_index);
          return true;
        }));
  }
  for (const auto& [placed, index] : metas) {
    VARVE_ASSIGN_OR_RETURN(const std::vector<Entry> found,
                           placed->segment->Read(placed->segment->Before(index), placed->end, index,
                                                 index, std::nullopt, 1));
    if (found.size() != 1) continue;
    if (const auto log_start = TrimOf(found[0].payload()))
      files.pending_trims.push_back({index, std::min(*log_start, found[0].header.base_offset)});
  }
  return absl::OkStatus();
}

// All that was redone is synced before the journal that holds it may go. What was not redone was
// synced before the crash; the segment of the sync point is synced again all the same.
absl::Status Recovery::SyncReplica(Work& work) {
  const SyncPoint& point = work.record->sync_point;
  for (const PlacedSegment& placed : work.files->segments) {
    if (placed.segment->file() == point.file) VARVE_RETURN_IF_ERROR(placed.segment->Touch());
    VARVE_RETURN_IF_ERROR(placed.segment->SyncData());
  }
  return context_.files.SyncDirectory(work.files->directory);
}

// --- Strays
// ---------------------------------------------------------------------------------------

absl::Status Recovery::MoveToTrash(const std::string& path, const std::string& name) {
  ++out_.report.files_trashed;
  const std::string target = JoinPath(paths_.trash, name);
  out_.report.notes.push_back(StrCat("moved ", path, " to the trash: no replica lists it"));
  return context_.files.Rename(path, target);
}

absl::Status Recovery::TrashStrays() {
  VARVE_ASSIGN_OR_RETURN(const auto groups, context_.files.List(paths_.groups));
  for (const DirectoryEntry& entry : groups) VARVE_RETURN_IF_ERROR(JudgeGroupDirectory(entry));
  return context_.files.SyncDirectory(paths_.trash);
}

absl::Status Recovery::JudgeGroupDirectory(const DirectoryEntry& entry) {
  const auto group = ParseGroupDirectoryName(entry.name);
  const std::string path = JoinPath(paths_.groups, entry.name);
  const auto at = group ? works_.find(*group) : works_.end();
  const NameObservation seen{NameSeen::kGroupDirectory,
                             at == works_.end() ? NameOwner::kUnknown : NameOwner::kKnown};
  if (Decide(seen, trace_).verdict == RecoveryVerdict::kTrash) {
    VARVE_RETURN_IF_ERROR(
        MoveToTrash(path, StrCat(entry.name, "-", out_.checkpoint.next_file.value())));
    RaiseNextFile(out_.checkpoint.next_file);
    return absl::OkStatus();
  }
  VARVE_ASSIGN_OR_RETURN(const auto listed, context_.files.List(path));
  for (const DirectoryEntry& file : listed)
    VARVE_RETURN_IF_ERROR(JudgeFile(at->second, path, entry, file));
  return context_.files.SyncDirectory(path);
}

absl::Status Recovery::JudgeFile(const Work& work, const std::string& directory,
                                 const DirectoryEntry& group, const DirectoryEntry& file) {
  const auto name = ParseGroupFileName(file.name);
  NameObservation seen;
  if (name) {
    seen.name = name->kind == GroupFileKind::kIndex ? NameSeen::kIndex : NameSeen::kSegment;
    if (work.segments.contains(name->file)) seen.owner = NameOwner::kKnown;
  }
  const std::string path = JoinPath(directory, file.name);
  switch (Decide(seen, trace_).verdict) {
    case RecoveryVerdict::kRemove:
      return context_.files.RemoveFile(path);
    case RecoveryVerdict::kTrash:
      return MoveToTrash(path, StrCat(group.name, "-", file.name));
    default:
      return absl::OkStatus();
  }
}

}  // namespace

absl::StatusOr<Recovered> Recover(const SegmentContext& context, const DirectoryPaths& paths,
                                  RecoveryTrace* trace) {
  return Recovery(context, paths, trace).Run();
}

}  // namespace varve::storage
