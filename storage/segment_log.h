// SegmentLog: PartitionLog on segment files and the journal.
#ifndef VARVE_STORAGE_SEGMENT_LOG_H_
#define VARVE_STORAGE_SEGMENT_LOG_H_

#include <limits>
#include <memory>
#include <vector>

#include "storage/dirty_budget.h"
#include "storage/entry_cache.h"
#include "storage/partition_log.h"
#include "storage/segment_writer.h"
#include "storage/staged_log.h"

namespace varve::storage {

// What all logs of a directory share.
struct LogParts {
  Journal& journal;
  std::shared_ptr<SegmentWriter> writer;
  EntryCache& cache;
  std::shared_ptr<DirtyBudget> budget;
  std::shared_ptr<SpaceReserve> reserve;
  Executor& reader;
  SegmentContext context;
};

// Shard-confined like every PartitionLog; the files behind it (ReplicaFiles) outlive it until what
// it wrote is carried out.
class SegmentLog final : public PartitionLog {
 public:
  SegmentLog(const LogParts& parts, std::shared_ptr<ReplicaFiles> files, Executor& shard);
  ~SegmentLog() override;

  [[nodiscard]] GroupId group() const override { return files_->group; }
  [[nodiscard]] ReplicaEpoch replica_epoch() const override { return files_->epoch; }
  [[nodiscard]] LogEnd end() const override { return files_->scalars.end; }
  [[nodiscard]] LogStart start() const override { return files_->scalars.start; }
  [[nodiscard]] HardState hard_state() const override { return files_->scalars.hard_state; }
  [[nodiscard]] Index commit_index() const override { return files_->scalars.commit_index; }
  [[nodiscard]] const Configurations& configurations() const override {
    return files_->configurations;
  }
  [[nodiscard]] Index durable_index() const override { return files_->durable_index; }
  [[nodiscard]] std::vector<DamagedRange> damaged_ranges() const override;
  [[nodiscard]] absl::Status suspicion() const override { return files_->Suspicion(); }
  [[nodiscard]] uint64_t size_bytes() const override;
  [[nodiscard]] uint64_t active_segment_bytes() const override;
  [[nodiscard]] std::optional<Term> TermAt(Index index) const override;
  [[nodiscard]] std::vector<LogEnd> ends() const override;
  [[nodiscard]] const std::vector<EpochStart>& epochs() const override { return files_->epochs; }

  void Write(LogWrite write, Done done) override;
  // The frame that creates the replica; with a bootstrap entry, or empty.
  void WriteCreation(std::optional<Entry> bootstrap, Configurations configurations, Done done);

  [[nodiscard]] bool TrimDue(Index commit_index) const override;
  void SetTrimFloor(Index floor) override { trim_floor_ = floor; }
  [[nodiscard]] std::vector<SegmentSpan> Segments() const override;

  [[nodiscard]] std::unique_ptr<StagedLog> Stage() override;
  void Install(std::unique_ptr<StagedLog> staged, InstalledLog as, Done done) override;
  void Repair(std::unique_ptr<StagedLog> staged, Done done) override;

  void SaveState(const StatePosition& at, std::string state, Done done) override;
  [[nodiscard]] std::vector<SavedState> SavedStates() const override;
  void LoadState(Index at_most, LoadDone done) override;

  [[nodiscard]] std::vector<Entry> ReadCached(Index from, size_t max_bytes) const override;
  void Read(Index from, Index through, size_t max_bytes, ReadDone done) override;
  void ReadOffset(Offset offset, Index through, size_t max_bytes, ReadDone done) override;
  void FindAppendTime(WallTime time, Index through, TimeDone done) override;

 private:
  struct Draft {  // a frame and its file work, while they are made
    JournalFrame frame;
    FileWork work;
    std::vector<std::pair<Index, size_t>> cached;
  };
  Draft NewDraft();
  // Where the log ends once everything from `from` on is gone.
  [[nodiscard]] EntryEnd FindCut(Index from) const;
  void Truncate(Index from, Draft* draft);
  void Append(std::vector<Entry> entries, Draft* draft);
  void BeginSegment(const Entry& start, Draft* draft);
  // segment_log_install.cc
  void Refuse(Done done, absl::Status why);
  [[nodiscard]] absl::Status WhyNotInstall(const StagedLog& staged, const InstalledLog& as) const;
  void ReplaceAll(StagedLog& staged, const InstalledLog& as, Draft* draft);
  [[nodiscard]] absl::StatusOr<std::pair<size_t, size_t>> FindReplaced(
      const StagedLog& staged) const;
  void ReplaceSome(StagedLog& staged, size_t from, size_t to, Draft* draft);
  // segment_log_trim.cc
  [[nodiscard]] size_t ReleasableSegments(Index commit_index, Offset log_start) const;
  void ApplyTrims(Draft* draft);
  void Submit(Draft draft, bool urgent, Done done);
  void OnDurable(Index through, uint64_t truncations);

  const LogParts parts_;
  const std::shared_ptr<ReplicaFiles> files_;
  Executor& shard_;
  Index trim_floor_{std::numeric_limits<uint64_t>::max()};
  std::shared_ptr<SegmentLog*> self_;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_SEGMENT_LOG_H_
