#include "storage/replica_recovery.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"
#include "storage/state_files.h"

namespace varve::storage {
namespace {

std::string Missing(const Segment& segment) {
  return StrCat("segment \"", segment.path(),
                "\" is missing; the journal lists it, and its bytes are no longer in the journal");
}

}  // namespace

ReplicaRecovery::ReplicaRecovery(const SegmentContext& context, const ReplicaRecord& record,
                                 const std::string& groups_directory, RecoveryReport* report,
                                 RecoveryTrace* trace)
    : context_(context),
      record_(record),
      report_(report),
      trace_(trace),
      files_(std::make_shared<ReplicaFiles>(
          record.group, record.replica_epoch,
          JoinPath(groups_directory, GroupDirectoryName(record.group)))) {
  for (const SegmentRef& ref : record.segments)
    segments_[ref.file] = std::make_shared<Segment>(context_, files_->directory, record.group, ref);
}

absl::Status ReplicaRecovery::Open(FileNumber* next_file) {
  const auto raise = [next_file](FileNumber file) { *next_file = std::max(*next_file, file + 1); };
  for (const auto& [file, segment] : segments_) raise(file);
  auto listed = context_.files.List(files_->directory);
  if (absl::IsNotFound(listed.status())) {
    const NameObservation seen{NameSeen::kNoGroupDirectory, NameOwner::kKnown};
    VARVE_CHECK(Decide(seen, trace_).verdict == RecoveryVerdict::kCreate);
    return context_.files.CreateDirectory(files_->directory);
  }
  VARVE_RETURN_IF_ERROR(listed.status());
  for (const DirectoryEntry& entry : *listed) {
    const auto name = ParseGroupFileName(entry.name);
    if (!name) continue;
    raise(name->file);
    if (name->kind == GroupFileKind::kSegment) present_.insert(name->file);
  }
  return absl::OkStatus();
}

// --- Redo
// -----------------------------------------------------------------------------------------

absl::Status ReplicaRecovery::Redo(const JournalFrame& frame) {
  ++report_->frames_replayed;
  for (const JournalStep& step : frame.steps) {
    if (const auto* append = std::get_if<AppendStep>(&step)) {
      const bool first = append->position == kFileHeaderBytes;
      const RecoveryRowInfo& row =
          JudgeRedo(first ? StepSeen::kAppendAtStart : StepSeen::kAppend, append->file);
      VARVE_RETURN_IF_ERROR(RedoAppend(*append, row));
    } else if (const auto* truncate = std::get_if<TruncateStep>(&step)) {
      const RecoveryRowInfo& row = JudgeRedo(StepSeen::kTruncate, truncate->file);
      if (row.verdict == RecoveryVerdict::kRedo)
        VARVE_RETURN_IF_ERROR(segments_[truncate->file]->Truncate(truncate->position));
    }
  }
  return absl::OkStatus();
}

const RecoveryRowInfo& ReplicaRecovery::JudgeRedo(StepSeen step, FileNumber file) {
  const RedoObservation seen{ReplicaSeen::kPresent, step,
                             segments_.contains(file) ? SetSeen::kInSet : SetSeen::kLeftSet,
                             present_.contains(file) ? FileSeen::kPresent : FileSeen::kMissing};
  return Decide(seen, trace_);
}

absl::Status ReplicaRecovery::RedoAppend(const AppendStep& step, const RecoveryRowInfo& row) {
  if (row.verdict == RecoveryVerdict::kIgnore) return absl::OkStatus();
  Segment& segment = *segments_.at(step.file);
  if (row.verdict == RecoveryVerdict::kCreate) {
    present_.insert(step.file);
    VARVE_RETURN_IF_ERROR(segment.Create());
  } else if (row.row == RecoveryRow::kRedoBeginsSegment) {
    VARVE_RETURN_IF_ERROR(segment.WriteHeader());
  }
  for (const Entry& entry : step.entries) report_->bytes_replayed += entry.frame.size();
  return segment.Write(step.position, step.entries);
}

// --- Segments
// -------------------------------------------------------------------------------------

absl::Status ReplicaRecovery::Finish() {
  ReplicaFiles& files = *files_;
  files.scalars = record_.scalars;
  files.configurations = record_.configurations;
  files.last_frame = record_.last_frame;
  files.durable_index = record_.scalars.end.last_index;
  files.written_index = record_.scalars.end.last_index;
  if (record_.suspect) SuspectAgain();
  for (const SegmentRef& ref : record_.segments) VARVE_RETURN_IF_ERROR(LoadSegment(ref));
  VARVE_RETURN_IF_ERROR(LoadTail());
  VARVE_RETURN_IF_ERROR(Sync());
  if (!files.segments.empty())
    files.written = {record_.last_frame,
                     {record_.segments.back().file, files.segments.back().end,
                      record_.scalars.end.last_index, record_.scalars.end.next_offset}};
  files.synced = files.written.point;
  return absl::OkStatus();
}

SegmentPlace ReplicaRecovery::PlaceOf(const SegmentRef& ref) const {
  if (ref.file == record_.segments.back().file) return SegmentPlace::kTail;
  const auto next =
      std::find_if(record_.segments.begin(), record_.segments.end(),
                   [&](const SegmentRef& other) { return other.first_index > ref.first_index; });
  const Index last = next->first_index - 1;
  return last <= std::min(record_.sync_point.index, record_.scalars.commit_index)
             ? SegmentPlace::kSynced
             : SegmentPlace::kTail;
}

// What is found of a segment, and in `why` what is wrong with it. Loads it, if it is whole: then
// `end` is where it ends. An error is one of the disk.
absl::StatusOr<SegmentSeen> ReplicaRecovery::Observe(const SegmentRef& ref, uint64_t* end,
                                                     absl::Status* why) {
  const auto& segment = segments_[ref.file];
  if (!present_.contains(ref.file)) {
    *why = MakeError(Reason::DATA_LOSS, Missing(*segment));
    return SegmentSeen::kMissing;
  }
  *end = ref.end_position;
  if (*end != 0) {
    *why = segment->Load(*end, trace_);
  } else if (const auto found = segment->LoadUpTo(record_.scalars.end, trace_); found.ok()) {
    *end = *found;
  } else {
    *why = found.status();
  }
  VARVE_ASSIGN_OR_RETURN(const DirectoryEntry stat, context_.files.Stat(segment->path()));
  switch (ReasonOf(*why)) {
    case Reason::OK:
      return stat.size > *end ? SegmentSeen::kLonger : SegmentSeen::kWhole;
    case Reason::NEWER_FORMAT:
      return SegmentSeen::kNewerFormat;
    case Reason::FOREIGN_DIRECTORY:
      return SegmentSeen::kForeign;
    case Reason::DATA_LOSS: {
      const SyncPoint& point = record_.sync_point;
      const uint64_t vouched = point.file == ref.file ? point.position : *end;
      return stat.size < vouched ? SegmentSeen::kShorter : SegmentSeen::kMismatch;
    }
    default:
      return *why;
  }
}

absl::Status ReplicaRecovery::LoadSegment(const SegmentRef& ref) {
  uint64_t end = 0;
  absl::Status why;
  VARVE_ASSIGN_OR_RETURN(const SegmentSeen segment_seen, Observe(ref, &end, &why));
  const RecoveryRowInfo& row =
      Decide(SegmentObservation{segment_seen, PlaceOf(ref), grade()}, trace_);
  const auto& segment = segments_[ref.file];
  switch (row.verdict) {
    case RecoveryVerdict::kRefuse:
      return RefusalOf(row, MessageOf(why));
    case RecoveryVerdict::kDamaged:
      ++report_->damaged;
      return AddDamaged(ref, RefusalOf(row, MessageOf(why)));
    case RecoveryVerdict::kSuspect:
      Suspect(MessageOf(RefusalOf(row, MessageOf(why))));
      return AddDamaged(ref, RefusalOf(row, MessageOf(why)));
    case RecoveryVerdict::kCut:
      VARVE_RETURN_IF_ERROR(Cut(*segment, end));
      break;
    default:
      break;
  }
  VARVE_RETURN_IF_ERROR(segment->SaveIndex(segment->TakeUnsavedRows(end)));
  files_->segments.push_back({segment, end, end, WallTime{}, absl::OkStatus()});
  return absl::OkStatus();
}

absl::Status ReplicaRecovery::Cut(const Segment& segment, uint64_t end) {
  VARVE_ASSIGN_OR_RETURN(const std::shared_ptr<File> file, context_.pool->Get(segment.path()));
  VARVE_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  VARVE_RETURN_IF_ERROR(file->Truncate(end));
  report_->notes.push_back(StrCat("cut ", size - end, " bytes behind the end of ", segment.path()));
  return absl::OkStatus();
}

// The segment stays in the log, to be read as far as it verifies. Nothing of its file is changed.
absl::Status ReplicaRecovery::AddDamaged(const SegmentRef& ref, const absl::Status& why) {
  const auto& segment = segments_[ref.file];
  const auto next =
      std::find_if(record_.segments.begin(), record_.segments.end(),
                   [&](const SegmentRef& other) { return other.first_index > ref.first_index; });
  const Index last =
      next == record_.segments.end() ? record_.scalars.end.last_index : next->first_index - 1;
  SegmentPrefix whole{kFileHeaderBytes, ref.first_index - 1};
  if (present_.contains(ref.file)) {
    VARVE_ASSIGN_OR_RETURN(whole, segment->VerifiedPrefix(last));
  }
  files_->segments.push_back({segment, whole.end, whole.end, WallTime{}, why});
  files_->damaged.push_back({whole.last_index + 1, last, std::string(MessageOf(why))});
  report_->notes.push_back(StrCat("group ", record_.group, ", entries ", whole.last_index + 1,
                                  " to ", last, ": ", MessageOf(why)));
  return absl::OkStatus();
}

// The first reason stays, whatever is found besides.
void ReplicaRecovery::SuspectAgain() {
  if (!files_->suspicion.ok()) return;
  constexpr std::string_view kBefore = "it was suspect when the directory was opened before";
  if (record_.suspect_why.empty()) return Suspect(kBefore);
  Suspect(StrCat(kBefore, ": ", record_.suspect_why));
  suspect_why_ = record_.suspect_why;
}

void ReplicaRecovery::Suspect(std::string_view why) {
  if (!files_->suspicion.ok()) return;
  files_->suspicion = SuspicionOf(record_.group, why);
  suspect_why_ = why;
  ++report_->suspect;
  report_->notes.emplace_back(MessageOf(files_->suspicion));
}

// --- The tail
// -------------------------------------------------------------------------------------

// What the last entries say is needed to go on writing. Reading them once more may find damage that
// the load did not.
absl::Status ReplicaRecovery::LoadTail() {
  absl::Status status = LoadEpochs();
  if (status.ok()) {
    DropEpochsBefore(files_->scalars.start.index, &files_->epochs);
    status = LoadEnds();
  }
  if (status.ok()) status = LoadPendingTrims();
  if (!status.ok() && ReasonOf(status) != Reason::DATA_LOSS) return status;
  if (!status.ok() && files_->suspicion.ok()) {
    const RecoveryRowInfo& row =
        Decide(SegmentObservation{SegmentSeen::kMismatch, SegmentPlace::kTail}, trace_);
    VARVE_CHECK(row.verdict == RecoveryVerdict::kSuspect);
    Suspect(MessageOf(RefusalOf(row, MessageOf(status))));
  }
  if (!files_->suspicion.ok()) StandInForEnds();
  return absl::OkStatus();
}

// A suspect replica truncates nothing, but whoever opens its log wants the ends of the committed
// entries and of the log, and the term of the latter. Readers see no more than what is known to be
// committed.
void ReplicaRecovery::StandInForEnds() {
  ReplicaFiles& files = *files_;
  const LogEnd& end = files.scalars.end;
  if (!files.tail.empty() && files.tail.back().end == end) return;
  if (end.last_index >= files.scalars.start.index &&
      (files.epochs.empty() || files.epochs.back().term < end.last_term))
    files.epochs.push_back({end.last_term, end.last_index, end.next_offset});
  const Index committed = files.scalars.commit_index;
  LogEnd known{committed, end.last_term, files.scalars.start.offset, end.append_time};
  if (!files.segments.empty()) known.next_offset = files.segments.back().segment->base_offset();
  for (const EntryEnd& found : files.tail)
    if (found.end.last_index <= committed) known.next_offset = found.end.next_offset;
  known.next_offset = std::min(known.next_offset, end.next_offset);
  files.tail.clear();
  if (committed < end.last_index) files.tail.push_back({known, FileNumber{}, 0});
  files.tail.push_back({end, FileNumber{}, 0});
}

// The newest segment start knows all terms before it; those after it show where frame headers
// change.
absl::Status ReplicaRecovery::LoadEpochs() {
  ReplicaFiles& files = *files_;
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
absl::Status ReplicaRecovery::LoadEnds() {
  ReplicaFiles& files = *files_;
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
absl::Status ReplicaRecovery::LoadPendingTrims() {
  ReplicaFiles& files = *files_;
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

// --- Saved states
// ---------------------------------------------------------------------------------

bool ReplicaRecovery::TakeState(const SavedState& state) {
  if (TermAt(*files_, state.index) != state.term) return false;
  AddState(state, &files_->states);
  return true;
}

// Older ones are verified when they are needed. A suspect replica keeps its files, and folds
// nothing.
absl::Status ReplicaRecovery::JudgeStates() {
  auto& states = files_->states;
  while (!states.empty() && files_->suspicion.ok()) {
    const std::string path = JoinPath(files_->directory, StateFileName(states.back()));
    const auto read = ReadStateFile(context_.files, context_.identity, path, files_->group,
                                    states.back(), nullptr);
    StateObservation seen;
    switch (ReasonOf(read.status())) {
      case Reason::OK:
        if (!read.ok()) return read.status();
        break;
      case Reason::DATA_LOSS:
        seen.state = StateSeen::kDamaged;
        break;
      case Reason::FOREIGN_DIRECTORY:
        seen.state = StateSeen::kForeign;
        break;
      case Reason::NEWER_FORMAT:
        seen.state = StateSeen::kNewerFormat;
        break;
      default:
        return read.status();
    }
    const RecoveryVerdict verdict = Decide(seen, trace_).verdict;
    if (verdict == RecoveryVerdict::kUse) break;
    states.pop_back();
    report_->notes.push_back(
        StrCat("group ", files_->group, ": ", MessageOf(read.status()), "; an older state serves"));
    if (verdict == RecoveryVerdict::kRemove) VARVE_RETURN_IF_ERROR(context_.files.RemoveFile(path));
  }
  return absl::OkStatus();
}

// All that was redone is synced before the journal that holds it may go. What was not redone was
// synced before the crash; the segment of the sync point is synced again all the same.
absl::Status ReplicaRecovery::Sync() {
  const SyncPoint& point = record_.sync_point;
  for (const PlacedSegment& placed : files_->segments) {
    const FileNumber file = placed.segment->file();
    if (file == point.file && present_.contains(file))
      VARVE_RETURN_IF_ERROR(placed.segment->Touch());
    VARVE_RETURN_IF_ERROR(placed.segment->SyncData());
  }
  return context_.files.SyncDirectory(files_->directory);
}

}  // namespace varve::storage
