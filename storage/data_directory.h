// DataDirectory: the storage of one broker: identity, journal, segments of all its replicas.
#ifndef VARVE_STORAGE_DATA_DIRECTORY_H_
#define VARVE_STORAGE_DATA_DIRECTORY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/random.h"
#include "storage/disk_watch.h"
#include "storage/journal.h"
#include "storage/partition_log.h"
#include "storage/restored_image.h"
#include "storage/scrubber.h"
#include "storage/space_class.h"

namespace varve::storage {

struct DataDirectoryOptions {
  std::string path;
  // Checked against an existing directory (FOREIGN_DIRECTORY); empty ids accept what is there and
  // are drawn at random for a new directory. The node id must match unless the directory is new.
  ClusterId expected_cluster;
  NodeId node;
  // The id that a new directory gets; empty: drawn.
  DirectoryId new_directory;
  // Recovery number of the cluster that a new directory joins.
  uint64_t new_recovery_number = 0;
  JournalOptions journal;
  size_t dirty_budget_bytes = 64ull << 20;
  // Disk space held back, beyond what the dirty budget may need, for what is not user data; a
  // quarter of it for hard state, Config entries and trims alone. 0: nothing is held back.
  uint64_t reserve_bytes = 32ull << 20;
  // Memory for recently written entries of all logs, kept for readers that keep up.
  size_t cache_bytes = 32ull << 20;
  // Segment files kept open.
  uint32_t max_open_files = 512;
  // Segment files that, beyond those, may stay open because they wait for their sync; a pass begins
  // when there are so many, and writes wait for it.
  uint32_t max_unsynced_files = 512;
  // Age of dirty segment bytes at which they are synced even when the journal has room.
  Nanos sync_interval = 5 * kSecond;
  // A write or sync of the journal that takes so long is told to the disk's listeners.
  Nanos stall_after = 3 * kSecond;
  // Time in which every closed segment is read and verified once; 0: never.
  Nanos scrub_period = 0;
  // How long removed replicas stay in the trash.
  Nanos trash_delay = 60 * kSecond;
  // Counts the rows of the recovery tables that opening the directory reaches; may be null. Must
  // outlive Open.
  RecoveryTrace* recovery_trace = nullptr;
};

// Where storage runs. The executors must outlive the directory; in the simulator they share one
// thread.
struct StorageExecutors {
  Executor* journal = nullptr;   // writes and syncs of the journal
  Executor* segments = nullptr;  // segment writes
  Executor* sync = nullptr;      // segment syncs, removal of files
  Executor* reader = nullptr;    // cold reads
  // Looks at the journal's I/O under way, and so must never wait for a disk; null: nobody does.
  Executor* watch = nullptr;
};

// A log as metrics show it.
struct LogStats {
  GroupId group;
  Offset start;        // log start offset
  Offset next_offset;  // log end offset
  uint64_t bytes = 0;  // of its segments
  uint64_t segments = 0;
};

// The first entry of a new log, the same on every initial replica.
struct Bootstrap {
  Configuration configuration;
  WallTime append_time;
};

struct RecoveryReport {
  bool created = false;  // the directory was empty
  uint64_t replicas = 0, frames_replayed = 0, bytes_replayed = 0, files_trashed = 0;
  // Damaged segments of replicas that go on; replicas that neither vote nor acknowledge.
  uint64_t damaged = 0, suspect = 0;
  std::vector<std::string> notes;  // what was cut or is damaged, and why
};

// What can be told of a directory without opening it.
struct DirectoryGlance {
  bool empty = true;  // it does not exist, or holds no file of varve's
  std::optional<DirectoryIdentity> identity;
};
// Blocks, changes nothing, and takes no lock. A damaged identity is not told from a missing one:
// opening the directory says what is wrong.
absl::StatusOr<DirectoryGlance> GlanceAtDirectory(FileSystem& files, const std::string& path);

// Open and the destructor block; everything else is thread-safe and does not.
class DataDirectory {
 public:
  // Creates or recovers (docs/formats.md, "What a crash leaves"). Errors name the path and what to
  // do: DIRECTORY_IN_USE, FOREIGN_DIRECTORY, NEWER_FORMAT, PERMISSION_DENIED, NO_SPACE, DATA_LOSS.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(FileSystem& files, const Clock& clock,
                                                             Random& random,
                                                             DataDirectoryOptions options,
                                                             StorageExecutors executors);
  virtual ~DataDirectory() = default;

  [[nodiscard]] virtual const DirectoryIdentity& identity() const = 0;
  [[nodiscard]] virtual const RecoveryReport& recovery() const = 0;
  [[nodiscard]] virtual uint64_t process_epoch() const = 0;
  // How often an operator let the cluster go on without a majority, as this directory knows.
  [[nodiscard]] virtual uint64_t recovery_number() const = 0;

