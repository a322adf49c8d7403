#include "storage/recovery.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "common/error.h"
#include "storage/replica_recovery.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

// Reads the journal, redoes its frames, and clears away what nothing lists: observes, and does what
// the tables say.
class Recovery {
 public:
  Recovery(const SegmentContext& context, const DirectoryPaths& paths, RecoveryTrace* trace)
      : context_(context), paths_(paths), trace_(trace) {}

  absl::StatusOr<Recovered> Run();

 private:
  absl::Status OpenReplicas();
  absl::Status Redo(const JournalFrame& frame);
  ReplicaRecord RecordOf(const ReplicaRecovery& replica) const;
  absl::Status TrashStrays();
  absl::Status JudgeGroupDirectory(const DirectoryEntry& entry);
  absl::Status JudgeFile(ReplicaRecovery& replica, const std::string& directory,
                         const DirectoryEntry& group, const DirectoryEntry& file);
  absl::Status MoveToTrash(const std::string& path, const std::string& name);

  const SegmentContext& context_;
  const DirectoryPaths& paths_;
  RecoveryTrace* const trace_;
  JournalContents journal_;
  std::map<GroupId, std::unique_ptr<ReplicaRecovery>> replicas_;
  Recovered out_;
};

absl::StatusOr<Recovered> Recovery::Run() {
  VARVE_ASSIGN_OR_RETURN(journal_,
                         ReadJournal(context_.files, paths_.journal, context_.identity, trace_));
  out_.report.notes = journal_.notes;
  out_.checkpoint = journal_.checkpoint;
  VARVE_RETURN_IF_ERROR(OpenReplicas());
  VARVE_RETURN_IF_ERROR(ReplayJournal(
      context_.files, paths_.journal, journal_,
      [this](const JournalFrame& frame) { return Redo(frame); }, trace_));
  for (auto& [group, replica] : replicas_) VARVE_RETURN_IF_ERROR(replica->Finish());
  VARVE_RETURN_IF_ERROR(TrashStrays());
  VARVE_RETURN_IF_ERROR(context_.files.SyncDirectory(paths_.groups));
  out_.checkpoint.replicas = {};
  for (auto& [group, replica] : replicas_) {
    out_.checkpoint.replicas.Put(RecordOf(*replica));
    out_.replicas.emplace(group, replica->files());
  }
  out_.checkpoint.peers = journal_.peers;
  out_.checkpoint.last_commit = journal_.last_commit;
  out_.checkpoint.durable_through = journal_.last_commit;
  out_.mark = {context_.identity.node, context_.identity.directory, out_.checkpoint.process_epoch,
               out_.checkpoint.incarnation, journal_.last_commit};
  // Beyond the epochs of lives that were lost: peers then hold nothing higher of this node.
  out_.checkpoint.process_epoch =
      std::max(out_.checkpoint.process_epoch, out_.checkpoint.settled_epoch) + 1;
  out_.report.replicas = replicas_.size();
  return std::move(out_);
}

absl::Status Recovery::OpenReplicas() {
  for (const auto& [group, record] : journal_.replicas.records()) {
    auto& replica = replicas_[group];
    replica =
        std::make_unique<ReplicaRecovery>(context_, record, paths_.groups, &out_.report, trace_);
    VARVE_RETURN_IF_ERROR(replica->Open(&out_.checkpoint.next_file));
    if (const auto lost = journal_.lost_frames.find(group); lost != journal_.lost_frames.end())
      replica->Suspect(lost->second);
  }
  return absl::OkStatus();
}

absl::Status Recovery::Redo(const JournalFrame& frame) {
  const auto at = replicas_.find(frame.group);
  RedoObservation seen;
  if (at == replicas_.end()) {
    seen.replica = ReplicaSeen::kGone;
  } else if (at->second->record().replica_epoch != frame.replica_epoch) {
    seen.replica = ReplicaSeen::kOtherEpoch;
  }
  Decide(seen, trace_);
  return seen.replica == ReplicaSeen::kPresent ? at->second->Redo(frame) : absl::OkStatus();
}

// The record as of the end. Of a suspect replica nothing is vouched for that was not before.
ReplicaRecord Recovery::RecordOf(const ReplicaRecovery& replica) const {
  ReplicaRecord record = replica.record();
  record.suspect = !replica.files()->suspicion.ok();
  record.suspect_why = replica.suspect_why();
  if (!record.suspect && !record.segments.empty())
    record.sync_point = {record.segments.back().file, replica.files()->segments.back().end,
                         record.scalars.end.last_index, record.scalars.end.next_offset};
  return record;
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
  const auto at = group ? replicas_.find(*group) : replicas_.end();
  const NameObservation seen{NameSeen::kGroupDirectory,
                             at == replicas_.end() ? NameOwner::kUnknown : NameOwner::kKnown};
  if (Decide(seen, trace_).verdict == RecoveryVerdict::kTrash) {
    VARVE_RETURN_IF_ERROR(
        MoveToTrash(path, StrCat(entry.name, "-", out_.checkpoint.next_file.value())));
    ++out_.checkpoint.next_file;
    return absl::OkStatus();
  }
  VARVE_ASSIGN_OR_RETURN(const auto listed, context_.files.List(path));
  for (const DirectoryEntry& file : listed)
    VARVE_RETURN_IF_ERROR(JudgeFile(*at->second, path, entry, file));
  VARVE_RETURN_IF_ERROR(at->second->JudgeStates());
  return context_.files.SyncDirectory(path);
}

absl::Status Recovery::JudgeFile(ReplicaRecovery& replica, const std::string& directory,
                                 const DirectoryEntry& group, const DirectoryEntry& file) {
  const auto name = ParseGroupFileName(file.name);
  NameObservation seen;
  if (const auto state = ParseStateFileName(file.name)) {
    seen.name = NameSeen::kState;
    if (replica.TakeState(*state)) seen.owner = NameOwner::kKnown;
  }
  if (name) {
    seen.name = name->kind == GroupFileKind::kIndex ? NameSeen::kIndex : NameSeen::kSegment;
    if (replica.InSet(name->file)) seen.owner = NameOwner::kKnown;
  }
  seen.replica = replica.grade();
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
