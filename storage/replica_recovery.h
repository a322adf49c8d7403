// ReplicaRecovery: brings one replica of a directory up after the journal was read.
#ifndef VARVE_STORAGE_REPLICA_RECOVERY_H_
#define VARVE_STORAGE_REPLICA_RECOVERY_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "storage/data_directory.h"
#include "storage/recovery_table.h"
#include "storage/replica_files.h"

namespace varve::storage {

// Observes the replica's files and does what the tables say: Open, then Redo for its frames in
// order, then Finish. An error refuses the directory; damage that concerns this replica alone is in
// its files instead. One thread; blocks. Everything passed must outlive it.
class ReplicaRecovery {
 public:
  ReplicaRecovery(const SegmentContext& context, const ReplicaRecord& record,
                  const std::string& groups_directory, RecoveryReport* report,
                  RecoveryTrace* trace);

  // Lists the directory, or makes it. Raises `next_file` above all file numbers.
  absl::Status Open(FileNumber* next_file);
  // The physical part of a frame: bytes and truncations.
  absl::Status Redo(const JournalFrame& frame);
  // The journal lost a frame of it. Before Finish.
  void Suspect(std::string_view why);
  // Loads what is there, grades it, and makes what was redone durable.
  absl::Status Finish();

  // After Finish. Whether the log has the entry that this saved state is of; then it is the log's.
  bool TakeState(const SavedState& state);
  // Of the states taken: the newest that is intact, and what is older, stay.
  absl::Status JudgeStates();

  [[nodiscard]] const ReplicaRecord& record() const { return record_; }
  [[nodiscard]] const std::shared_ptr<ReplicaFiles>& files() const { return files_; }
  // Why it was first found suspect, as far as is known; empty when it is not.
  [[nodiscard]] const std::string& suspect_why() const { return suspect_why_; }
  [[nodiscard]] ReplicaGrade grade() const {
    return files_->suspicion.ok() ? ReplicaGrade::kSound : ReplicaGrade::kSuspect;
  }
  [[nodiscard]] bool InSet(FileNumber file) const { return segments_.contains(file); }

 private:
  void SuspectAgain();
  const RecoveryRowInfo& JudgeRedo(StepSeen step, FileNumber file);
  absl::Status RedoAppend(const AppendStep& step, const RecoveryRowInfo& row);
  [[nodiscard]] SegmentPlace PlaceOf(const SegmentRef& ref) const;
  absl::StatusOr<SegmentSeen> Observe(const SegmentRef& ref, uint64_t* end, absl::Status* why);
  absl::Status LoadSegment(const SegmentRef& ref);
  absl::Status Cut(const Segment& segment, uint64_t end);
  absl::Status AddDamaged(const SegmentRef& ref, const absl::Status& why);
  absl::Status LoadTail();
  absl::Status LoadEpochs();
  absl::Status LoadEnds();
  absl::Status LoadPendingTrims();
  void StandInForEnds();
  absl::Status Sync();

  const SegmentContext& context_;
  const ReplicaRecord& record_;
  RecoveryReport* const report_;
  RecoveryTrace* const trace_;
  const std::shared_ptr<ReplicaFiles> files_;
  std::map<FileNumber, std::shared_ptr<Segment>> segments_;  // of the set
  std::string suspect_why_;
  std::set<FileNumber> present_;  // files that exist
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_REPLICA_RECOVERY_H_
