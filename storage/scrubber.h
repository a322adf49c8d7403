// Scrubber: reads every segment of a directory again and again, slowly, so that bytes which a disk
// loses are found while other replicas still have them.
#ifndef VARVE_STORAGE_SCRUBBER_H_
#define VARVE_STORAGE_SCRUBBER_H_

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/clock.h"
#include "common/executor.h"
#include "storage/partition_log.h"
#include "storage/replica_files.h"

namespace varve::storage {

struct ScrubStats {
  uint64_t bytes = 0;    // verified since the start
  uint64_t passes = 0;   // over everything
  uint64_t damaged = 0;  // ranges found
  uint64_t errors = 0;   // reads that the disk refused
  Nanos last_pass = 0;   // time that the newest whole pass took
};

struct ScrubFinding {
  GroupId group;
  // Of the segment, or of a saved state: then the range is the entry of its name, and nothing is
  // refused, since an older state serves.
  std::string path;
  // The first entry does not verify, what follows was not looked at. Of a closed segment the range
  // is refused from now on, as after a recovery that finds it. Of the active one, which goes on, a
  // read gives what verifies.
  DamagedRange range;
};

// A pass takes about `period`: pieces of one pass are spread evenly over it. What is verified is
// what a read gives; a page that is still in memory says nothing about the disk below.
//
// Saved states are verified, too; a damaged one is of no more use until it is saved again.
//
// Of the active segment what lies below the sync point: the journal has the rest. Damage in it is
// named once while it is active and once more when the segment was closed, but counted once.
//
// Thread-safe; the work runs on one executor, which it shares with others, a piece at a time.
class Scrubber : public std::enable_shared_from_this<Scrubber> {
 public:
  // Called on the executor.
  using Listener = absl::AnyInvocable<void(const ScrubFinding&)>;
  // The replicas of the directory now, by group.
  using Replicas = std::function<std::vector<std::shared_ptr<ReplicaFiles>>()>;

  // Without a period nothing is scrubbed. The executor must outlive this, or Detach come first.
  Scrubber(Executor& executor, const Clock& clock, Nanos period, Replicas replicas);

  void Start();
  // Nothing is posted any more, and `replicas` is not called.
  void Detach();
  void AddListener(Listener listener);
  [[nodiscard]] ScrubStats stats() const;

 private:
  // A segment under way.
  struct Place {
    std::shared_ptr<ReplicaFiles> replica;
    std::shared_ptr<Segment> segment;
    uint64_t end = 0;
    WalkStart next;
    bool active = false;
    Index last;                // in front of `end`, of an active one
    uint64_t truncations = 0;  // of the replica when `end` was taken
  };
  struct StatePlace {
    std::shared_ptr<ReplicaFiles> replica;
    SegmentContext context;
    SavedState name;
  };
  void Arm(Nanos wait);
  void Step();
  // How far the segment may be judged now; 0: not at all. The replica's mutex is held.
  static uint64_t JudgedEnd(const ReplicaFiles& replica, const PlacedSegment& placed);
  // The segment behind (group, index); none at the end of the pass.
  [[nodiscard]] bool FindNext();
  [[nodiscard]] bool IsBehind(GroupId group, const Segment& segment) const;
  [[nodiscard]] std::vector<std::shared_ptr<ReplicaFiles>> TakeReplicas() const;
  [[nodiscard]] Nanos WaitBetweenPieces() const;
  void BeginPass();
  void VerifyPiece();
  void VerifyState();
  void Report(const absl::Status& why);
  // Of a closed segment; the replica's mutex is held.
  void Refuse(const DamagedRange& range, PlacedSegment* placed, const absl::Status& why);

  Executor& executor_;
  const Clock& clock_;
  const Nanos period_;
  const Replicas replicas_;

  // Of the executor.
  std::vector<Listener> listeners_;
  GroupId group_;  // where the pass is
  Index index_;
  Place place_;
  std::deque<StatePlace> states_;  // of the replica under way, still to be verified
  MonoTime begun_;
  std::set<FileNumber> named_;  // damaged segments that are active, or were when they were named

  mutable std::mutex mutex_;  // guards what follows
  bool detached_ = false;
  ScrubStats stats_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SCRUBBER_H_
