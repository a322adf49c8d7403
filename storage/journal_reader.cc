// ReadJournal. docs/formats.md, "What a crash leaves", steps 2 to 4.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/defect.h"
#include "storage/format/journal_mark.h"
#include "storage/journal.h"
#include "storage/journal_files.h"
#include "storage/journal_scan.h"
#include "storage/recovery_table.h"

namespace varve::storage {
namespace {

// Where no commit follows, and what that shows.
struct CommitEnd {
  CommitObservation seen;
  CommitTraces traces;     // behind it
  CommitSequence durable;  // highest known
  std::optional<LostCommit> lost;
};

// One reading of a journal directory: observes, and does what the tables say.
class JournalRecovery {
 public:
  JournalRecovery(FileSystem& files, const std::string& directory,
                  const DirectoryIdentity& identity, RecoveryTrace* trace)
      : files_(files), directory_(directory), identity_(identity), trace_(trace) {}

  absl::StatusOr<JournalContents> Run() {
    VARVE_RETURN_IF_ERROR(OpenAll());
    VARVE_RETURN_IF_ERROR(ChooseCheckpoint());
    VARVE_RETURN_IF_ERROR(JudgeUnlisted());
    VARVE_RETURN_IF_ERROR(JudgeTogether());
    contents_.replicas = contents_.checkpoint.replicas;
    contents_.durable_through = contents_.checkpoint.durable_through;
    VARVE_RETURN_IF_ERROR(ReadListed());
    RaiseNumbers();
    return std::move(contents_);
  }

 private:
  absl::Status OpenAll();
  absl::Status Open(FileNumber number);
  absl::Status ChooseCheckpoint();
  absl::Status JudgeUnlisted();
  absl::Status JudgeTogether();
  absl::StatusOr<MarkSeen> LookAtMark(std::string* what) const;
  absl::Status ReadListed();
  absl::StatusOr<const JournalSource*> JudgeListed(const JournalFileRef& ref, bool newest);
  absl::StatusOr<CommitSequence> LastOf(size_t listed) const;
  absl::Status ReadCommits(const JournalSource& source, CommitFile file, CommitSequence last);
  void TakeCommit(const JournalSource& source, uint64_t position, const JournalCommit& commit);
  void TakeFrame(const JournalSource& source, uint64_t position, const JournalFrame& frame);
  void TakeBehindGap(const JournalFrame& frame);
  absl::Status Observe(const JournalSource& source, const CommitReader& reader, CommitSequence last,
                       CommitEnd* end);
  absl::Status JudgeEnd(const JournalSource& source, CommitFile file, CommitSequence last,
                        CommitReader* reader, bool* goes_on);
  void SkipLost(const JournalSource& source, const LostCommit& lost, const std::string& why);
  void MarkSuspect(GroupId group, const std::string& why);
  [[nodiscard]] Generation newest() const {
    const auto& live = contents_.checkpoint.live_files;
    return live.empty() ? Generation{} : live.back().generation;
  }
  void NoteFiles(const JournalFrame& frame);
  void RaiseNumbers();

