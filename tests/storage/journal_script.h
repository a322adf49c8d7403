// What the journal's tests share: frames of a group as a partition log would make them, and a
// journal on a simulated disk.
#ifndef VARVE_TESTS_STORAGE_JOURNAL_SCRIPT_H_
#define VARVE_TESTS_STORAGE_JOURNAL_SCRIPT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/sim/sim_file_system.h"
#include "common/sim/sim_scheduler.h"
#include "storage/journal.h"

namespace varve::storage {

DirectoryIdentity TestIdentity();

// A zero-width entry whose payload of `payload_bytes` depends on group and index alone.
Entry TestEntry(GroupId group, Index index, Term term, size_t payload_bytes);

// Makes the frames of one group, each fitting those before.
class GroupScript {
 public:
  GroupScript(GroupId group, FileNumber segment, ReplicaEpoch epoch = ReplicaEpoch{1})
      : group_(group), segment_(segment), epoch_(epoch) {}

  JournalFrame Create();
  JournalFrame Append(size_t entries, size_t payload_bytes);
  JournalFrame Vote(Term term, NodeId node);
  JournalFrame Truncate(Index from);
  JournalFrame Remove();

  [[nodiscard]] GroupId group() const { return group_; }
  [[nodiscard]] FrameSequence last_frame() const { return sequence_; }
  [[nodiscard]] const ReplicaScalars& scalars() const { return scalars_; }
  // The end of the log, as a sync point.
  [[nodiscard]] SyncPoint End() const;

 private:
  JournalFrame Next();

  const GroupId group_;
  const FileNumber segment_;
  const ReplicaEpoch epoch_;
  FrameSequence sequence_;
  ReplicaScalars scalars_;
  std::map<Index, uint64_t> positions_;  // of entries
  uint64_t end_position_ = 4096;
};

// A journal on a simulated disk; survives crashes of the journal. Replicas() says what must be
// there.
class JournalHost {
 public:
  explicit JournalHost(uint64_t seed, JournalOptions options = {});
  ~JournalHost();

  // From nothing or from what ReadJournal finds; the latter counts as durable in segments.
  absl::Status Start();
  absl::StatusOr<JournalContents> Read() { return ReadJournal(disk, "journal", TestIdentity()); }
  void Submit(JournalFrame frame, bool urgent = false);
  // Runs until every submitted frame has its answer; false when that does not happen.
  bool Settle();
  // Everything durable so far is noted as durable in segments.
  void NoteAllDurable();
  absl::Status Close();
  // The process dies: nothing of it runs any more.
  void Kill();

  SimScheduler scheduler;
  SimFileSystem disk;
  JournalOptions options;
  bool spares_ahead = false;  // the journal makes spare files on its executor
  std::unique_ptr<Executor> executor;
  std::unique_ptr<Journal> journal;
  std::vector<JournalFrame> acknowledged;  // done(OK) ran, in that order
  std::vector<absl::Status> refused;
  size_t submitted = 0;
  uint64_t starts = 0;
};

// The table that these frames lead to.
ReplicaTable TableOf(const std::vector<JournalFrame>& frames);
// Equal but for sync points, which move without frames.
bool SameReplicas(const ReplicaTable& a, const ReplicaTable& b);

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_JOURNAL_SCRIPT_H_
