// What the commits of a journal file say, and what it means where they end.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/defect.h"
#include "storage/journal_reader.h"

namespace varve::storage {

// `last`: of an earlier file, see LastOf.
absl::Status JournalRecovery::ReadCommits(const JournalSource& source, CommitFile file,
                                          CommitSequence last) {
  CommitReader reader(source);
  for (bool goes_on = true; goes_on;) {
    const uint64_t position = reader.position();
    VARVE_ASSIGN_OR_RETURN(const auto commit, reader.Next(contents_.last_commit + 1));
    if (commit) {
      TakeCommit(source, position, *commit);
    } else {
      VARVE_RETURN_IF_ERROR(JudgeEnd(source, file, last, &reader, &goes_on));
    }
  }
  return absl::OkStatus();
}

void JournalRecovery::TakeCommit(const JournalSource& source, uint64_t position,
                                 const JournalCommit& commit) {
  contents_.last_commit = commit.header.sequence;
  contents_.durable_through = std::max(contents_.durable_through, commit.header.durable_through);
  CommitObservation seen;
  // The checkpoint holds what the commits up to its own led to.
  if (commit.header.sequence <= contents_.checkpoint.last_commit)
    seen.place = CommitPlace::kInCheckpoint;
  Decide(seen, trace_);
  for (const JournalFrame& frame : commit.frames) {
    NoteFiles(frame);
    if (seen.place == CommitPlace::kBehindCheckpoint) TakeFrame(source, position, frame);
  }
}

void JournalRecovery::TakeFrame(const JournalSource& source, uint64_t position,
                                const JournalFrame& frame) {
  if (frame.group == kNoGroup) return TakeMarks(frame);
  if (contents_.lost_frames.contains(frame.group)) return TakeBehindGap(frame);
  const absl::Status misfit = contents_.replicas.Apply(frame);
  if (misfit.ok()) return;
  const RecoveryRowInfo& row = Decide(CommitObservation{.commit = CommitSeen::kMisfit}, trace_);
  const absl::Status damage =
      JournalDamage(source, position, contents_.last_commit, MessageOf(misfit));
  contents_.skipped.push_back(
      {source.number, contents_.last_commit, /*resume=*/0, {frame.group}, false});
  MarkSuspect(frame.group, std::string(MessageOf(RefusalOf(row, MessageOf(damage)))));
  TakeBehindGap(frame);
}

// Marks only grow: a frame that is lost before this one takes nothing from it.
void JournalRecovery::TakeMarks(const JournalFrame& frame) {
  for (const JournalStep& step : frame.steps)
    for (const PeerMark& mark : std::get<PeerMarksStep>(step).marks) contents_.peers.Note(mark);
}

// Of a replica that lost a frame, later ones say what term it has reached and where its log starts,
// which never move back, and whether it was removed. Its log ends as it did before the gap.
void JournalRecovery::TakeBehindGap(const JournalFrame& frame) {
  ReplicaRecord record = *contents_.replicas.Find(frame.group);
  const auto is = [&frame]<class Step>(const Step&, bool first) {
    if (frame.steps.empty()) return false;
    return std::holds_alternative<Step>(first ? frame.steps.front() : frame.steps.back());
  };
  const bool same =
      frame.replica_epoch == record.replica_epoch || record.replica_epoch == ReplicaEpoch{};
  if (is(RemoveReplicaStep{}, false) || (!same && is(CreateReplicaStep{}, true))) {
    contents_.replicas.Drop(frame.group);
    contents_.lost_frames.erase(frame.group);
    if (!same) contents_.replicas.Apply(frame).IgnoreError();
    return;
  }
  record.replica_epoch = frame.replica_epoch;
  record.last_frame = std::max(record.last_frame, frame.sequence);
  if (frame.scalars.hard_state.term >= record.scalars.hard_state.term)
    record.scalars.hard_state = frame.scalars.hard_state;
  const LogStart& start = frame.scalars.start;
  const LogEnd& end = record.scalars.end;
  if (start.offset >= record.scalars.start.offset && start.index >= record.scalars.start.index &&
      start.offset <= end.next_offset && start.index <= end.last_index) {
    record.scalars.start = start;
    std::vector<SegmentRef>& segments = record.segments;
    while (segments.size() > 1 && segments[1].first_index <= start.index)
      segments.erase(segments.begin());
  }
  contents_.replicas.Put(std::move(record));
}

absl::Status JournalRecovery::Observe(const JournalSource& source, const CommitReader& reader,
                                      CommitSequence last, CommitEnd* end) {
  const CommitSequence sequence = contents_.last_commit + 1;
  const auto& torn = reader.torn();
  end->seen.commit = reader.seen();
  end->durable = contents_.durable_through;
  if (end->seen.file == CommitFile::kLastListed) {
    // Payload of a torn commit whose extent is known is not searched: it may look like anything.
    VARVE_ASSIGN_OR_RETURN(end->traces,
                           FindTraces(source, reader.position() + (torn ? torn->bytes : 0)));
    end->durable = std::max({end->durable, end->traces.durable_through,
                             torn ? torn->durable_through : CommitSequence{}});
    if (!torn && end->traces.last == sequence) end->seen.commit = CommitSeen::kHeadless;
    if (end->durable >= sequence) {
      end->seen.proof = CommitProof::kDurableThrough;
    } else if (end->traces.last > sequence) {
      end->seen.proof = CommitProof::kLaterCommit;
    }
  } else if (sequence <= last) {
    end->durable = std::max(end->durable, last);
    end->seen.proof = CommitProof::kDurableThrough;
  }
  if (Planted(Defect::kDamageTakenForTorn)) end->seen.proof = CommitProof::kNone;
  if (end->seen.proof != CommitProof::kNone && end->seen.commit != CommitSeen::kOtherSequence) {
    VARVE_ASSIGN_OR_RETURN(end->lost, FindLost(source, reader.position(), torn, sequence));
  }
  end->seen.list = CommitList::kLost;
  if (end->lost) {
    const auto& groups = end->lost->groups;
    const bool of_replicas =
        groups.empty() || std::any_of(groups.begin(), groups.end(),
                                      [](const GroupFrame& g) { return g.group != kNoGroup; });
    end->seen.list = of_replicas ? CommitList::kKnown : CommitList::kMarksAlone;
  }
  return absl::OkStatus();
}

// Where no commit follows. In the last file a torn write is cut, anything that was acknowledged is
// not. The writer has one commit under way: what lies behind this one was begun after this one's
// sync had returned.
absl::Status JournalRecovery::JudgeEnd(const JournalSource& source, CommitFile file,
                                       CommitSequence last, CommitReader* reader, bool* goes_on) {
  const CommitSequence sequence = contents_.last_commit + 1;
  CommitEnd end;
  end.seen.file = file;
  VARVE_RETURN_IF_ERROR(Observe(source, *reader, last, &end));
  const RecoveryRowInfo& row = Decide(end.seen, trace_);
  std::string why(MessageOf(reader->end_reason()));
  if (row.row == RecoveryRow::kCommitMalformed || row.row == RecoveryRow::kCommitOutOfSequence)
    return RefusalOf(row, why);  // names its place
  if (row.error != Reason::OK || row.verdict == RecoveryVerdict::kIgnore) {
    why = MessageOf(
        JournalDamage(source, reader->position(), sequence,
                      StrCat("it was durable, as other bytes prove (commit ", end.traces.last,
                             ", durable through ", end.durable, "), but now: ", why)));
  }
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, why);
  if (row.verdict == RecoveryVerdict::kSuspect || row.verdict == RecoveryVerdict::kIgnore) {
    if (row.verdict == RecoveryVerdict::kSuspect) why = MessageOf(RefusalOf(row, why));
    SkipLost(source, *end.lost, why);
    reader->SkipTo(end.lost->resume);
    return absl::OkStatus();
  }
  *goes_on = false;
  if (file == CommitFile::kEarlier) {
    older_end_ = StrCat(source.path, " ends with ", contents_.last_commit, " at position ",
                        reader->position(), ": ", why);
    return absl::OkStatus();
  }
  contents_.durable_through = end.durable;
  if (row.verdict == RecoveryVerdict::kCut) {
    contents_.notes.push_back(StrCat("journal file ", source.path, ": commit ", sequence,
                                     " at position ", reader->position(),
                                     " is torn and cut: ", why));
  }
  return absl::OkStatus();
}

