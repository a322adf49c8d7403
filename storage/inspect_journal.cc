// Walk over a journal file, and the judgement of all of them together.
#include <algorithm>

#include "common/bytes.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/format/checkpoint.h"
#include "storage/format/journal_commit.h"
#include "storage/inspect_files.h"
#include "storage/inspect_text.h"
#include "storage/journal_files.h"

namespace varve::storage {
namespace {

constexpr uint64_t kCheckpointAt = kFileHeaderBytes;

void ReadCheckpoint(FileWindow& file, InspectedJournalFile* out) {
  const auto read = [&]() -> absl::StatusOr<Checkpoint> {
    VARVE_ASSIGN_OR_RETURN(const std::string_view head,
                           file.Read(kCheckpointAt, kCheckpointFixedBytes));
    VARVE_ASSIGN_OR_RETURN(const uint64_t bytes, CheckpointBytes(head, out->generation));
    if (bytes > file.size() - kCheckpointAt)
      return MakeError(Reason::DATA_LOSS, "checkpoint: longer than the file");
    VARVE_ASSIGN_OR_RETURN(const std::string_view all, file.Read(kCheckpointAt, bytes));
    return DecodeCheckpoint(all, out->generation);
  };
  absl::StatusOr<Checkpoint> checkpoint = read();
  if (checkpoint.ok()) {
    out->checkpoint = *std::move(checkpoint);
  } else {
    out->checkpoint_error = std::string(MessageOf(checkpoint.status()));
  }
}

InspectedFrame Summarize(const JournalFrame& frame) {
  InspectedFrame out;
  out.group = frame.group;
  out.sequence = frame.sequence;
  out.replica_epoch = frame.replica_epoch;
  out.term = frame.scalars.hard_state.term;
  out.commit_index = frame.scalars.commit_index;
  out.end = frame.scalars.end;
  for (const JournalStep& step : frame.steps) {
    out.steps.push_back(DescribeStep(step));
    if (const auto* append = std::get_if<AppendStep>(&step)) {
      uint64_t to = append->position;
      for (const Entry& entry : append->entries) to += entry.header.frame_bytes();
      out.redo.push_back({append->file, append->position, to});
    }
  }
  return out;
}

absl::StatusOr<InspectedCommit> ReadCommit(FileWindow& file, uint64_t at, Generation generation) {
  VARVE_ASSIGN_OR_RETURN(const std::string_view head, file.Read(at, kCommitFixedBytes));
  VARVE_ASSIGN_OR_RETURN(const CommitHeader header, DecodeCommitHeader(head, generation));
  if (header.bytes > file.size() - at)
    return MakeError(Reason::DATA_LOSS, "no valid commit: longer than the rest of the file");
  VARVE_ASSIGN_OR_RETURN(const std::string_view bytes, file.Read(at, header.bytes));
  if (bytes.size() != header.bytes)
    return MakeError(Reason::DATA_LOSS, "no valid commit: the file became shorter");
  VARVE_RETURN_IF_ERROR(VerifyCommit(bytes, header));
  VARVE_ASSIGN_OR_RETURN(const JournalCommit commit,
                         DecodeCommit(SharedBytes::Copy(bytes), header));
  InspectedCommit out{at, header.bytes, header.sequence, header.durable_through, {}};
  for (const JournalFrame& frame : commit.frames) out.frames.push_back(Summarize(frame));
  return out;
}

void ReadCommits(FileWindow& file, InspectedJournalFile* out) {
  uint64_t at = out->first_commit_position;
  while (at < file.size()) {
    absl::StatusOr<InspectedCommit> commit = ReadCommit(file, at, out->generation);
    if (!commit.ok()) {
      out->end_reason = std::string(MessageOf(commit.status()));
      break;
    }
    if (!out->commits.empty() && commit->sequence != out->commits.back().sequence + 1) {
      out->end_reason =
          StrCat("commit ", commit->sequence, " follows ", out->commits.back().sequence);
      break;
    }
    at += commit->bytes;
    out->durable_through = std::max(out->durable_through, commit->durable_through);
    out->commits.push_back(*std::move(commit));
  }
  out->end_position = at;
}

// Headers and trailers that validate behind the end: what a crash tore, or what damage hides.
void LookBehindEnd(FileWindow& file, InspectedJournalFile* out) {
  for (uint64_t at = out->end_position; at < file.size(); at += limits::kBlockBytes) {
    const absl::StatusOr<std::string_view> block = file.Read(at, limits::kBlockBytes);
    if (!block.ok() || block->size() < limits::kBlockBytes) return;
    if (const auto header = DecodeCommitHeader(*block, out->generation); header.ok()) {
      out->torn_end = true;
      out->durable_through = std::max(out->durable_through, header->durable_through);
    }
    out->torn_end |= DecodeCommitTail(*block, out->generation).ok();
  }
}

CommitSequence LastSequence(const InspectedJournalFile& file) {
  return file.commits.empty() ? CommitSequence{} : file.commits.back().sequence;
}

InspectedJournalFile* FindFile(std::vector<InspectedJournalFile>& journal,
                               const JournalFileRef& ref) {
  for (InspectedJournalFile& file : journal)
    if (file.number == ref.file && file.generation == ref.generation) return &file;
  return nullptr;
}

std::vector<InspectedJournalFile*> MarkLive(std::vector<InspectedJournalFile>& journal,
                                            const Checkpoint& checkpoint,
                                            std::vector<FileFinding>* missing) {
  std::vector<InspectedJournalFile*> live;
  for (const JournalFileRef& ref : checkpoint.live_files) {
    if (InspectedJournalFile* file = FindFile(journal, ref)) {
      file->live = true;
      live.push_back(file);
      continue;
    }
    const std::string path = StrCat("journal/", JournalName(ref.file));
    const auto same_name = std::find_if(journal.begin(), journal.end(),
                                        [&](const auto& f) { return f.finding.path == path; });
    const std::string reason = StrCat("the checkpoint lists it under generation ", ref.generation);
    if (same_name != journal.end()) {
      same_name->live = true;
      Blame(&same_name->finding, Verdict::kCorrupt, 0, reason);
      continue;
    }
    missing->emplace_back();
    missing->back().path = path;
    Blame(&missing->back(), Verdict::kMissing, 0, reason);
  }
  return live;
}

// Each live file has to end where the next begins; the last one at or behind what was durable.
void JudgeEnds(const std::vector<InspectedJournalFile*>& live, const Checkpoint& checkpoint) {
  CommitSequence durable = checkpoint.durable_through;
  for (const InspectedJournalFile* file : live) durable = std::max(durable, file->durable_through);
  for (size_t n = 0; n < live.size(); ++n) {
    InspectedJournalFile& file = *live[n];
    CommitSequence last = LastSequence(file);
    if (n + 1 == live.size()) {
      last = std::max(last, checkpoint.last_commit);
      if (!file.commits.empty() && file.commits.front().sequence != checkpoint.last_commit + 1) {
        Blame(&file.finding, Verdict::kCorrupt, file.first_commit_position,
              StrCat("begins with commit ", file.commits.front().sequence,
                     ", its checkpoint ends at ", checkpoint.last_commit));
      } else if (last < durable) {
        Blame(&file.finding, Verdict::kCorrupt, file.end_position,
              StrCat(file.end_reason, "; commits up to ", durable, " were durable"));
      } else if (file.torn_end) {
        Blame(&file.finding, Verdict::kTorn, file.end_position, file.end_reason);
        file.finding.recovery = "cuts the journal there";
      }
      continue;
    }
    CommitSequence next = checkpoint.last_commit + 1;
    for (size_t m = n + 1; m + 1 < live.size() && next == checkpoint.last_commit + 1; ++m)
      if (!live[m]->commits.empty()) next = live[m]->commits.front().sequence;
    if (last != CommitSequence{} && last + 1 != next) {
      Blame(&file.finding, Verdict::kCorrupt, file.end_position,
            StrCat("ends with commit ", last, ", the next file begins with ", next));
    } else if (last == CommitSequence{} && file.torn_end) {
      Blame(&file.finding, Verdict::kCorrupt, file.end_position, file.end_reason);
    }
  }
}

}  // namespace

InspectedJournalFile WalkJournalFile(FileSystem& files, const std::string& directory,
                                     const std::string& path, const DirectoryIdentity* identity) {
  InspectedJournalFile out;
  out.finding.path = path;
  absl::StatusOr<FileWindow> file = FileWindow::Open(files, JoinPath(directory, path));
  if (!file.ok()) {
    Blame(&out.finding, Verdict::kCorrupt, 0, MessageOf(file.status()));
    return out;
  }
  out.finding.bytes = file->size();
  const auto header = CheckHeader(*file, FileKind::kJournal, identity, &out.finding);
  if (!header) return out;
  out.number = header->file;
  out.generation = header->generation;
  out.first_commit_position = header->first_commit_position;
  out.end_position = out.first_commit_position;
  if (!path.ends_with(JournalName(header->file)) || header->first_commit_position < kCheckpointAt ||
      header->first_commit_position % limits::kBlockBytes != 0) {
    Blame(&out.finding, Verdict::kCorrupt, 0, "the header contradicts itself or the name");
    return out;
  }
  ReadCheckpoint(*file, &out);
  ReadCommits(*file, &out);
  LookBehindEnd(*file, &out);
  return out;
}

const Checkpoint* JudgeJournalFiles(std::vector<InspectedJournalFile>& journal,
                                    std::vector<FileFinding>* missing) {
  InspectedJournalFile* newest = nullptr;
  for (InspectedJournalFile& file : journal)
    if (file.checkpoint) newest = &file;
  for (InspectedJournalFile& file : journal) {
    if (file.checkpoint || file.finding.verdict != Verdict::kOk) continue;
    if (newest != nullptr && file.generation <= newest->generation) continue;
    // A newer file: a roll that a crash interrupted, unless it was used already.
    Blame(&file.finding,
          file.torn_end || !file.commits.empty() ? Verdict::kCorrupt : Verdict::kTorn,
          kCheckpointAt, file.checkpoint_error);
  }
  if (newest == nullptr) return nullptr;
  newest->newest_checkpoint = true;
  JudgeEnds(MarkLive(journal, *newest->checkpoint, missing), *newest->checkpoint);
  return &*newest->checkpoint;
}

std::string DescribeStep(const JournalStep& step) {
  if (std::holds_alternative<CreateReplicaStep>(step)) return "create replica";
  if (std::holds_alternative<RemoveReplicaStep>(step)) return "remove replica";
  if (const auto* truncate = std::get_if<TruncateStep>(&step))
    return StrCat("truncate from index ", truncate->from, ", to file ", truncate->file, " at ",
                  truncate->position);
  if (const auto* append = std::get_if<AppendStep>(&step))
    return StrCat("append ", append->entries.size(), " entries to file ", append->file, " at ",
                  append->position);
  if (const auto* set = std::get_if<SegmentSetStep>(&step)) {
    std::string text = "segment set";
    for (const FileNumber number : set->removed) text += StrCat(" -", number);
    for (const SegmentRef& ref : set->put) text += StrCat(" +", ref.file);
    return text;
  }
  if (const auto* marks = std::get_if<PeerMarksStep>(&step)) {
    std::string text = "peer marks";
    for (const PeerMark& mark : marks->marks)
      text += StrCat(" node ", mark.node, " epoch ", mark.process_epoch, " commit ", mark.durable);
    return text;
  }
  return "configurations";
}

}  // namespace varve::storage
