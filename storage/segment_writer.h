// SegmentWriter: carries durable frames out in segment files, and makes those durable in paced
// passes.
#ifndef VARVE_STORAGE_SEGMENT_WRITER_H_
#define VARVE_STORAGE_SEGMENT_WRITER_H_

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "common/executor.h"
#include "storage/dirty_budget.h"
#include "storage/entry_cache.h"
#include "storage/journal.h"
#include "storage/replica_files.h"
#include "storage/space_reserve.h"

namespace varve::storage {

// What one frame asks of the files of its replica, in this order.
struct FileWork {
  std::shared_ptr<ReplicaFiles> replica;
  FrameSequence frame;
  uint64_t truncations = 0;  // of the replica when the work was made, its own included
  bool create_directory = false;
  std::vector<std::shared_ptr<Segment>> remove;  // newest first
  std::vector<std::shared_ptr<Segment>> retire;  // trimmed: removed by the next pass
  std::shared_ptr<Segment> truncate;             // null: none
  uint64_t truncate_to = 0;
  struct Append {
    std::shared_ptr<Segment> segment;
    bool create = false;
    uint64_t position = 0;
    std::vector<Entry> entries;
  };
  std::vector<Append> appends;
  // Where the log's files end after this frame.
  SyncPoint end;
  size_t dirty_bytes = 0;   // given back when done
  uint64_t disk_bytes = 0;  // likewise, to the reserve
};
// Most that the work can take of the disk, in whole blocks.
uint64_t DiskBytesOf(const FileWork& work);

// Thread-safe. Writes run on one executor in the order of Enqueue, syncs on another. A pass covers
// what was written before it began; one begins early when many files wait, and writes wait for it,
// since a file stays open until it is synced. A write that finds the disk full takes room from the
// reserve; when that is used up, writes wait, in their order, and are tried again by themselves.
// Any other error of a write, and any of a sync, is final: the directory is failed, nothing more is
// written, and no frame is reported durable. Order on disk: a truncation removes later segments
// first, and a segment's index before it.
class SegmentWriter : public std::enable_shared_from_this<SegmentWriter> {
 public:
  struct Parts {
    FileSystem& files;
    Executor& writes;
    Executor& syncs;
    const Clock& clock;
    std::shared_ptr<DirtyBudget> budget;
    std::shared_ptr<SpaceReserve> reserve;
    std::string groups_directory;
    Nanos sync_interval;
    // Segment files that may wait for their sync, and so stay open, at a time.
    size_t max_unsynced_files;
  };
  explicit SegmentWriter(Parts parts) : parts_(std::move(parts)) {}

  // Before the first Enqueue.
  void SetJournal(Journal* journal) { journal_ = journal; }
  void Enqueue(FileWork work);
  // A pass as soon as may be, over everything enqueued before.
  void RequestSync();
  // Runs `task` on the write executor when every work that was enqueued before is carried out,
  // those included that wait for room. It shall not wait itself: what follows comes behind it.
  // Dropped once detached, at the latest with the writer, which it must not keep alive.
  using Turn = absl::AnyInvocable<void(SegmentWriter&)>;
  void RunInTurn(Turn task);
  // Runs `task` on the write executor, whatever waits; on the sync executor behind that. Neither
  // once detached: then it is dropped.
  void RunOnWriter(Task task);
  void RunOnSyncer(Task task);
  // Segments of a replica lose their place among those that wait for a sync.
  void ForgetUnsynced(ReplicaFiles* replica);
  // Calls `done` on the sync executor when everything enqueued before is written and synced; drops
  // it when the writer is detached before.
  void Drain(absl::AnyInvocable<void(absl::Status)> done);
  // DISK_FAILED once failed.
  [[nodiscard]] absl::Status health() const;
  // The first one also fails the journal.
  void Fail(const absl::Status& why);
  // Files removed because a trim left them behind the log start, since the start.
  [[nodiscard]] uint64_t trimmed_segments() const { return trimmed_segments_.load(); }
  [[nodiscard]] bool waits_for_space() const { return waits_for_space_.load(); }
  // The directory is going away, and the executors after it, in any order: nothing is posted to
  // them any more.
  void Detach();

 private:
  void Hold(std::variant<FileWork, Turn> next);
  void CarryHeld();
  // Whether it is carried out; otherwise it waits, and will be tried again.
  bool CarryOut(FileWork& work);
  // CarryFiles, with room from the reserve where the disk has none.
  absl::Status CarryWithReserve(FileWork& work);
  void WaitForSpace();
  // Whether too many files are open; then a pass will go on with the writes.
  bool WaitForSync();
  void FinishWork(FileWork& work);
  absl::Status CarryFiles(FileWork& work);
  static absl::Status CreateSegment(Segment& segment);
  static void NoteWritten(ReplicaFiles& replica, const SyncPoint& end);
  void MarkDirty(const std::shared_ptr<ReplicaFiles>& replica);
  // Runs `step` on the sync executor, behind the writes that are queued now; never once detached.
  void PostBehindWrites(absl::AnyInvocable<void(SegmentWriter&)> step);
  void Pass();
  void SyncDirty();
  absl::Status SyncReplica(ReplicaFiles& replica);
  void ArmTimer();

  const Parts parts_;
  // Of the write executor: what is being carried out, or waits.
  std::deque<std::variant<FileWork, Turn>> held_;
  std::atomic<bool> waits_for_space_ = false;
  std::atomic<bool> waits_for_sync_ = false;
  std::atomic<size_t> unwritten_ = 0;       // of held_
  std::atomic<size_t> unsynced_files_ = 0;  // in `unsynced` of all replicas
  std::atomic<uint64_t> trimmed_segments_ = 0;
  Journal* journal_ = nullptr;
  mutable std::mutex mutex_;
  absl::Status failure_;
  std::vector<std::shared_ptr<ReplicaFiles>> dirty_;
  bool pass_posted_ = false;
  bool pass_again_ = false;  // asked for while one was posted, which may not cover all
  bool timer_armed_ = false;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SEGMENT_WRITER_H_