  // --- Marks: how a node that came back from a restored image is found out (docs/recovery.md,
  // "Restored images"). Sent to every peer, with what is remembered of that peer.
  // What this directory says of itself. Its present mark grows with frames of replicas alone, so
  // that two idle nodes fall silent.
  [[nodiscard]] virtual NodeMarks own_marks() const = 0;
  [[nodiscard]] PeerMark own_mark() const { return own_marks().now; }
  // What this start recovered from; process epoch 0 when the directory was empty.
  [[nodiscard]] PeerMark recovered_mark() const { return *own_marks().recovered; }
  // Judges what a peer says of itself by the mark that is held of it, and holds the higher one.
  // After a suspect finding the mark stays as it was: it is what the peer must be told. Durable
  // with the next frames or, when the journal is idle, within JournalOptions::marks_after or two.
  virtual MarkFinding NotePeer(const NodeMarks& said) = 0;
  // All marks that are held, by node, and whether a crash would leave them.
  using KnownPeer = Journal::KnownPeer;
  [[nodiscard]] virtual std::vector<KnownPeer> peer_marks() const = 0;
  // What a peer is to be told: the mark of the directory that it names; incomplete when none is
  // held.
  [[nodiscard]] PeerMark MarkOf(NodeId node, const DirectoryId& directory) const;
  // Judges this directory by what a peer remembers of it: before any other message of that peer
  // counts.
  [[nodiscard]] MarkFinding JudgeSelf(const PeerMark& remembered) const {
    return JudgeMark(own_marks(), remembered);
  }
  // Every replica here is suspect from the return of this call on: writes that begin then are
  // refused with REPLICA_SUSPECT, which says `why`; earlier ones may still be acknowledged, until
  // the caller has told their Raft groups. Marks up to the process
  // epoch of `evidence` (may be empty), and those of this process, are settled then: they accuse
  // nobody again. `done` runs on the journal's executor when that is durable; on a full disk it
  // waits for room. Replicas that are being created may count or not: they lost nothing.
  virtual void MarkAllSuspect(std::string why, const PeerMark& evidence,
                              PartitionLog::Done done) = 0;

  // Groups with a replica here, ascending.
  [[nodiscard]] virtual std::vector<GroupId> groups() const = 0;

  // Newest append time of all replicas as they were found at the start; 0 when there was none.
  [[nodiscard]] virtual WallTime newest_append_time() const = 0;

  // The log of a group that exists here, used on `shard`. NotFound otherwise. At most one instance
  // of a log may be alive.
  virtual absl::StatusOr<std::unique_ptr<PartitionLog>> OpenLog(GroupId group, Executor& shard) = 0;
  // A new replica; with `bootstrap`, its log begins with the bootstrap entry, otherwise empty.
  // `done` runs on `shard` when that is durable. ALREADY_EXISTS when the group has a replica here.
  virtual void CreateLog(
      GroupId group, ReplicaEpoch epoch, std::optional<Bootstrap> bootstrap, Executor& shard,
      absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<PartitionLog>>)> done) = 0;
  // Removes a replica for good; its log must have been destroyed. The files go to the trash, and
  // away after a delay. `done` runs on `shard` when the removal is durable in the journal.
  virtual void RemoveLog(GroupId group, Executor& shard, PartitionLog::Done done) = 0;

  // Dirty budget: takes `bytes` and returns true when there is room. Otherwise false, and
  // `when_room` (if given) is called once, on any thread, when some was freed. Bytes are given back
  // by the directory when the entries lie in segments. A single request larger than the budget is
  // granted when it is empty.
  virtual bool TryReserveDirty(size_t bytes, Task when_room) = 0;
  // Gives back what was reserved for entries that will never be written.
  virtual void ReturnDirty(size_t bytes) = 0;

  // NO_SPACE when new work of this class is to be refused, because the disk is full. What was
  // written before has its room. Ends by itself, when space returns.
  [[nodiscard]] virtual absl::Status Admit(SpaceClass wanted) const = 0;
  [[nodiscard]] absl::Status AdmitData() const { return Admit(SpaceClass::kData); }
  [[nodiscard]] virtual SpaceStats space_stats() const = 0;
  [[nodiscard]] virtual absl::Status health() const = 0;
  // Tells of a disk that stalls and comes back: reason enough to give leaderships away meanwhile.
  // The listener runs on the watch executor, until the directory is gone, and must only post.
  virtual void AddDiskListener(DiskWatch::Listener listener) = 0;
  [[nodiscard]] virtual DiskWatchStats disk_watch_stats() const = 0;
  // Tells of damage that scrubbing finds, on the reader's executor, until the directory is gone.
  virtual void AddScrubListener(Scrubber::Listener listener) = 0;
  [[nodiscard]] virtual ScrubStats scrub_stats() const = 0;
  [[nodiscard]] virtual JournalStats journal_stats() const = 0;
  [[nodiscard]] virtual size_t dirty_bytes() const = 0;
  // Of all logs here, by group. Looks at each: for a scrape, not for a hot path.
  [[nodiscard]] virtual std::vector<LogStats> log_stats() const = 0;
  // Segment files that trims removed since the start.
  [[nodiscard]] virtual uint64_t trimmed_segments() const = 0;
  // Writes and syncs everything, seals, and closes the journal; `done` runs on the journal's
  // executor. All logs must have been destroyed.
  virtual void Close(PartitionLog::Done done) = 0;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_DATA_DIRECTORY_H_
