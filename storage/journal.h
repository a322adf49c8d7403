// Journal: makes frames of many groups durable with one write and one sync (group commit).
#ifndef VARVE_STORAGE_JOURNAL_H_
#define VARVE_STORAGE_JOURNAL_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/executor.h"
#include "common/file_system.h"
#include "common/metric_cells.h"
#include "storage/disk_watch.h"
#include "storage/peer_marks.h"
#include "storage/replica_state.h"

namespace varve::storage {

// What names a data directory; the same in every file header.
struct DirectoryIdentity {
  ClusterId cluster;
  DirectoryId directory;
  NodeId node;
  bool operator==(const DirectoryIdentity&) const = default;
};

struct JournalFileRef {
  FileNumber file;
  Generation generation;
  bool operator==(const JournalFileRef&) const = default;
};

// Body of a checkpoint: everything that recovery needs besides later commits.
struct Checkpoint {
  uint64_t process_epoch = 0;
  uint64_t recovery_number = 0;
  CommitSequence last_commit;
  CommitSequence durable_through;
  FileNumber next_file;
  Generation next_generation;
  uint64_t incarnation = 0;                // of the process; 0: not known
  uint64_t settled_epoch = 0;              // see NodeMarks
  std::vector<JournalFileRef> live_files;  // oldest first, the checkpoint's own file last
  PeerMarks peers;
  ReplicaTable replicas;
};

struct JournalOptions {
  // Size of a journal file; raised so that it is at least 20 times its checkpoint.
  uint64_t file_bytes = 64ull << 20;
  // Live files at which commits wait for segments to be synced.
  uint32_t max_live_files = 8;
  // Idle time after which a seal is written, so that the last acknowledged commit is provable.
  Nanos seal_after = 20 * kMillisecond;
  // Time after which an idle journal writes the marks of peers that it was told of.
  Nanos marks_after = kSecond;
};

struct JournalStats {
  uint64_t commits = 0, frames = 0, bytes = 0, seals = 0, recycled = 0, checkpoints = 0;
  LatencyCounts sync_latency;
  PieceCounts commit_frames;  // of commits that have frames
  ByteCounts commit_bytes;
  // Frames that wait for a commit now, and their bytes.
  uint64_t waiting_frames = 0, waiting_bytes = 0;
  // Files now: the active one and those that recovery still needs; those to be used again.
  uint64_t live_files = 0, spare_files = 0;
};

// Submit, the note calls and the getters are thread-safe; everything else runs on the journal's
// executor, which does the I/O. One instance per data directory; the directory's lock is held by
// the owner.
//
// Durability: a frame's `done` is called with OK only after the sync of its commit returned. Order:
// frames of one group become durable in the order in which they were submitted; groups with
// hard-state changes or metadata go first within a commit, the others round-robin. After any I/O
// error the journal is failed for good: every waiting and later frame gets DISK_FAILED and nothing
// is retried. On a full disk frames wait until there is room; the journal asks again by itself.
// Whoever submits must keep new user data away meanwhile (waits_for_space()). Close gives up
// what still waits, with NO_SPACE.
class Journal {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  // Called (on the journal's executor) when space is short: every group named must become durable
  // in its segments up to its last frame, so that files can be recycled.
  using NeedSegmentSync = absl::AnyInvocable<void()>;

  // Begins a journal from `state`, which recovery (or creation) has made durable in segments:
  // writes `state` as the checkpoint of a fresh file, listing only itself, and syncs file and
  // directory before it returns. Files in the directory that the new checkpoint does not list are
  // recycled or removed. New files are filled ahead on `spare_executor`, if given; `watch`, if
  // given, hears of every write and sync.
  static absl::StatusOr<std::unique_ptr<Journal>> Begin(FileSystem& files, std::string directory,
                                                        DirectoryIdentity identity,
                                                        JournalOptions options, Checkpoint state,
                                                        Executor& executor, const Clock& clock,
                                                        Executor* spare_executor = nullptr,
                                                        std::shared_ptr<DiskWatch> watch = nullptr);
  virtual ~Journal() = default;

