// Offline inspection: dumps and verifies a data directory. `varved inspect DIR`.
//
// Reads only: nothing in the directory is created, changed or locked for longer than a look at
// whether somebody holds the lock. A directory in use may be inspected; what is being written
// meanwhile may then look torn. Memory is bounded by one journal commit, one entry, one saved
// state, and the report itself. Not thread-safe, blocks; for tools, never for a broker's threads.
#ifndef VARVE_STORAGE_INSPECT_H_
#define VARVE_STORAGE_INSPECT_H_

#include <functional>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/entry.h"
#include "common/file_system.h"
#include "storage/journal.h"
#include "storage/partition_log.h"

namespace varve::storage {

enum class Verdict : uint8_t {
  kOk,
  kTorn,          // ends in what a crash may leave; recovery cuts or rewrites it
  kCorrupt,       // damage: something that was durable does not verify
  kMissing,       // damage: the journal vouches for a file that is not there
  kUnreferenced,  // no segment set names it; recovery moves it to the trash
  kUnknown,       // not a file of this format; recovery leaves it alone
};
std::string_view NameOf(Verdict verdict);
inline bool IsDamage(Verdict v) { return v == Verdict::kCorrupt || v == Verdict::kMissing; }

// What is said of every file.
struct FileFinding {
  std::string path;  // below the directory
  uint64_t bytes = 0;
  Verdict verdict = Verdict::kOk;
  uint64_t position = 0;  // first byte that is not ok
  std::string reason;     // empty when ok
  std::string recovery;   // what recovery does about it; empty: nothing
};

// Bytes [from, to) of a segment file that a frame holds.
struct RedoRange {
  FileNumber file;
  uint64_t from = 0;
  uint64_t to = 0;
};

struct InspectedFrame {
  GroupId group;
  FrameSequence sequence;
  ReplicaEpoch replica_epoch;
  Term term;
  Index commit_index;
  LogEnd end;
  std::vector<std::string> steps;  // "append 12 entries to file 7 at 4096"
  std::vector<RedoRange> redo;
};

struct InspectedCommit {
  uint64_t position = 0;
  uint64_t bytes = 0;
  CommitSequence sequence;
  CommitSequence durable_through;
  std::vector<InspectedFrame> frames;
};

struct InspectedJournalFile {
  FileFinding finding;
  FileNumber number;
  Generation generation;
  uint64_t first_commit_position = 0;
  std::optional<Checkpoint> checkpoint;
  std::string checkpoint_error;  // why there is none
  bool newest_checkpoint = false;
  bool live = false;  // listed by the newest valid checkpoint
  std::vector<InspectedCommit> commits;
  uint64_t end_position = 0;       // behind the last valid commit
  std::string end_reason;          // why no commit is read there
  bool torn_end = false;           // something of this generation stands there or behind
  CommitSequence durable_through;  // highest found, also behind the end
};

struct InspectedSegment {
  FileFinding finding;
  FileNumber number;  // this and the two below as the file's header says
  Index first_index;
  Offset base_offset;
  bool active = false;
  uint64_t frames = 0;           // valid ones, from the start on
  uint64_t end_position = 0;     // behind the last of them
  uint64_t synced_position = 0;  // up to here the journal says the file is durable
  std::optional<EntryHeader> first, last;
};

struct InspectedIndex {
  FileFinding finding;
  FileNumber number;
  uint64_t rows = 0;  // valid ones
};

// A saved derived state.
struct InspectedState {
  FileFinding finding;
  SavedState name;
  StateSummary summary;  // when it was verified and is ok
};

struct InspectedGroup {
  GroupId group;
  std::optional<ReplicaRecord>
      record;  // after every valid frame of the journal; none: not a replica
  std::vector<InspectedSegment> segments;
  std::vector<InspectedIndex> indexes;
  std::vector<InspectedState> states;
  std::vector<FileFinding> others;  // what does not belong here
};

// What a start of the broker would do, in short.
struct RecoveryPreview {
  bool starts = false;
  std::string refusal;        // why not
  int refusal_exit_code = 0;  // of the error table
  CommitSequence last_commit, durable_through;
  uint64_t process_epoch = 0;      // of the present checkpoint; a start takes a higher one
  PeerMarks peers;                 // marks of peers after the journal
  std::vector<std::string> notes;  // what would be cut, as recovery says it
};

struct InspectReport {
  std::string path;
  bool in_use = false;
  bool verified = true;  // payloads were read and checked
  std::optional<DirectoryIdentity> identity;
  FileFinding identity_file;
  std::vector<InspectedJournalFile> journal;  // by generation
  std::vector<InspectedGroup> groups;         // by group
  std::vector<FileFinding> trash;
  std::vector<FileFinding> others;
  RecoveryPreview recovery;

  [[nodiscard]] uint64_t CountDamage() const;  // files that are corrupt or missing
};

// One valid entry of a replica's log.
struct InspectedEntry {
  EntryHeader header;
  uint32_t payload_crc = 0;  // CRC-32C of the whole payload
};

struct InspectOptions {
  // Without: headers, structure and contiguity only; payloads are not read.
  bool verify = true;
  // Told of every entry in the segments of each replica, in order of index, while they are walked;
  // also of those below its log's start and, behind a crash, beyond its end. Needs `verify`.
  std::function<void(const InspectedEntry&)> on_entry;
};

// Errors are those of getting at the directory: NotFound (also for a directory without any file of
// ours), PermissionDenied, DataLoss. Damage is not an error but in the report.
absl::StatusOr<InspectReport> InspectDirectory(FileSystem& files, const std::string& path,
                                               const InspectOptions& options);

// Tables for people. With `commits`, one line per journal commit and frame instead of one per file.
void WriteInspectText(const InspectReport& report, bool commits, std::ostream& out);
// One JSON object, documented in docs/inspect.md; 64-bit numbers are JSON numbers.
void WriteInspectJson(const InspectReport& report, std::ostream& out);
// One JSON object on a line, documented there as well.
void WriteEntryJson(const InspectedEntry& entry, std::ostream& out);

inline constexpr int kInspectClean = 0;
inline constexpr int kInspectUsage = 2;
inline constexpr int kInspectDamage = 10;
// The command: `arguments` follow "varved inspect". Returns the exit code: clean (torn tails
// included), usage, damage, or that of the error table when the directory cannot be read.
int RunInspect(FileSystem& files, std::span<const std::string> arguments, std::ostream& out,
               std::ostream& err);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_INSPECT_H_
