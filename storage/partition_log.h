// PartitionLog: one group's log on one disk: entries by index and by offset, durable through the
// journal.
#ifndef VARVE_STORAGE_PARTITION_LOG_H_
#define VARVE_STORAGE_PARTITION_LOG_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/derived_state.h"
#include "common/entry.h"
#include "common/executor.h"
#include "common/log_state.h"
#include "common/meta_entry.h"
#include "storage/replica_state.h"

namespace varve::storage {

struct ReadResult {
  std::vector<Entry> entries;  // verified; share buffers with the log's memory where possible
};

// One segment of a log as retention sees it.
struct SegmentSpan {
  Index first_index;
  Offset base_offset;
  uint64_t bytes = 0;
  WallTime begin_time;  // append time of its segment start; of the last entry where not known
  WallTime max_append_time;
};

// Entries that cannot be read any more, both ends included.
struct DamagedRange {
  Index first, last;
  std::string why;
};

// A derived state in a file beside the log: up to the entry `index`, whose term is `term`.
struct SavedState {
  Index index;
  Term term;
  auto operator<=>(const SavedState&) const = default;
};
struct LoadedState {
  SavedState name;
  std::string state;                 // DerivedState::Decode
  std::vector<std::string> refused;  // newer ones that do not verify, and why: they are void now
};

// Where a record timestamp or append time is found.
struct TimeLookup {
  Index index;    // entry to start from
  Offset offset;  // its base offset, or the log start where that lies within the entry
  WallTime append_time;
};

// Confined to its shard's executor: every call and every callback runs there. Callbacks are never
// run from within the call. Destroying the log drops pending callbacks; what was submitted to the
// journal may still become durable.
//
// Durability: `done` of Write is called with OK when the frame is durable in the journal. Order:
// writes of one log become durable in the order of the calls. After a disk failure every write gets
// DISK_FAILED.
class StagedLog;

// What a staged log becomes when it is installed.
struct InstalledLog {
  // Its index is that of the first staged entry; the offset may lie within the first segment.
  LogStart start;
  Configurations configurations;
  Index consistent_from;
};

class PartitionLog {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  using ReadDone = absl::AnyInvocable<void(absl::StatusOr<ReadResult>)>;
  using TimeDone = absl::AnyInvocable<void(absl::StatusOr<std::optional<TimeLookup>>)>;
  using LoadDone = absl::AnyInvocable<void(absl::StatusOr<std::optional<LoadedState>>)>;
  virtual ~PartitionLog() = default;

  [[nodiscard]] virtual GroupId group() const = 0;
  [[nodiscard]] virtual ReplicaEpoch replica_epoch() const = 0;
  // What was written (not necessarily durable) so far.
  [[nodiscard]] virtual LogEnd end() const = 0;
  [[nodiscard]] virtual LogStart start() const = 0;
  [[nodiscard]] virtual HardState hard_state() const = 0;
  [[nodiscard]] virtual Index commit_index() const = 0;
  [[nodiscard]] virtual const Configurations& configurations() const = 0;
  // Last index that is durable in the journal or in synced segments.
  [[nodiscard]] virtual Index durable_index() const = 0;
  // Grades of damage, as recovery found it (docs/recovery.md). A damaged replica goes on, and reads
  // of these ranges fail with DATA_LOSS.
  [[nodiscard]] virtual std::vector<DamagedRange> damaged_ranges() const = 0;
  // REPLICA_SUSPECT when a vote or an acknowledged entry may be lost: every write gets that answer,
  // so that the replica neither votes nor acknowledges; what verifies can be read. Else OK.
  [[nodiscard]] virtual absl::Status suspicion() const = 0;
  // Bytes of the segments, for metrics and for the decision to roll: of all, and of the active one.
  [[nodiscard]] virtual uint64_t size_bytes() const = 0;
  [[nodiscard]] virtual uint64_t active_segment_bytes() const = 0;

