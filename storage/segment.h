// Segment: one file of a log: frames back to back, found again through a sparse index.
#ifndef VARVE_STORAGE_SEGMENT_H_
#define VARVE_STORAGE_SEGMENT_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/entry.h"
#include "storage/file_pool.h"
#include "storage/format/file_header.h"
#include "storage/index_row.h"
#include "storage/journal.h"
#include "storage/recovery_table.h"
#include "storage/replica_state.h"

namespace varve::storage {

// What the files of a data directory share.
struct SegmentContext {
  FileSystem& files;
  std::shared_ptr<FilePool> pool;
  DirectoryIdentity identity;
};

// Rows of the index that its file does not hold yet.
struct UnsavedRows {
  uint64_t generation = 0;  // a truncation since makes them void
  size_t begin = 0;
  size_t count = 0;
  std::string bytes;
};

// A place in a segment from which frames can be walked.
struct WalkStart {
  uint64_t position = 0;
  Index first_index;
};

// What of a segment verifies from its beginning on.
struct SegmentPrefix {
  uint64_t end = 0;
  Index last_index;
};

// Largest record timestamp of a frame of which at least the batch's header is given; -1 for a frame
// without records.
WallTime MaxRecordTimestamp(const EntryHeader& header, std::string_view frame);

// Thread-safe. The segment has no opinion about where it ends: its owner says how far it may be
// read. The index is a hint in memory, kept up by the owner's appends and saved beside the segment.
class Segment {
 public:
  Segment(const SegmentContext& context, std::string directory, GroupId group, SegmentRef ref);

  [[nodiscard]] FileNumber file() const { return ref_.file; }
  [[nodiscard]] Offset base_offset() const { return ref_.base_offset; }
  [[nodiscard]] Index first_index() const { return ref_.first_index; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // --- index, in memory
  // The frame of `entry` lies at `position`, behind all noted before.
  void Note(const EntryHeader& entry, WallTime max_record_timestamp, uint64_t position);
  // Forgets what lies at or beyond `position`.
  void Forget(uint64_t position);
  // Largest append time noted.
  [[nodiscard]] WallTime max_append_time() const;
  // Nearest row at or before what is sought; the segment's first frame when there is none.
  [[nodiscard]] WalkStart Before(Index index) const;
  [[nodiscard]] WalkStart Before(Offset offset) const;
  // Last row before which every append time is below `time`.
  [[nodiscard]] WalkStart BeforeTime(WallTime time) const;

  // --- files; these block
  // Creates the file with its header; it is durable after a sync of file and directory.
  absl::Status Create();
  // Again, into a file that exists.
  absl::Status WriteHeader();
  // The next SyncData syncs the file whether or not anything was written.
  absl::Status Touch();
  absl::Status Write(uint64_t position, const std::vector<Entry>& entries);
  absl::Status Truncate(uint64_t position);
  absl::Status SyncData();
  // Removes index and segment.
  absl::Status Remove();
  // Rows of frames below `end`, which the owner knows to lie in the file.
  [[nodiscard]] UnsavedRows TakeUnsavedRows(uint64_t end) const;
  // Writes them to the index file, unless a truncation or the removal came in between.
  absl::Status SaveIndex(const UnsavedRows& rows);
  // Fills the index from its file, as far as its rows validate below `end`, then from the frames.
  // An index file that holds anything else is removed.
  // Checks the file's header and that the frames end exactly at `end`; DATA_LOSS otherwise.
  // `trace`, if given, counts what became of the index file.
  absl::Status Load(uint64_t end, RecoveryTrace* trace = nullptr);
  // As Load, where the end is known by its last entry: returns the position behind it.
  absl::StatusOr<uint64_t> LoadUpTo(const LogEnd& end, RecoveryTrace* trace = nullptr);
  // Of a segment that did not load: verifies every byte from the beginning on up to the entry
  // `through`, the last that it should hold. What lies beyond is forgotten by the index. An error
  // is one of the disk.
  absl::StatusOr<SegmentPrefix> VerifiedPrefix(Index through);
  // Calls `visit` for frames from `start` on below `end` until it returns false. The headers are
  // decoded; with `verify`, whole frames are verified.
  absl::Status Walk(WalkStart start, uint64_t end, bool verify,
                    absl::FunctionRef<bool(const EntryHeader&, uint64_t position)> visit);
  // Verified entries [from, through] below position `end`: at most `max_bytes` but at least one.
  // `skip_to`: leaves out entries without records at or beyond that offset.
  absl::StatusOr<std::vector<Entry>> Read(WalkStart start, uint64_t end, Index from, Index through,
                                          std::optional<Offset> skip_to, size_t max_bytes);

  [[nodiscard]] const SegmentContext& context() const { return context_; }

 private:
  absl::Status CheckHeader();
  absl::Status RemoveIndex();
  // kIntact: the file holds exactly these rows.
  std::vector<IndexRow> ReadIndexFile(uint64_t end, IndexSeen* seen);
  absl::Status TakeIndexFile(uint64_t end, const LogEnd* log_end, WalkStart* start,
                             RecoveryTrace* trace);
  [[nodiscard]] std::string HeaderBlock(FileKind kind) const;
  [[nodiscard]] WalkStart BeforePosition(uint64_t position) const;
  // `prefix`: the frame's first bytes, with the record batch's header if it holds one.
  using PrefixVisitor =
      absl::FunctionRef<bool(const EntryHeader&, uint64_t position, std::string_view prefix)>;
  absl::Status WalkFrom(WalkStart start, uint64_t end, bool verify, PrefixVisitor visit);
  absl::Status Damaged(uint64_t position, std::string_view what) const;
  absl::StatusOr<uint64_t> LoadFrames(uint64_t end, const LogEnd* log_end, RecoveryTrace* trace);

  const SegmentContext context_;
  const GroupId group_;
  const SegmentRef ref_;  // its end position is not used
  const std::string path_;
  const std::string index_path_;

  std::mutex index_mutex_;    // held over changes of the index file; before mutex_
  mutable std::mutex mutex_;  // guards all below
  uint64_t generation_ = 0;   // grows with what makes the index file void
  std::vector<IndexRow> rows_;
  size_t saved_rows_ = 0;
  WallTime max_append_time_;
  WallTime max_record_timestamp_{-1};
  std::shared_ptr<File> unsynced_;  // held from the first write to the sync
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SEGMENT_H_