  FileSystem& files_;
  const std::string& directory_;
  const DirectoryIdentity& identity_;
  RecoveryTrace* const trace_;
  std::vector<JournalSource> sources_;  // newest generation first, those without a header last
  // Why the checkpoints of files newer than the chosen one do not count.
  std::map<FileNumber, absl::Status> passed_over_;
  JournalContents contents_;
  FileNumber highest_file_;
  std::string older_end_;  // where and why the file before ended
};

absl::Status JournalRecovery::OpenAll() {
  const auto list = files_.List(directory_);
  if (list.status().code() == absl::StatusCode::kNotFound) return list.status();
  if (absl::IsPermissionDenied(list.status())) return list.status();
  if (!list.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(list.status()));
  for (const DirectoryEntry& entry : *list) {
    const auto number = JournalNumberOf(entry.name);
    if (!number) continue;
    highest_file_ = std::max(highest_file_, *number);
    VARVE_RETURN_IF_ERROR(Open(*number));
  }
  std::stable_sort(sources_.begin(), sources_.end(),
                   [](const JournalSource& a, const JournalSource& b) {
                     const auto rank = [](const JournalSource& s) {
                       return s.header_status.ok() ? s.header.generation : Generation{};
                     };
                     return rank(a) > rank(b);
                   });
  return absl::OkStatus();
}

absl::Status JournalRecovery::Open(FileNumber number) {
  const auto refuse = [&](HeaderSeen header, const absl::Status& why) {
    return RefusalOf(Decide(JournalFileObservation{.header = header}, trace_), MessageOf(why));
  };
  auto source = OpenJournalSource(files_, directory_, number);
  if (ReasonOf(source.status()) == Reason::NEWER_FORMAT)
    return refuse(HeaderSeen::kNewerFormat, source.status());
  VARVE_RETURN_IF_ERROR(source.status());
  if (source->header_status.ok()) {
    const absl::Status belongs = CheckBelongs(source->header, identity_);
    if (!belongs.ok()) return refuse(HeaderSeen::kForeign, AddContext(belongs, source->path));
  }
  sources_.push_back(*std::move(source));
  return absl::OkStatus();
}

absl::Status JournalRecovery::ChooseCheckpoint() {
  for (const JournalSource& source : sources_) {
    if (!source.header_status.ok()) continue;
    auto checkpoint = LoadCheckpoint(source);
    if (checkpoint.ok()) {
      contents_.checkpoint = *std::move(checkpoint);
      break;
    }
    if (ReasonOf(checkpoint.status()) != Reason::DATA_LOSS)
      return AddContext(checkpoint.status(), source.path);
    passed_over_.emplace(source.number, checkpoint.status());
  }
  return absl::OkStatus();
}

// Files that the checkpoint does not list: torn rolls and spare ones, unless they show that it is
// not the newest that there was.
absl::Status JournalRecovery::JudgeUnlisted() {
  const auto& live = contents_.checkpoint.live_files;
  for (const JournalSource& source : sources_) {
    const bool listed = std::any_of(live.begin(), live.end(), [&](const JournalFileRef& ref) {
      return ref.file == source.number;
    });
    if (listed) continue;  // see JudgeListed
    JournalFileObservation seen;
    const auto later = passed_over_.find(source.number);
    const bool valid = source.header_status.ok();
    seen.header = valid ? HeaderSeen::kValid : HeaderSeen::kDamaged;
    std::optional<uint64_t> commit;
    if (!valid || later != passed_over_.end()) {
      seen.role = valid ? FileRole::kLater : FileRole::kUnlisted;
      seen.checkpoint = CheckpointSeen::kDamaged;
      VARVE_ASSIGN_OR_RETURN(commit, FindNewerCommit(source, newest()));
      seen.commits = commit ? LaterCommits::kFound : LaterCommits::kNone;
    }
    const RecoveryRowInfo& row = Decide(seen, trace_);
    const absl::Status& why =
        valid && later != passed_over_.end() ? later->second : source.header_status;
    if (row.verdict == RecoveryVerdict::kRefuse) {
      const absl::Status damage = JournalDamage(
          source, *commit, CommitSequence{},
          StrCat("there are commits, but the file's head is damaged: ", MessageOf(why)));
      return RefusalOf(row, MessageOf(damage));
    }
    if (row.row == RecoveryRow::kSpareFile) continue;
    contents_.notes.push_back(
        StrCat("journal file ", source.path, " is ignored as a torn roll: ", MessageOf(why)));
  }
  return absl::OkStatus();
}

// Whether the newest checkpoint that validates is the newest that there was.
absl::Status JournalRecovery::JudgeTogether() {
  JournalObservation seen;
  std::string what;
  if (contents_.checkpoint.live_files.empty()) {
    seen.newest = NewestSeen::kNone;
    for (const JournalSource& source : sources_) {
      if (!source.header_status.ok() || source.header.generation <= Generation{1}) continue;
      seen.newest = NewestSeen::kNoneButUsed;
      what = MessageOf(JournalDamage(source, kFileHeaderBytes, CommitSequence{},
                                     "no journal file has a valid checkpoint"));
      break;
    }
  }
  if (seen.newest != NewestSeen::kNoneButUsed) {
    VARVE_ASSIGN_OR_RETURN(seen.mark, LookAtMark(&what));
  }
  const RecoveryRowInfo& row = Decide(seen, trace_);
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, what);
  if (row.verdict == RecoveryVerdict::kBegin)
    return absl::NotFoundError(ToAbsl(StrCat("no journal in ", directory_)));
  return absl::OkStatus();
}

// `what` says what is wrong, if the mark shows that something is.
absl::StatusOr<MarkSeen> JournalRecovery::LookAtMark(std::string* what) const {
  const auto bytes = ReadWholeFile(files_, JoinPath(directory_, kJournalMarkName), 1 << 20);
  if (absl::IsNotFound(bytes.status())) return MarkSeen::kMissing;
  if (absl::IsPermissionDenied(bytes.status())) return bytes.status();
  if (!bytes.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(bytes.status()));
  const auto mark = DecodeJournalMark(*bytes);
  if (!mark) return MarkSeen::kDamaged;
  *what = StrCat("journal file ", JoinPath(directory_, JournalName(mark->newest.file)),
                 " of generation ", mark->newest.generation, ", the newest, ");
  if (newest() < mark->newest.generation) {
    *what += "is missing or damaged";
    return MarkSeen::kLaterFile;
  }
  if (newest() > mark->newest.generation) return MarkSeen::kEarlierFile;
  for (const JournalSource& source : sources_) {
    if (source.number == mark->newest.file && source.size < mark->bytes) {
      *what += StrCat("is cut at ", source.size, " of ", mark->bytes, " bytes");
      return MarkSeen::kThatFileCut;
    }
  }
  return MarkSeen::kThatFile;
}

// A file that the checkpoint lists, with all that makes its commits continue those before it.
absl::StatusOr<const JournalSource*> JournalRecovery::JudgeListed(const JournalFileRef& ref,
                                                                  bool newest) {
  const auto at = std::find_if(sources_.begin(), sources_.end(),
                               [&ref](const JournalSource& s) { return s.number == ref.file; });
  std::string what = StrCat("journal file ", JoinPath(directory_, JournalName(ref.file)),
                            " of generation ", ref.generation, ", which the checkpoint lists, ");
  JournalFileObservation seen;
  seen.role = newest ? FileRole::kNewest : FileRole::kListed;
  if (at == sources_.end()) {
    seen.header = HeaderSeen::kMissing;
    what += "is missing";
  } else if (!at->header_status.ok()) {
    seen.header = HeaderSeen::kDamaged;
    what += StrCat("is damaged at position 0: ", MessageOf(at->header_status));
  } else if (at->header.generation != ref.generation) {
    seen.role = FileRole::kListedOtherwise;
    what += StrCat("holds generation ", at->header.generation);
  } else {
    const auto included = newest ? contents_.checkpoint.last_commit : IncludedCommits(*at);
    if (!included.ok()) {
      if (ReasonOf(included.status()) != Reason::DATA_LOSS) return included.status();
      seen.checkpoint = CheckpointSeen::kDamaged;
      what = MessageOf(JournalDamage(*at, kFileHeaderBytes, contents_.last_commit,
                                     MessageOf(included.status())));
    } else if (older_end_.empty()) {
      contents_.last_commit = *included;  // the first one
    } else if (*included != contents_.last_commit) {
      seen.checkpoint = CheckpointSeen::kBreaks;
      what = MessageOf(
          JournalDamage(*at, kFileHeaderBytes, contents_.last_commit + 1,
                        StrCat("the checkpoint follows commit ", *included, ", but ", older_end_)));
    }
  }
  const RecoveryRowInfo& row = Decide(seen, trace_);
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, what);
  return &*at;
}

