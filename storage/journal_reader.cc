// ReadJournal and ReplayJournal. docs/formats.md, "What a crash leaves", steps 2 to 4.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/defect.h"
#include "storage/format/journal_mark.h"
#include "storage/journal.h"
#include "storage/journal_files.h"
#include "storage/journal_scan.h"

namespace varve::storage {
namespace {

// One reading of a journal directory.
class JournalRecovery {
 public:
  JournalRecovery(FileSystem& files, const std::string& directory,
                  const DirectoryIdentity& identity)
      : files_(files), directory_(directory), identity_(identity) {}

  absl::StatusOr<JournalContents> Run() {
    VARVE_RETURN_IF_ERROR(OpenAll());
    VARVE_RETURN_IF_ERROR(ChooseCheckpoint());
    VARVE_RETURN_IF_ERROR(CheckMark());
    contents_.replicas = contents_.checkpoint.replicas;
    contents_.durable_through = contents_.checkpoint.durable_through;
    VARVE_RETURN_IF_ERROR(ReadListed());
    RaiseNumbers();
    return std::move(contents_);
  }

 private:
  absl::Status OpenAll();
  absl::Status ChooseCheckpoint();
  absl::Status NoCheckpoint() const;
  absl::Status CheckMark() const;
  absl::Status CheckTornRoll(const JournalSource& source, const absl::Status& why);
  absl::Status ReadListed();
  absl::StatusOr<const JournalSource*> FindListed(const JournalFileRef& ref) const;
  absl::Status ReadCommits(const JournalSource& source, bool last_file);
  absl::Status TakeCommit(const JournalSource& source, uint64_t position,
                          const JournalCommit& commit);
  absl::Status JudgeEnd(const JournalSource& source, const CommitReader& reader);
  void NoteFiles(const JournalFrame& frame);
  void RaiseNumbers();