// Goes on behind a durable commit that does not verify. A later checkpoint knows all of the
// records, and its sync point covers what lies in segments.
void JournalRecovery::SkipLost(const JournalSource& source, const LostCommit& lost,
                               const std::string& why) {
  const CommitSequence sequence = contents_.last_commit + 1;
  contents_.notes.push_back(why);
  JournalContents::Skipped skipped{source.number, sequence, lost.resume, {}, false};
  skipped.in_checkpoint = sequence <= contents_.checkpoint.last_commit;
  for (const auto& [group, frame] : lost.groups) {
    if (group == kNoGroup) {
      contents_.notes.push_back(
          StrCat("commit ", sequence, " held marks of peers; they are heard of again"));
      continue;
    }
    skipped.groups.push_back(group);
    const ReplicaRecord* record = contents_.replicas.Find(group);
    const bool covered =
        skipped.in_checkpoint &&
        (record == nullptr || record->sync_point.index >= record->scalars.end.last_index);
    if (!covered) MarkSuspect(group, why);
  }
  contents_.skipped.push_back(std::move(skipped));
  contents_.last_commit = sequence;
}

// A replica whose creation is lost gets a record all the same, so that nobody creates it anew.
void JournalRecovery::MarkSuspect(GroupId group, const std::string& why) {
  ReplicaRecord record;
  record.group = group;
  if (const ReplicaRecord* known = contents_.replicas.Find(group)) record = *known;
  record.suspect = true;
  contents_.replicas.Put(std::move(record));
  contents_.lost_frames.emplace(group, why);
}

void JournalRecovery::NoteFiles(const JournalFrame& frame) {
  for (const JournalStep& step : frame.steps) {
    if (const auto* truncate = std::get_if<TruncateStep>(&step)) {
      highest_file_ = std::max(highest_file_, truncate->file);
    } else if (const auto* append = std::get_if<AppendStep>(&step)) {
      highest_file_ = std::max(highest_file_, append->file);
    } else if (const auto* set = std::get_if<SegmentSetStep>(&step)) {
      for (const FileNumber file : set->removed) highest_file_ = std::max(highest_file_, file);
      for (const SegmentRef& ref : set->put) highest_file_ = std::max(highest_file_, ref.file);
    }
  }
}

}  // namespace varve::storage