absl::Status JournalRecovery::ReadListed() {
  const auto& live = contents_.checkpoint.live_files;
  for (size_t i = 0; i < live.size(); ++i) {
    const bool newest = i + 1 == live.size();
    VARVE_ASSIGN_OR_RETURN(const JournalSource* source, JudgeListed(live[i], newest));
    CommitSequence last;
    if (!newest) {
      VARVE_ASSIGN_OR_RETURN(last, LastOf(i));
    }
    VARVE_RETURN_IF_ERROR(
        ReadCommits(*source, newest ? CommitFile::kLastListed : CommitFile::kEarlier, last));
  }
  return absl::OkStatus();
}

// The last commit that was ever written to a listed file before the newest: that which the
// checkpoint of the next follows. 0 when that one cannot be read: it is judged in its turn.
absl::StatusOr<CommitSequence> JournalRecovery::LastOf(size_t listed) const {
  const auto& live = contents_.checkpoint.live_files;
  if (listed + 2 == live.size()) return contents_.checkpoint.last_commit;
  const JournalFileRef& next = live[listed + 1];
  for (const JournalSource& source : sources_) {
    if (source.number != next.file || !source.header_status.ok()) continue;
    auto included = IncludedCommits(source);
    if (included.ok() || ReasonOf(included.status()) != Reason::DATA_LOSS) return included;
  }
  return CommitSequence{};
}

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
  end->seen.list = end->lost ? CommitList::kKnown : CommitList::kLost;
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
  if (row.error != Reason::OK) {
    why = MessageOf(
        JournalDamage(source, reader->position(), sequence,
                      StrCat("it was durable, as other bytes prove (commit ", end.traces.last,
                             ", durable through ", end.durable, "), but now: ", why)));
  }
  if (row.verdict == RecoveryVerdict::kRefuse) return RefusalOf(row, why);
  if (row.verdict == RecoveryVerdict::kSuspect) {
    SkipLost(source, *end.lost, std::string(MessageOf(RefusalOf(row, why))));
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

// Nothing that may already have been written is given out again.
void JournalRecovery::RaiseNumbers() {
  for (const auto& [group, record] : contents_.replicas.records())
    for (const SegmentRef& ref : record.segments) highest_file_ = std::max(highest_file_, ref.file);
  Checkpoint& checkpoint = contents_.checkpoint;
  checkpoint.next_file = std::max(checkpoint.next_file, highest_file_ + 1);
  uint64_t without_header = 0;
  for (const JournalSource& source : sources_) {
    if (source.header_status.ok()) {
      checkpoint.next_generation =
          std::max(checkpoint.next_generation, source.header.generation + 1);
    } else {
      ++without_header;  // each may have taken one
    }
  }
  checkpoint.next_generation = checkpoint.next_generation + without_header;
}

}  // namespace

absl::StatusOr<JournalContents> ReadJournal(FileSystem& files, const std::string& directory,
                                            const DirectoryIdentity& identity,
                                            RecoveryTrace* trace) {
  return JournalRecovery(files, directory, identity, trace).Run();
}

}  // namespace varve::storage
