// Reading one journal file: its head, its commits in order, and traces of commits behind a bad one.
#ifndef VARVE_STORAGE_JOURNAL_SCAN_H_
#define VARVE_STORAGE_JOURNAL_SCAN_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_commit.h"
#include "storage/journal.h"
#include "storage/recovery_table.h"

namespace varve::storage {

// An open journal file. `header_status` is OK when `header` is valid; otherwise the file may be a
// torn roll, or damaged.
struct JournalSource {
  FileNumber number;
  std::string path;
  std::unique_ptr<File> file;
  uint64_t size = 0;
  FileHeader header;
  absl::Status header_status;
};

// NEWER_FORMAT when its header says so, DISK_FAILED when it cannot be read.
absl::StatusOr<JournalSource> OpenJournalSource(FileSystem& files, const std::string& directory,
                                                FileNumber number);

// The checkpoint of a file with a valid header. DATA_LOSS when it does not validate.
absl::StatusOr<Checkpoint> LoadCheckpoint(const JournalSource& source);

// The last commit that it includes.
absl::StatusOr<CommitSequence> IncludedCommits(const JournalSource& source);

// Walks the commits of one file from its first. Memory: one commit.
class CommitReader {
 public:
  // `source` must have a valid header and outlive the reader.
  explicit CommitReader(const JournalSource& source)
      : source_(source), position_(source.header.first_commit_position) {}

  // The commit at position(), which must have the sequence `expected` if one is given; position()
  // then moves behind it. nullopt when there is no such commit: seen() says what is there, and
  // end_reason() why it does not count.
  absl::StatusOr<std::optional<JournalCommit>> Next(std::optional<CommitSequence> expected);

  // Goes on there, behind a commit that does not verify.
  void SkipTo(uint64_t position);

  [[nodiscard]] uint64_t position() const { return position_; }
  [[nodiscard]] CommitSeen seen() const { return seen_; }
  [[nodiscard]] const absl::Status& end_reason() const { return end_reason_; }
  // Header of the commit that ended the walk, when the header itself is valid.
  [[nodiscard]] const std::optional<CommitHeader>& torn() const { return torn_; }

 private:
  std::optional<JournalCommit> End(CommitSeen seen, absl::Status reason);

  const JournalSource& source_;
  uint64_t position_;
  CommitSeen seen_ = CommitSeen::kValid;
  absl::Status end_reason_;
  std::optional<CommitHeader> torn_;
};

// What headers and trailers that validate on their own tell about commits in the rest of a file.
struct CommitTraces {
  CommitSequence last;             // highest sequence; 0 for none
  CommitSequence durable_through;  // highest
};
// Looks at every block from `position` on.
absl::StatusOr<CommitTraces> FindTraces(const JournalSource& source, uint64_t position);

// What is known of a commit that does not verify.
struct LostCommit {
  std::vector<GroupFrame> groups;  // which had frames in it, with their last
  uint64_t resume = 0;             // where the next commit begins
};
// The commit `sequence` that should be at `position`; `header` is its header, if that is valid.
// Asks the lists in its header and its trailer, and that of the next commit. nullopt when none
// survived.
absl::StatusOr<std::optional<LostCommit>> FindLost(const JournalSource& source, uint64_t position,
                                                   const std::optional<CommitHeader>& header,
                                                   CommitSequence sequence);

// Position of a commit of a generation above `above`, in a file whose head is lost; nullopt if
// none.
absl::StatusOr<std::optional<uint64_t>> FindNewerCommit(const JournalSource& source,
                                                        Generation above);

// DATA_LOSS with file, position and sequence.
absl::Status JournalDamage(const JournalSource& source, uint64_t position, CommitSequence sequence,
                           std::string_view what);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_SCAN_H_
