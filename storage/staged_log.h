// StagedLog: entries of another replica in segment files beside a log, until one journal frame
// takes them into it: the whole of a log that is installed, or segments that replace damaged ones.
#ifndef VARVE_STORAGE_STAGED_LOG_H_
#define VARVE_STORAGE_STAGED_LOG_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/entry.h"
#include "common/log_state.h"
#include "common/meta_entry.h"
#include "storage/journal.h"
#include "storage/replica_files.h"
#include "storage/segment_writer.h"

namespace varve::storage {

// One file, under its final name and number. No journal frame lists it yet, so that a recovery
// removes it.
struct StagedSegment {
  std::shared_ptr<Segment> segment;
  SegmentRef ref;
  uint64_t end = 0;  // position behind its last entry
  WallTime begin_time;
};

// Confined to the log's shard, like its log, which it must not outlive; callbacks run there and
// never from within the call. One call at a time. Not taken in, the files go when it is destroyed.
//
// Durability: after Finish, all of it, names included.
class StagedLog {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  StagedLog(Journal& journal, std::shared_ptr<SegmentWriter> writer, const SegmentContext& context,
            std::shared_ptr<ReplicaFiles> files, Executor& shard);
  ~StagedLog();

  // The next entries, contiguous in index and offset; the first of all is a segment start, and each
  // segment start begins a file. Waits its turn behind writes that were admitted before, also while
  // those wait for room. DATA_LOSS, naming what is wrong, for entries that do not continue or do
  // not verify in full; NO_SPACE when the disk has room for those writes, but not for this;
  // DISK_FAILED when the directory has failed. After an error nothing more is taken.
  void Append(std::vector<Entry> entries, Done done);
  // The derived state up to an entry of the staged ones, saved with them by Finish. DATA_LOSS when
  // it does not verify, or is of another group; Finish says so when its entry is not staged.
  absl::Status SetState(std::string state);
  // DISK_FAILED when a sync fails, and with it the directory.
  void Finish(Done done);

  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] bool empty() const { return segments_.empty(); }
  [[nodiscard]] Index first_index() const { return segments_.front().ref.first_index; }
  [[nodiscard]] Offset base_offset() const { return segments_.front().ref.base_offset; }
  [[nodiscard]] const LogEnd& end() const { return end_; }
  // Terms that the first segment start names, and those of the entries.
  [[nodiscard]] const std::vector<EpochStart>& epochs() const { return epochs_; }
  [[nodiscard]] const std::vector<StagedSegment>& segments() const { return segments_; }
  // They are the log's now, and so is the state.
  std::vector<StagedSegment> Take();
  // Of SetState, once finished.
  [[nodiscard]] const std::optional<SavedState>& state() const { return state_name_; }

 private:
  struct Piece {  // of one file
    std::shared_ptr<Segment> segment;
    bool create = false;
    uint64_t position = 0;
    std::vector<Entry> entries;
  };
  absl::Status Plan(std::vector<Entry> entries, std::vector<Piece>* pieces);
  absl::Status BeginSegment(const Entry& start, std::vector<Piece>* pieces);
  static absl::Status Carry(FileSystem& files, const std::string& directory,
                            const std::vector<Piece>& pieces);
  // Closes those files, too. On the sync executor; an error has failed the directory.
  static absl::Status Sync(SegmentWriter& writer, const std::vector<StagedSegment>& segments);
  // Segments that no more entries come to and that nobody has synced; from now on they count as
  // synced.
  std::vector<StagedSegment> TakeClosed();
  void Answer(Done done, absl::Status status);
  void RemoveFiles();
  [[nodiscard]] absl::Status WhyNotState() const;

  Journal& journal_;
  const std::shared_ptr<SegmentWriter> writer_;
  const SegmentContext context_;
  const std::shared_ptr<ReplicaFiles> files_;
  Executor& shard_;
  std::vector<StagedSegment> segments_;
  size_t synced_ = 0;  // of them, or being synced
  std::optional<SavedState> state_name_;
  std::string state_;
  LogEnd end_;
  std::vector<EpochStart> epochs_;
  absl::Status failure_;
  bool busy_ = false;
  bool finished_ = false;
  std::shared_ptr<StagedLog*> self_;                                     // null once it is gone
  const std::shared_ptr<bool> dropped_ = std::make_shared<bool>(false);  // of the write executor
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_STAGED_LOG_H_