  FileSystem& files_;
  const std::string& directory_;
  const DirectoryIdentity& identity_;
  std::vector<JournalSource> sources_;  // newest generation first, those without a header last
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
    VARVE_ASSIGN_OR_RETURN(JournalSource source, OpenJournalSource(files_, directory_, *number));
    if (source.header_status.ok()) {
      const absl::Status belongs = CheckBelongs(source.header, identity_);
      if (!belongs.ok()) return AddContext(belongs, source.path);
    }
    sources_.push_back(std::move(source));
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

absl::Status JournalRecovery::ChooseCheckpoint() {
  std::vector<std::pair<const JournalSource*, absl::Status>> torn;
  bool chosen = false;
  for (const JournalSource& source : sources_) {
    if (!source.header_status.ok()) {
      torn.emplace_back(&source, source.header_status);
    } else if (!chosen) {
      auto checkpoint = LoadCheckpoint(source);
      const Reason reason = ReasonOf(checkpoint.status());
      if (checkpoint.ok()) {
        contents_.checkpoint = *std::move(checkpoint);
        chosen = true;
      } else if (reason == Reason::DATA_LOSS) {
        torn.emplace_back(&source, checkpoint.status());
      } else {
        return AddContext(checkpoint.status(), source.path);
      }
    }
  }
  for (const auto& [source, why] : torn) VARVE_RETURN_IF_ERROR(CheckTornRoll(*source, why));
  return chosen ? absl::OkStatus() : NoCheckpoint();
}

// Without a single commit: a creation that a crash cut short, unless files were in use before.
absl::Status JournalRecovery::NoCheckpoint() const {
  for (const JournalSource& source : sources_) {
    if (source.header_status.ok() && source.header.generation > Generation{1}) {
      return JournalDamage(source, kFileHeaderBytes, CommitSequence{},
                           "no journal file has a valid checkpoint");
    }
  }
  VARVE_RETURN_IF_ERROR(CheckMark());
  return absl::NotFoundError(ToAbsl(StrCat("no journal in ", directory_)));
}

// The newest file must be the one that the mark names, and whole. A newer one than that is a roll
// that a crash interrupted behind the head. A missing mark says nothing: directories had none once.
absl::Status JournalRecovery::CheckMark() const {
  const auto bytes = ReadWholeFile(files_, JoinPath(directory_, kJournalMarkName), 1 << 20);
  if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
  if (absl::IsPermissionDenied(bytes.status())) return bytes.status();
  if (!bytes.ok()) return MakeError(Reason::DISK_FAILED, MessageOf(bytes.status()));
  const auto mark = DecodeJournalMark(*bytes);
  if (!mark) return absl::OkStatus();
  const auto& live = contents_.checkpoint.live_files;
  const Generation newest = live.empty() ? Generation{} : live.back().generation;
  const std::string what =
      StrCat("journal file ", JoinPath(directory_, JournalName(mark->newest.file)),
             " of generation ", mark->newest.generation, ", the newest, ");
  if (newest < mark->newest.generation) {
    return MakeError(Reason::DATA_LOSS, what, "is missing or damaged");
  }
  if (newest > mark->newest.generation) return absl::OkStatus();
  for (const JournalSource& source : sources_) {
    if (source.number == mark->newest.file && source.size < mark->bytes) {
      return MakeError(Reason::DATA_LOSS, what, "is cut at ", source.size, " of ", mark->bytes,
                       " bytes");
    }
  }
  return absl::OkStatus();
}

// The head is synced before the first commit is written: with a commit, it once was valid.
absl::Status JournalRecovery::CheckTornRoll(const JournalSource& source, const absl::Status& why) {
  const auto& live = contents_.checkpoint.live_files;
  const Generation newest = live.empty() ? Generation{} : live.back().generation;
  VARVE_ASSIGN_OR_RETURN(const auto commit, FindNewerCommit(source, newest));
  if (commit) {
    return JournalDamage(
        source, *commit, CommitSequence{},
        StrCat("there are commits, but the file's head is damaged: ", MessageOf(why)));
  }
  contents_.notes.push_back(
      StrCat("journal file ", source.path, " is ignored as a torn roll: ", MessageOf(why)));
  return absl::OkStatus();
}

absl::StatusOr<const JournalSource*> JournalRecovery::FindListed(const JournalFileRef& ref) const {
  const auto at = std::find_if(sources_.begin(), sources_.end(),
                               [&ref](const JournalSource& s) { return s.number == ref.file; });
  const std::string what =
      StrCat("journal file ", JoinPath(directory_, JournalName(ref.file)), " of generation ",
             ref.generation, ", which the checkpoint lists, ");
  if (at == sources_.end()) return MakeError(Reason::DATA_LOSS, what, "is missing");
  if (!at->header_status.ok()) {
    return MakeError(Reason::DATA_LOSS, what,
                     "is damaged at position 0: ", MessageOf(at->header_status));
  }
  if (at->header.generation != ref.generation) {
    return MakeError(Reason::DATA_LOSS, what, "holds generation ", at->header.generation);
  }
  return &*at;
}

absl::Status JournalRecovery::ReadListed() {
  const auto& live = contents_.checkpoint.live_files;
  for (size_t i = 0; i < live.size(); ++i) {
    VARVE_ASSIGN_OR_RETURN(const JournalSource* source, FindListed(live[i]));
    const bool last_file = i + 1 == live.size();
    CommitSequence included = contents_.checkpoint.last_commit;
    if (!last_file) {
      const auto checkpoint = LoadCheckpoint(*source);
      if (!checkpoint.ok()) {
        return JournalDamage(*source, kFileHeaderBytes, contents_.last_commit,
                             MessageOf(checkpoint.status()));
      }
      included = checkpoint->last_commit;
    }
    if (i == 0) contents_.last_commit = included;
    if (included != contents_.last_commit) {
      return JournalDamage(
          *source, kFileHeaderBytes, contents_.last_commit + 1,
          StrCat("the checkpoint follows commit ", included, ", but ", older_end_));
    }
    VARVE_RETURN_IF_ERROR(ReadCommits(*source, last_file));
  }
  return absl::OkStatus();
}

absl::Status JournalRecovery::ReadCommits(const JournalSource& source, bool last_file) {
  CommitReader reader(source);
  while (true) {
    const uint64_t position = reader.position();
    VARVE_ASSIGN_OR_RETURN(const auto commit, reader.Next(contents_.last_commit + 1));
    if (!commit) {
      if (last_file) return JudgeEnd(source, reader);
      // One that ends too early does not meet the next file's checkpoint.
      older_end_ = StrCat(source.path, " ends with ", contents_.last_commit, " at position ",
                          position, ": ", MessageOf(reader.end_reason()));
      return absl::OkStatus();
    }
    VARVE_RETURN_IF_ERROR(TakeCommit(source, position, *commit));
  }
}

absl::Status JournalRecovery::TakeCommit(const JournalSource& source, uint64_t position,
                                         const JournalCommit& commit) {
  contents_.last_commit = commit.header.sequence;
  contents_.durable_through = std::max(contents_.durable_through, commit.header.durable_through);
  for (const JournalFrame& frame : commit.frames) {
    NoteFiles(frame);
    // The checkpoint holds what the commits up to its own led to.
    if (commit.header.sequence <= contents_.checkpoint.last_commit) continue;
    const absl::Status status = contents_.replicas.Apply(frame);
    if (!status.ok()) {
      return JournalDamage(source, position, commit.header.sequence, MessageOf(status));
    }
  }
  return absl::OkStatus();
}

// Where the last file ends: a torn write is cut, anything that was acknowledged is not. The writer
// has one commit under way: what lies behind this one was begun after this one's sync had returned.
absl::Status JournalRecovery::JudgeEnd(const JournalSource& source, const CommitReader& reader) {
  const CommitSequence sequence = contents_.last_commit + 1;
  const auto& torn = reader.torn();
  // Payload of a torn commit whose extent is known is not searched: it may look like anything.
  const uint64_t extent = torn ? torn->bytes : 0;
  VARVE_ASSIGN_OR_RETURN(const CommitTraces traces, FindTraces(source, reader.position() + extent));
  const CommitSequence durable = std::max({contents_.durable_through, traces.durable_through,
                                           torn ? torn->durable_through : CommitSequence{}});
  if ((durable >= sequence || traces.last > sequence) && !Planted(Defect::kDamageTakenForTorn)) {
    return JournalDamage(
        source, reader.position(), sequence,
        StrCat("it was durable, as later bytes prove (commit ", traces.last, ", durable through ",
               durable, "), but now: ", MessageOf(reader.end_reason())));
  }
  contents_.durable_through = durable;
  if (torn || traces.last == sequence) {
    contents_.notes.push_back(StrCat("journal file ", source.path, ": commit ", sequence,
                                     " at position ", reader.position(),
                                     " is torn and cut: ", MessageOf(reader.end_reason())));
  }
  return absl::OkStatus();
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
                                            const DirectoryIdentity& identity) {
  return JournalRecovery(files, directory, identity).Run();
}

absl::Status ReplayJournal(FileSystem& files, const std::string& directory,
                           const JournalContents& contents, FrameVisitor visit) {
  std::optional<CommitSequence> expected;
  for (const JournalFileRef& ref : contents.checkpoint.live_files) {
    VARVE_ASSIGN_OR_RETURN(const JournalSource source,
                           OpenJournalSource(files, directory, ref.file));
    VARVE_RETURN_IF_ERROR(source.header_status);
    CommitReader reader(source);
    while (!expected || *expected <= contents.last_commit) {
      VARVE_ASSIGN_OR_RETURN(const auto commit, reader.Next(expected));
      if (!commit) break;
      for (const JournalFrame& frame : commit->frames) VARVE_RETURN_IF_ERROR(visit(frame));
      expected = commit->header.sequence + 1;
    }
  }
  const CommitSequence reached = expected ? *expected - 1 : contents.checkpoint.last_commit;
  if (reached == contents.last_commit) return absl::OkStatus();
  return MakeError(Reason::DATA_LOSS, "journal ", directory, " now ends with commit ", reached,
                   "; before, it ended with ", contents.last_commit);
}

}  // namespace varve::storage
