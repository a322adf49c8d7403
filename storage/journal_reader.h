// JournalRecovery: one reading of a journal directory. It observes, and does what the recovery
// tables say; nothing is changed on disk. For ReadJournal alone; one thread, files open until it
// goes. Memory: one checkpoint and one commit. docs/formats.md, "What a crash leaves",
// steps 2 to 4.
#ifndef VARVE_STORAGE_JOURNAL_READER_H_
#define VARVE_STORAGE_JOURNAL_READER_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/journal.h"
#include "storage/journal_scan.h"
#include "storage/recovery_table.h"

namespace varve::storage {

// Where no commit follows, and what that shows.
struct CommitEnd {
  CommitObservation seen;
  CommitTraces traces;     // behind it
  CommitSequence durable;  // highest known
  std::optional<LostCommit> lost;
};

class JournalRecovery {
 public:
  JournalRecovery(FileSystem& files, const std::string& directory,
                  const DirectoryIdentity& identity, RecoveryTrace* trace)
      : files_(files), directory_(directory), identity_(identity), trace_(trace) {}

  // See ReadJournal; once.
  absl::StatusOr<JournalContents> Run();

 private:
  // --- Which files count, and whether all are there: journal_reader.cc
  absl::Status OpenAll();
  absl::Status Open(FileNumber number);
  absl::Status ChooseCheckpoint();
  absl::Status JudgeUnlisted();
  absl::Status JudgeTogether();
  absl::StatusOr<MarkSeen> LookAtMark(std::string* what) const;
  absl::Status ReadListed();
  absl::StatusOr<const JournalSource*> JudgeListed(const JournalFileRef& ref, bool newest);
  absl::StatusOr<CommitSequence> LastOf(size_t listed) const;
  void RaiseNumbers();
  [[nodiscard]] Generation newest() const {
    const auto& live = contents_.checkpoint.live_files;
    return live.empty() ? Generation{} : live.back().generation;
  }

  // --- What their commits say, and where they end: journal_reader_commits.cc
  absl::Status ReadCommits(const JournalSource& source, CommitFile file, CommitSequence last);
  void TakeCommit(const JournalSource& source, uint64_t position, const JournalCommit& commit);
  void TakeFrame(const JournalSource& source, uint64_t position, const JournalFrame& frame);
  void TakeMarks(const JournalFrame& frame);
  void TakeBehindGap(const JournalFrame& frame);
  absl::Status Observe(const JournalSource& source, const CommitReader& reader, CommitSequence last,
                       CommitEnd* end);
  absl::Status JudgeEnd(const JournalSource& source, CommitFile file, CommitSequence last,
                        CommitReader* reader, bool* goes_on);
  void SkipLost(const JournalSource& source, const LostCommit& lost, const std::string& why);
  void MarkSuspect(GroupId group, const std::string& why);
  void NoteFiles(const JournalFrame& frame);

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

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_READER_H_
