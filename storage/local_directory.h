// LocalDirectory: DataDirectory on a file system.
#ifndef VARVE_STORAGE_LOCAL_DIRECTORY_H_
#define VARVE_STORAGE_LOCAL_DIRECTORY_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "storage/data_directory.h"
#include "storage/dirty_budget.h"
#include "storage/entry_cache.h"
#include "storage/recovery.h"
#include "storage/segment_log.h"
#include "storage/segment_writer.h"

namespace varve::storage {

class LocalDirectory final : public DataDirectory {
 public:
  LocalDirectory(FileSystem& files, const Clock& clock, DataDirectoryOptions options,
                 StorageExecutors executors);
  ~LocalDirectory() override;

  // Blocks; see DataDirectory::Open.
  absl::Status Start(Random& random);

  [[nodiscard]] const DirectoryIdentity& identity() const override { return identity_; }
  [[nodiscard]] const RecoveryReport& recovery() const override { return report_; }
  [[nodiscard]] uint64_t process_epoch() const override { return journal_->process_epoch(); }
  [[nodiscard]] uint64_t recovery_number() const override { return recovery_number_; }
  [[nodiscard]] NodeMarks own_marks() const override;
  MarkFinding NotePeer(const NodeMarks& said) override;
  [[nodiscard]] std::vector<KnownPeer> peer_marks() const override {
    return journal_->peer_marks();
  }
  void MarkAllSuspect(std::string why, const PeerMark& evidence, PartitionLog::Done done) override;
  [[nodiscard]] std::vector<GroupId> groups() const override;
  uint64_t recovery_number_ = 0;  // set once, when the directory is opened
  [[nodiscard]] WallTime newest_append_time() const override { return newest_append_time_; }
  absl::StatusOr<std::unique_ptr<PartitionLog>> OpenLog(GroupId group, Executor& shard) override;
  void CreateLog(
      GroupId group, ReplicaEpoch epoch, std::optional<Bootstrap> bootstrap, Executor& shard,
      absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<PartitionLog>>)> done) override;
  void RemoveLog(GroupId group, Executor& shard, PartitionLog::Done done) override;
  bool TryReserveDirty(size_t bytes, Task when_room) override {
    return budget_->TryReserve(bytes, std::move(when_room));
  }
  void ReturnDirty(size_t bytes) override { budget_->Release(bytes); }
  [[nodiscard]] absl::Status Admit(SpaceClass wanted) const override;
  [[nodiscard]] SpaceStats space_stats() const override { return reserve_->stats(); }
  [[nodiscard]] absl::Status health() const override;
  void AddDiskListener(DiskWatch::Listener listener) override {
    watch_->AddListener(std::move(listener));
  }
  [[nodiscard]] DiskWatchStats disk_watch_stats() const override { return watch_->stats(); }
  void AddScrubListener(Scrubber::Listener listener) override {
    scrubber_->AddListener(std::move(listener));
  }
  [[nodiscard]] ScrubStats scrub_stats() const override { return scrubber_->stats(); }
  [[nodiscard]] JournalStats journal_stats() const override { return journal_->stats(); }
  [[nodiscard]] size_t dirty_bytes() const override { return budget_->used(); }
  [[nodiscard]] std::vector<LogStats> log_stats() const override;
  [[nodiscard]] uint64_t trimmed_segments() const override { return writer_->trimmed_segments(); }
  void Close(PartitionLog::Done done) override;

 private:
  absl::Status TakeLock();
  absl::Status TakeIdentity(Random& random, bool* fresh);
  absl::Status ReadIdentity(DirectoryObservation* seen);
  absl::Status CreateIdentity(Random& random);
  absl::StatusOr<ContentsSeen> LookInto(const std::string& directory);
  absl::Status MakeDirectories();
  absl::Status StartJournal(bool fresh);
  absl::StatusOr<Checkpoint> TakeJournal(bool fresh);
  [[nodiscard]] LogParts Parts();
  [[nodiscard]] std::vector<std::shared_ptr<ReplicaFiles>> Replicas() const;
  // What tasks on executors know of the directory: null once it is gone. Held while one of them
  // works with it.
  struct Handle {
    std::mutex mutex;
    LocalDirectory* directory = nullptr;
  };
  // Wraps `step` so that it runs while the directory exists, or not at all.
  template <class Step>
  auto WhileAlive(Step step) {
    return [self = self_, step = std::move(step)](auto&&... arguments) mutable {
      std::lock_guard lock(self->mutex);
      if (self->directory != nullptr) step(std::forward<decltype(arguments)>(arguments)...);
    };
  }
  // The group may be created again.
  void EndBurial(GroupId group);
  // On the sync executor. On a full disk it is tried again by itself.
  void BuryReplica(const std::shared_ptr<ReplicaFiles>& replica, FrameSequence removal,
                   FileNumber number);
  absl::Status MoveToTrash(const ReplicaFiles& replica, FileNumber number);
  void EmptyTrash();
  void ArmTrash();

  FileSystem& files_;
  const Clock& clock_;
  const DataDirectoryOptions options_;
  const StorageExecutors executors_;
  const DirectoryPaths paths_;
  DirectoryIdentity identity_;
  RecoveryReport report_;
  WallTime newest_append_time_;
  PeerMark recovered_;        // what this start recovered from
  uint64_t incarnation_ = 0;  // of this start
  SegmentContext context_;    // complete once the identity is known
  const std::shared_ptr<DirtyBudget> budget_;
  const std::shared_ptr<SpaceReserve> reserve_;
  const std::shared_ptr<DiskWatch> watch_;
  const std::shared_ptr<Scrubber> scrubber_;
  EntryCache cache_;
  std::unique_ptr<FileLock> lock_;
  std::shared_ptr<SegmentWriter> writer_;
  std::unique_ptr<Journal> journal_;
  std::mutex marks_mutex_;  // a mark is judged and noted in one step
  mutable std::mutex mutex_;
  std::map<GroupId, std::shared_ptr<ReplicaFiles>> replicas_;
  // Removed replicas whose files are not in the trash yet, with the creations that wait for that.
  std::map<GroupId, std::vector<Task>> burying_;
  const std::shared_ptr<Handle> self_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_LOCAL_DIRECTORY_H_