  // Term of the entry at `index`; nullopt outside [start.index - 1, end.last_index].
  [[nodiscard]] virtual std::optional<Term> TermAt(Index index) const = 0;
  // Ends of the entry at the commit index, or the nearest below, and of all above; ascending.
  [[nodiscard]] virtual std::vector<LogEnd> ends() const = 0;
  // Terms of the log with their first index and offset, ascending.
  [[nodiscard]] virtual const std::vector<EpochStart>& epochs() const = 0;

  // Appends and more; see LogWrite. A write that does not continue the log is a broken invariant.
  // Memory: the caller holds a permit of the directory's dirty budget for the bytes of entries with
  // records; the log gives it back, also when the write is refused.
  virtual void Write(LogWrite write, Done done) = 0;

  // Trims. A Trim entry takes effect in the first write whose commit index covers it: the log start
  // moves to its offset, never back and never beyond the entry's own, and whole segments leave the
  // log in the same frame, up to a committed segment start at or below the log start. Their files
  // go behind it; readers that have one open keep it. Whether a write with this commit index would
  // do any of that: an idle log needs an empty one.
  [[nodiscard]] virtual bool TrimDue(Index commit_index) const = 0;
  // Segments go only up to a segment start at or below `floor`: that of which the derived state is
  // durable. Without bound until the first call; not stored.
  virtual void SetTrimFloor(Index floor) = 0;
  // Age and place of the segments, oldest first, for the decision what to trim.
  [[nodiscard]] virtual std::vector<SegmentSpan> Segments() const = 0;

  // --- Installs (docs/formats.md, "Installs"; DESIGN section 5, catch-up)
  // Room beside the log for entries of another replica. The directory has room for it or says so.
  [[nodiscard]] virtual std::unique_ptr<StagedLog> Stage() = 0;
  // The staged entries replace the whole log, by one frame: after a crash it is the old log or the
  // new one, and whatever the old one acknowledged is in one of them. All of it is committed, and
  // none of it may be older than what is known to be committed here. Hard state stays. DATA_LOSS
  // when the staged log cannot follow this one; the log is then as it was.
  virtual void Install(std::unique_ptr<StagedLog> staged, InstalledLog as, Done done) = 0;
  // The staged entries stand for closed segments of the log, damaged or not, by one frame: the same
  // indices, offsets and terms. Their damage ends. DATA_LOSS when they are not those of whole
  // closed segments.
  virtual void Repair(std::unique_ptr<StagedLog> staged, Done done) = 0;

  // --- Derived state (docs/formats.md, "Saved state")
  // Saves the state up to entry `at.index`, which the caller knows to be committed and durable
  // here; durable when `done` gets OK, and the file is whole or not there after any crash. Older
  // saves that nobody needs any more go: those below the log start, and of those that are not of a
  // segment start all but the newest two. NO_SPACE when the disk is full: nothing has changed, and
  // a later save may succeed. INTERNAL when the log has no such entry; DATA_LOSS when `state` is
  // none of it.
  virtual void SaveState(const StatePosition& at, std::string state, Done done) = 0;
  // The durable saves of entries of this log, ascending. None is verified.
  [[nodiscard]] virtual std::vector<SavedState> SavedStates() const = 0;
  // The newest save at or below `at_most` that verifies; nullopt when there is none.
  virtual void LoadState(Index at_most, LoadDone done) = 0;

  // Entries from `from` on that are in memory, at most `max_bytes` but at least one; empty when
  // `from` is not in memory. Cheap and synchronous: the path of readers that keep up.
  [[nodiscard]] virtual std::vector<Entry> ReadCached(Index from, size_t max_bytes) const = 0;
  // Entries [from, through], at most `max_bytes` but at least one, from memory or disk, verified in
  // full. OFFSET_OUT_OF_RANGE below the log start or above the end; DATA_LOSS naming file and
  // position.
  virtual void Read(Index from, Index through, size_t max_bytes, ReadDone done) = 0;
  // Like Read, from the entry that holds `offset`, or the first one after it that has records.
  virtual void ReadOffset(Offset offset, Index through, size_t max_bytes, ReadDone done) = 0;
  // First Data entry up to `through` whose append time is >= `time`; nullopt when there is none.
  virtual void FindAppendTime(WallTime time, Index through, TimeDone done) = 0;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_PARTITION_LOG_H_
