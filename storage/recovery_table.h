// The decisions of recovery as tables: what was seen (a closed struct of small enums) selects
// exactly one named row, which says what is done. docs/recovery.md shows the same rows.
//
// Pure: no files, no clock. Whoever recovers observes, asks Decide, and does what the row says.
// That every combination matches exactly one row is shown by recovery_table_test; that rows are
// reached from real files by recovery_rows_test.
#ifndef VARVE_STORAGE_RECOVERY_TABLE_H_
#define VARVE_STORAGE_RECOVERY_TABLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "common/error.h"

namespace varve::storage {

enum class RecoveryVerdict : uint8_t {
  kBegin,    // nothing was ever acknowledged: begin as a new directory
  kUse,      // it is what it should be: go on with it
  kRedo,     // write the bytes again
  kCreate,   // make the file or directory, it was not durable yet
  kEnd,      // the journal ends here, nothing is missing
  kCut,      // never acknowledged: cut
  kIgnore,   // says nothing
  kRebuild,  // derived: made again from what it is derived from
  kRemove,   // derived, of something that is gone
  kTrash,    // belongs to nothing: move to the trash
  kDamaged,  // the replica goes on, and the range is not read
  kSuspect,  // the replica neither votes nor acknowledges; the others go on
  kRefuse,   // refuse the directory
};
std::string_view NameOf(RecoveryVerdict verdict);

// --- The directory

enum class LockSeen : uint8_t { kTaken, kHeldElsewhere, kLast = kHeldElsewhere };
enum class IdentitySeen : uint8_t {
  kValid,
  kMissing,
  kDamaged,
  kForeign,  // of another cluster or node
  kNewerFormat,
  kLast = kNewerFormat
};
enum class ContentsSeen : uint8_t { kNone, kSome, kLast = kSome };

struct DirectoryObservation {
  LockSeen lock = LockSeen::kTaken;
  IdentitySeen identity = IdentitySeen::kValid;
  // Beside a valid identity: a checkpoint, or proof that there was one. Without one: any file.
  ContentsSeen journal = ContentsSeen::kNone;
  ContentsSeen groups = ContentsSeen::kNone;  // directories of replicas
  [[nodiscard]] auto fields() const { return std::tie(lock, identity, journal, groups); }
};

// --- One journal file

enum class HeaderSeen : uint8_t {
  kValid,
  kDamaged,  // zeroes, torn, or anything else that does not validate
  kForeign,
  kNewerFormat,
  kMissing,  // the checkpoint lists the file, and it is not there
  kLast = kMissing
};
enum class FileRole : uint8_t {
  kNewest,           // its checkpoint is the newest that validates: the checkpoint
  kLater,            // of a later generation than that one
  kListed,           // the checkpoint lists it
  kListedOtherwise,  // the checkpoint lists its number with another generation
  kUnlisted,         // anything else
  kLast = kUnlisted
};
enum class CheckpointSeen : uint8_t {
  kContinues,  // follows the last commit of the listed file before it
  kBreaks,     // follows another commit
  kDamaged,
  kLast = kDamaged
};
// Commits in it of a later generation than the checkpoint's.
enum class LaterCommits : uint8_t { kNone, kFound, kLast = kFound };

struct JournalFileObservation {
  HeaderSeen header = HeaderSeen::kValid;
  FileRole role = FileRole::kUnlisted;
  CheckpointSeen checkpoint = CheckpointSeen::kContinues;
  LaterCommits commits = LaterCommits::kNone;
  [[nodiscard]] auto fields() const { return std::tie(header, role, checkpoint, commits); }
};

// --- The journal files together

enum class NewestSeen : uint8_t {
  kFound,        // some checkpoint validates
  kNone,         // none does
  kNoneButUsed,  // none does, and a header shows that there was more than the first
  kLast = kNoneButUsed
};
enum class MarkSeen : uint8_t {
  kMissing,
  kDamaged,      // no valid slot
  kLaterFile,    // names a file of a later generation than the checkpoint
  kThatFile,     // names the checkpoint's file, which has the size it says
  kThatFileCut,  // the same, and the file is shorter
  kEarlierFile,  // names one of an earlier generation
  kLast = kEarlierFile
};

struct JournalObservation {
  NewestSeen newest = NewestSeen::kFound;
  MarkSeen mark = MarkSeen::kMissing;
  [[nodiscard]] auto fields() const { return std::tie(newest, mark); }
};

// --- Where the next commit is due

enum class CommitSeen : uint8_t {
  kValid,
  kMisfit,         // valid, but a frame does not fit its replica
  kMalformed,      // every checksum agrees, and the contents make no sense
  kOtherSequence,  // a valid header of another sequence
  kTorn,           // a valid header of this commit, and its body does not verify
  kHeadless,       // no valid header, but a trailer of this commit behind it
  kStale,          // a commit of the file's former life
  kZeroes,
  kGarbage,
  kLast = kGarbage
};
enum class CommitFile : uint8_t { kLastListed, kEarlier, kLast = kEarlier };
// Whether it is known that the commit was durable.
enum class CommitProof : uint8_t {
  kNone,
  kDurableThrough,  // some header says so, or a checkpoint that follows a later one
  kLaterCommit,     // a later one was begun, which happens after this one's sync alone
  kLast = kLaterCommit
};
enum class CommitPlace : uint8_t { kBehindCheckpoint, kInCheckpoint, kLast = kInCheckpoint };
// Whether a list survived that says which groups had frames in it, and whether one of them had.
enum class CommitList : uint8_t { kKnown, kLost, kMarksAlone, kLast = kMarksAlone };

struct CommitObservation {
  CommitSeen commit = CommitSeen::kValid;
  CommitFile file = CommitFile::kLastListed;
  CommitProof proof = CommitProof::kNone;
  CommitPlace place = CommitPlace::kBehindCheckpoint;
  CommitList list = CommitList::kKnown;
  [[nodiscard]] auto fields() const { return std::tie(commit, file, proof, place, list); }
};

// --- One step of a valid frame, as a physical redo

enum class ReplicaSeen : uint8_t {
  kPresent,
  kGone,
  kOtherEpoch,
  kAcrossGap,  // a frame of it is lost, and this one is not on the side that the record is on
  kLast = kAcrossGap
};
enum class StepSeen : uint8_t {
  kAppendAtStart,  // at the first position of a segment: its first append
  kAppend,
  kTruncate,
  kWithoutBytes,
  kLast = kWithoutBytes
};
enum class SetSeen : uint8_t { kInSet, kLeftSet, kLast = kLeftSet };
enum class FileSeen : uint8_t { kPresent, kMissing, kLast = kMissing };

struct RedoObservation {
  ReplicaSeen replica = ReplicaSeen::kPresent;
  StepSeen step = StepSeen::kWithoutBytes;
  SetSeen set = SetSeen::kInSet;  // the segment set after all frames
  FileSeen file = FileSeen::kPresent;
  [[nodiscard]] auto fields() const { return std::tie(replica, step, set, file); }
};

// --- One segment of a set, after the redo

enum class SegmentSeen : uint8_t {
  kWhole,     // header and frames are what checkpoint and journal vouch for
  kLonger,    // the same, and bytes behind the end
  kShorter,   // ends below what is vouched for
  kMismatch,  // header or frames are not those that are vouched for
  kForeign,   // of another directory
  kNewerFormat,
  kMissing,
  kLast = kMissing
};
enum class SegmentPlace : uint8_t {
  kSynced,  // wholly below the sync point and the commit index, and not the active segment
  kTail,
  kLast = kTail
};

// Whether the replica is suspect for another reason already.
enum class ReplicaGrade : uint8_t { kSound, kSuspect, kLast = kSuspect };

struct SegmentObservation {
  SegmentSeen segment = SegmentSeen::kWhole;
  SegmentPlace place = SegmentPlace::kTail;
  ReplicaGrade replica = ReplicaGrade::kSound;
  [[nodiscard]] auto fields() const { return std::tie(segment, place, replica); }
};

// --- One name below groups/

enum class NameSeen : uint8_t {
  kGroupDirectory,
  kNoGroupDirectory,  // a replica's directory is not there
  kSegment,
  kIndex,
  kState,  // a saved state
  kOther,
  kLast = kOther
};
// Whether a replica record (or its segment set) knows the group (or the file); of a saved state,
// whether the log has the entry of its name, or begins behind it.
enum class NameOwner : uint8_t { kKnown, kUnknown, kLast = kUnknown };

struct NameObservation {
  NameSeen name = NameSeen::kOther;
  NameOwner owner = NameOwner::kUnknown;
  ReplicaGrade replica = ReplicaGrade::kSound;  // of the group's
  [[nodiscard]] auto fields() const { return std::tie(name, owner, replica); }
};

// --- The index of one segment

enum class IndexSeen : uint8_t {
  kIntact,
  kStale,    // its header is right, some rows do not validate or do not fit the segment
  kForeign,  // its header is not that of this segment's index
  kMissing,
  kLast = kMissing
};

struct IndexObservation {
  IndexSeen index = IndexSeen::kIntact;
  [[nodiscard]] auto fields() const { return std::tie(index); }
};

// --- The newest saved state of a sound replica that is not judged yet

enum class StateSeen : uint8_t {
  kIntact,
  kDamaged,  // does not verify, or is not what its name says
  kForeign,  // of another directory
  kNewerFormat,
  kLast = kNewerFormat
};

struct StateObservation {
  StateSeen state = StateSeen::kIntact;
  [[nodiscard]] auto fields() const { return std::tie(state); }
};

// --- Rows

enum class RecoveryRow : uint8_t {
#define VARVE_RECOVERY_ROW(Table, Name, ...) k##Name,
#include "storage/recovery_table.inc"
#undef VARVE_RECOVERY_ROW
};
inline constexpr size_t kRecoveryRows = 0
#define VARVE_RECOVERY_ROW(...) +1
#include "storage/recovery_table.inc"
#undef VARVE_RECOVERY_ROW
    ;

struct RecoveryRowInfo {
  RecoveryRow row;
  std::string_view name;   // "TornCommit"
  std::string_view table;  // "commit"
  RecoveryVerdict verdict;
  Reason error;                  // of a refusal or damage; OK otherwise
  std::string_view reason;       // one line
  std::string_view unreachable;  // why no directory leads here; empty for all others
  std::string_view pattern;      // as in recovery_table.inc
};

// All rows, in the order of RecoveryRow.
std::span<const RecoveryRowInfo> AllRecoveryRows();
const RecoveryRowInfo& InfoOf(RecoveryRow row);
// What must be seen for this row: "commit=Torn, file=LastListed, proof=None".
std::string ConditionsOf(const RecoveryRowInfo& info);

// Counts rows while a directory is recovered. Not thread-safe; a recovery runs on one thread.
class RecoveryTrace {
 public:
  void Count(RecoveryRow row) { ++counts_[static_cast<size_t>(row)]; }
  [[nodiscard]] uint64_t count(RecoveryRow row) const { return counts_[static_cast<size_t>(row)]; }
  void Add(const RecoveryTrace& other);

