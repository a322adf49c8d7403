// ReplicaFiles: everything of one replica that its log, the segment writer, the sync passes and the
// readers share.
#ifndef VARVE_STORAGE_REPLICA_FILES_H_
#define VARVE_STORAGE_REPLICA_FILES_H_

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/entry.h"
#include "common/meta_entry.h"
#include "storage/partition_log.h"
#include "storage/replica_state.h"
#include "storage/segment.h"

namespace varve::storage {

// A segment of the log and how far it goes.
struct PlacedSegment {
  std::shared_ptr<Segment> segment;
  uint64_t end = 0;          // position behind the last entry that was given to the journal
  uint64_t written_end = 0;  // position behind the last entry in the file
  WallTime begin_time;       // append time of the segment start; 0: not read
  absl::Status damage;       // entries at `end` and beyond are damaged, and why; OK: none
};

// Where segments stand after the writer has carried out a frame.
struct WrittenMark {
  FrameSequence frame;
  SyncPoint point;
  uint64_t truncations = 0;  // of the replica when that frame was made
};

// Where the log would end if an entry were its last.
struct EntryEnd {
  LogEnd end;
  FileNumber file;
  uint64_t position = 0;  // behind the entry
};

// A Trim entry of the log that is not known to be committed.
struct PendingTrim {
  Index index;
  Offset log_start;
};

// Forgets terms that ended before `first`.
void DropEpochsBefore(Index first, std::vector<EpochStart>* epochs);

// REPLICA_SUSPECT, naming the group.
absl::Status SuspicionOf(GroupId group, std::string_view why);

struct ReplicaFiles;
// Of the tail, what no truncation can ask for any more. Its mutex is held.
void DropCommittedEnds(ReplicaFiles* files);

// Term of the entry at `index`; nullopt outside [start.index - 1, end.last_index]. Its mutex is
// held, or this is the log's shard.
std::optional<Term> TermAt(const ReplicaFiles& files, Index index);

// Fields are guarded by `mutex`, which is held for short steps in memory only. Lock order: this
// before a Segment's own lock and before EntryCache's.
struct ReplicaFiles {
  ReplicaFiles(GroupId g, ReplicaEpoch e, std::string d)
      : group(g), epoch(e), directory(std::move(d)) {}
  const GroupId group;
  const ReplicaEpoch epoch;
  const std::string directory;  // path

  [[nodiscard]] absl::Status Suspicion() {
    const std::lock_guard lock(mutex);
    return suspicion;
  }

  std::mutex mutex;
  bool log_open = false;  // a PartitionLog exists
  // As of the last write given to the journal.
  ReplicaScalars scalars;
  Configurations configurations;
  FrameSequence last_frame;
  std::vector<EpochStart> epochs;
  std::vector<PlacedSegment> segments;  // by first index; the last is active
  Index durable_index;
  // Why the replica is suspect, REPLICA_SUSPECT; OK when it is not.
  absl::Status suspicion;
  std::vector<DamagedRange> damaged;      // by first index, as recovery found it
  std::deque<PendingTrim> pending_trims;  // by index
  std::vector<SavedState> states;         // durable files, ascending; see UsableStates
  // Grows whenever the log start moves: what a reader looked up before may be gone.
  uint64_t trims = 0;
  // By index: of the entries above the commit index and of the last one that is not. A truncation
  // finds its place here, without the disk.
  std::deque<EntryEnd> tail;
  // Entries in memory: a suffix of the log, and everything that is not yet in a file.
  std::deque<Entry> cache;

  // Of the writer and the sync passes. Works made before the newest truncation say nothing about
  // entries that were written after it under the same indices.
  uint64_t truncations = 0;
  Index written_index;
  WrittenMark written;
  SyncPoint synced;  // up to here segments are synced; its file may have left the log since
  std::vector<std::shared_ptr<Segment>> unsynced;
  std::vector<std::shared_ptr<Segment>> retired;  // left the set by a trim; their files are to go
  bool directory_changed = false;
  bool listed_dirty = false;
  bool removed = false;  // no more is written, and its directory goes to the trash
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_REPLICA_FILES_H_
