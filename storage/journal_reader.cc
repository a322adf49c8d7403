// ReadJournal: which files count.
#include "storage/journal_reader.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/format/journal_mark.h"
#include "storage/journal_files.h"

namespace varve::storage {

absl::StatusOr<JournalContents> JournalRecovery::Run() {
  VARVE_RETURN_IF_ERROR(OpenAll());
  VARVE_RETURN_IF_ERROR(ChooseCheckpoint());
  VARVE_RETURN_IF_ERROR(JudgeUnlisted());
  VARVE_RETURN_IF_ERROR(JudgeTogether());
  contents_.replicas = contents_.checkpoint.replicas;
  contents_.peers = contents_.checkpoint.peers;
  contents_.durable_through = contents_.checkpoint.durable_through;
  VARVE_RETURN_IF_ERROR(ReadListed());
  RaiseNumbers();
  return std::move(contents_);
}

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

absl::StatusOr<JournalContents> ReadJournal(FileSystem& files, const std::string& directory,
                                            const DirectoryIdentity& identity,
                                            RecoveryTrace* trace) {
  return JournalRecovery(files, directory, identity, trace).Run();
}

}  // namespace varve::storage