  // `urgent`: hard state or metadata. `done` runs on the journal's executor and must only post.
  virtual void Submit(JournalFrame frame, bool urgent, Done done) = 0;
  // Everything of `group` up to frame `through` is durable in its segments and directories (or the
  // group was removed and its directory moved to the trash, durably).
  virtual void NoteDurableInSegments(GroupId group, FrameSequence through, SyncPoint point) = 0;
  // A mark that grows what is known becomes durable with the next commit that has frames and room
  // for it, else with a commit of its own after `marks_after`, or with the next checkpoint.
  // Thread-safe. Marks that are lost in a crash are heard of again.
  virtual void NotePeer(const PeerMark& mark) = 0;
  struct KnownPeer {
    PeerMark mark;
    bool durable = false;
  };
  [[nodiscard]] virtual std::vector<KnownPeer> peer_marks() const = 0;  // as PeerMarks orders them
  // Every replica becomes suspect, and marks of this node up to `settled_epoch` are settled: by a
  // checkpoint, so that no single damaged commit undoes it. `done` runs on the journal's executor
  // when that is durable; on a full disk it waits for room.
  virtual void MarkAllSuspect(std::string why, uint64_t settled_epoch, Done done) = 0;
  virtual void SetNeedSegmentSync(NeedSegmentSync callback) = 0;
  // A number for a new segment file; never handed out twice, also not after a crash (a number
  // handed out becomes durable with the frame that names it; unnamed ones may be given again after
  // a restart only if no file of that name exists: recovery moves such files away first).
  virtual FileNumber NextFileNumber() = 0;
  // Another part of the directory failed for good: so does the journal, and what waits is answered.
  virtual void Fail(absl::Status why) = 0;
  [[nodiscard]] virtual absl::Status health() const = 0;  // DISK_FAILED once failed
  [[nodiscard]] virtual CommitSequence durable_through() const = 0;
  // The last durable commit with frames of replicas; at the start, the last of any kind that the
  // journal begins from. Seals and marks of peers alone do not count: of what is told to peers,
  // nothing may grow by their telling.
  [[nodiscard]] virtual CommitSequence durable_frames() const = 0;
  [[nodiscard]] virtual uint64_t process_epoch() const = 0;
  [[nodiscard]] virtual uint64_t settled_epoch() const = 0;  // what is durable of it
  // Frames wait because the disk has no room for another journal file; ends by itself.
  [[nodiscard]] virtual bool waits_for_space() const = 0;
  [[nodiscard]] virtual JournalStats stats() const = 0;
  // Commits what waits, then a final seal and a checkpoint in a fresh file, then calls `done`.
  // Nothing may be submitted afterwards.
  virtual void Close(Done done) = 0;
};

// What recovery reads from a journal directory. Pure reading; nothing is changed.
struct JournalContents {
  Checkpoint checkpoint;  // the newest valid one, replicas as of it
  ReplicaTable replicas;  // after all valid frames
  PeerMarks peers;        // likewise
  CommitSequence last_commit;
  CommitSequence durable_through;  // highest found
  std::vector<std::string> notes;  // what was cut and why, for the log
  // Commits that were durable and do not verify. Their groups have lost frames: those are suspect
  // in `replicas`, for the reason in `lost_frames`, unless a later checkpoint covers all that they
  // led to.
  struct Skipped {
    FileNumber file;
    CommitSequence commit;
    uint64_t resume = 0;  // position of the next one
    std::vector<GroupId> groups;
    bool in_checkpoint = false;
  };
  std::vector<Skipped> skipped;
  std::map<GroupId, std::string> lost_frames;
};
// NotFound when there is no journal file with a header of ours; DATA_LOSS for corruption (file,
// position, sequence in the text); NEWER_FORMAT, FOREIGN_DIRECTORY as named. Decides by the tables
// of storage/recovery_table.h; `trace`, if given, counts the rows.
class RecoveryTrace;
absl::StatusOr<JournalContents> ReadJournal(FileSystem& files, const std::string& directory,
                                            const DirectoryIdentity& identity,
                                            RecoveryTrace* trace = nullptr);

// Calls `visit` for every valid frame of the files that the checkpoint lists, in order, with
// entries that share one commit's buffer (bounded memory). Of a group that lost a frame, those on
// its other side are left out. Stops at the first error, which it returns.
using FrameVisitor = absl::AnyInvocable<absl::Status(const JournalFrame&)>;
absl::Status ReplayJournal(FileSystem& files, const std::string& directory,
                           const JournalContents& contents, FrameVisitor visit,
                           RecoveryTrace* trace = nullptr);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_H_