 private:
  std::array<uint64_t, kRecoveryRows> counts_{};
};

// The one row that matches; counted in `trace`, which may be null.
const RecoveryRowInfo& Decide(const DirectoryObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const JournalFileObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const JournalObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const CommitObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const RedoObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const SegmentObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const NameObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const IndexObservation& seen, RecoveryTrace* trace = nullptr);
const RecoveryRowInfo& Decide(const StateObservation& seen, RecoveryTrace* trace = nullptr);

// Every row that matches: one, or the table is wrong. For tests.
std::vector<RecoveryRow> MatchingRows(const DirectoryObservation& seen);
std::vector<RecoveryRow> MatchingRows(const JournalFileObservation& seen);
std::vector<RecoveryRow> MatchingRows(const JournalObservation& seen);
std::vector<RecoveryRow> MatchingRows(const CommitObservation& seen);
std::vector<RecoveryRow> MatchingRows(const RedoObservation& seen);
std::vector<RecoveryRow> MatchingRows(const SegmentObservation& seen);
std::vector<RecoveryRow> MatchingRows(const NameObservation& seen);
std::vector<RecoveryRow> MatchingRows(const IndexObservation& seen);
std::vector<RecoveryRow> MatchingRows(const StateObservation& seen);

// The row's error, with `what` (file, position, what was found) and the row's name as the text.
absl::Status RefusalOf(const RecoveryRowInfo& row, std::string_view what);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_RECOVERY_TABLE_H_
