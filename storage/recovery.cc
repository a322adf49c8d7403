#include "storage/recovery.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

class Recovery {
 public:
  Recovery(const SegmentContext& context, const DirectoryPaths& paths)
      : context_(context), paths_(paths) {}

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
  absl::Status RedoAppend(Work& work, const AppendStep& step);
  [[nodiscard]] absl::Status Missing(const Segment& segment) const;
  absl::Status Finish(Work& work);
  absl::Status LoadSegments(Work& work);
  absl::Status LoadEpochs(Work& work);
  static absl::Status LoadTail(ReplicaFiles& files);
  static absl::Status LoadPendingTrims(ReplicaFiles& files);
  absl::Status SyncReplica(Work& work);
  absl::Status TrashStrays();
  absl::Status MoveToTrash(const std::string& path, const std::string& name);
  void RaiseNextFile(FileNumber file);

  const SegmentContext& context_;
  const DirectoryPaths& paths_;
  JournalContents journal_;
  std::map<GroupId, Work> works_;
  Recovered out_;
};

absl::StatusOr<Recovered> Recovery::Run() {
  VARVE_ASSIGN_OR_RETURN(journal_, ReadJournal(context_.files, paths_.journal, context_.identity));
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
    // The creation is in the journal, and its directory was not yet durable.
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
  if (at == works_.end() || at->second.record->replica_epoch != frame.replica_epoch)
    return absl::OkStatus();
  Work& work = at->second;
  ++out_.report.frames_replayed;
  for (const JournalStep& step : frame.steps) {
    if (const auto* append = std::get_if<AppendStep>(&step)) {
      VARVE_RETURN_IF_ERROR(RedoAppend(work, *append));
    } else if (const auto* truncate = std::get_if<TruncateStep>(&step)) {
      if (!work.segments.contains(truncate->file) || !work.present.contains(truncate->file))
        continue;
      VARVE_RETURN_IF_ERROR(work.segments[truncate->file]->Truncate(truncate->position));
    }
  }
  return absl::OkStatus();
}

absl::Status Recovery::RedoAppend(Work& work, const AppendStep& step) {
  const auto at = work.segments.find(step.file);
  if (at == work.segments.end()) return absl::OkStatus();  // left the set later
  // The first append makes the file. What a crash left of it may lack its header, or any part.
  if (step.position == kFileHeaderBytes) {
    VARVE_RETURN_IF_ERROR(work.present.insert(step.file).second ? at->second->Create()
                                                                : at->second->WriteHeader());
  } else if (!work.present.contains(step.file)) {
    return Missing(*at->second);
  }
  for (const Entry& entry : step.entries) out_.report.bytes_replayed += entry.frame.size();
  return at->second->Write(step.position, step.entries);
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
  VARVE_RETURN_IF_ERROR(LoadEpochs(work));
  DropEpochsBefore(files.scalars.start.index, &files.epochs);
  VARVE_RETURN_IF_ERROR(LoadTail(files));
  VARVE_RETURN_IF_ERROR(LoadPendingTrims(files));
  VARVE_RETURN_IF_ERROR(SyncReplica(work));
  if (!files.segments.empty())
    files.written = {record.last_frame,
                     {record.segments.back().file, files.segments.back().end,
                      record.scalars.end.last_index, record.scalars.end.next_offset}};
  return absl::OkStatus();
}

absl::Status Recovery::Missing(const Segment& segment) const {
  return MakeError(Reason::DATA_LOSS, "segment \"", segment.path(),
                   "\" is missing; the journal lists it, and its bytes are no longer in the "
                   "journal");
}

absl::Status Recovery::LoadSegments(Work& work) {
  for (const SegmentRef& ref : work.record->segments) {
    const auto& segment = work.segments[ref.file];
    if (!work.present.contains(ref.file)) return Missing(*segment);
    uint64_t end = ref.end_position;
    if (end != 0) {
      VARVE_RETURN_IF_ERROR(segment->Load(end));
    } else {
      VARVE_ASSIGN_OR_RETURN(end, segment->LoadUpTo(work.record->scalars.end));
    }
    VARVE_ASSIGN_OR_RETURN(const DirectoryEntry stat, context_.files.Stat(segment->path()));
    if (stat.size > end) {
      // Bytes behind the end that the journal vouches for: from writes that were never
      // acknowledged.
      VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(segment->path()));
      VARVE_RETURN_IF_ERROR(file->Truncate(end));
      out_.report.notes.push_back(
          StrCat("cut ", stat.size - end, " bytes behind the end of ", segment->path()));
    }
    VARVE_RETURN_IF_ERROR(segment->SaveIndex(segment->TakeUnsavedRows(end)));
    work.files->segments.push_back({segment, end, end, WallTime{}});
  }
  return absl::OkStatus();
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
  for (const DirectoryEntry& entry : groups) {
    const auto group = ParseGroupDirectoryName(entry.name);
    const std::string path = JoinPath(paths_.groups, entry.name);
    const auto at = group ? works_.find(*group) : works_.end();
    if (at == works_.end()) {
      VARVE_RETURN_IF_ERROR(
          MoveToTrash(path, StrCat(entry.name, "-", out_.checkpoint.next_file.value())));
      RaiseNextFile(out_.checkpoint.next_file);
      continue;
    }
    VARVE_ASSIGN_OR_RETURN(const auto listed, context_.files.List(path));
    for (const DirectoryEntry& file : listed) {
      const auto name = ParseGroupFileName(file.name);
      if (name && at->second.segments.contains(name->file)) continue;
      const std::string stray = JoinPath(path, file.name);
      if (name && name->kind == GroupFileKind::kIndex) {  // derived
        VARVE_RETURN_IF_ERROR(context_.files.RemoveFile(stray));
        continue;
      }
      VARVE_RETURN_IF_ERROR(MoveToTrash(stray, StrCat(entry.name, "-", file.name)));
    }
    VARVE_RETURN_IF_ERROR(context_.files.SyncDirectory(path));
  }
  return context_.files.SyncDirectory(paths_.trash);
}

}  // namespace

absl::StatusOr<Recovered> Recover(const SegmentContext& context, const DirectoryPaths& paths) {
  return Recovery(context, paths).Run();
}

}  // namespace varve::storage
