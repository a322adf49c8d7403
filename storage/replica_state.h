// What the journal knows of each replica: the state that checkpoints hold and that frames change.
//
// These are plain values. The same ReplicaTable::Apply serves the running journal and recovery, so
// that what is replayed is what was meant. docs/formats.md, "Journal file".
#ifndef VARVE_STORAGE_REPLICA_STATE_H_
#define VARVE_STORAGE_REPLICA_STATE_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/config.h"
#include "common/entry.h"
#include "common/log_state.h"
#include "common/types.h"
#include "storage/peer_marks.h"

namespace varve::storage {

// "Scalars" of the formats page.
struct ReplicaScalars {
  HardState hard_state;
  Index commit_index;  // as known when the frame was written; may lag
  LogStart start;
  LogEnd end;
  Index consistent_from;
  bool operator==(const ReplicaScalars&) const = default;
};

// Up to where segment files are known to be durable: entries up to `index` lie in segments that
// were synced after they were written.
struct SyncPoint {
  FileNumber file;
  uint64_t position = 0;
  Index index;
  Offset next_offset;
  bool operator==(const SyncPoint&) const = default;
};

struct SegmentRef {
  FileNumber file;
  Offset base_offset;
  Index first_index;
  uint64_t end_position = 0;  // 0: the active segment
  bool operator==(const SegmentRef&) const = default;
};

struct CreateReplicaStep {};
struct RemoveReplicaStep {};
struct TruncateStep {
  Index from;       // first index that goes
  FileNumber file;  // where the log then ends
  uint64_t position = 0;
};
struct AppendStep {
  FileNumber file;
  uint64_t position = 0;
  std::vector<Entry> entries;  // contiguous, never empty
};
struct SegmentSetStep {
  std::vector<FileNumber> removed;
  std::vector<SegmentRef> put;
};
struct ConfigurationsStep {
  Configurations configurations;
};
// The only step of frames of no group, which concern the directory as a whole.
struct PeerMarksStep {
  std::vector<PeerMark> marks;  // as PeerMarks orders them
};
using JournalStep = std::variant<CreateReplicaStep, RemoveReplicaStep, TruncateStep, AppendStep,
                                 SegmentSetStep, ConfigurationsStep, PeerMarksStep>;

// Stands for the directory in frames and lists of commits: a frame of it is of no replica, and its
// sequence is that of its commit.
inline constexpr GroupId kNoGroup{};

// Everything one group asks the journal for together; durable as a whole or not at all.
struct JournalFrame {
  GroupId group;
  ReplicaEpoch replica_epoch;
  FrameSequence sequence;  // one above the group's previous frame
  ReplicaScalars scalars;  // as of after this frame
  std::vector<JournalStep> steps;
};

struct ReplicaRecord {
  GroupId group;
  ReplicaEpoch replica_epoch;
  bool suspect = false;
  std::string suspect_why;  // of a suspect replica, as it was found; may be empty
  ReplicaScalars scalars;
  FrameSequence last_frame;
  SyncPoint sync_point;
  Configurations configurations;
  std::vector<SegmentRef> segments;  // by first index; the last is active
  bool operator==(const ReplicaRecord&) const = default;
};

// All replicas of a directory, by group. Not thread-safe.
class ReplicaTable {
 public:
  // Applies a frame whose sequence is above the record's last. DATA_LOSS when the frame does not
  // fit the record (a gap in its sequence, an unknown group without a create step, a truncation or
  // append that does not meet the log end or the segment set); the table is then unchanged.
  absl::Status Apply(const JournalFrame& frame);
  // Every replica becomes suspect; those that are keep their reason.
  void MarkAllSuspect(std::string_view why);
  // Raises a group's sync point; ignored when the group is gone, or the point is beyond the log end
  // or not above the present one.
  void RaiseSyncPoint(GroupId group, const SyncPoint& point);
  void Put(ReplicaRecord record);
  void Drop(GroupId group) { records_.erase(group); }
  [[nodiscard]] const ReplicaRecord* Find(GroupId group) const;
  [[nodiscard]] const std::map<GroupId, ReplicaRecord>& records() const { return records_; }

 private:
  std::map<GroupId, ReplicaRecord> records_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_REPLICA_STATE_H_
