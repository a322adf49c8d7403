// What may be lost in a data directory that no broker has open, and the operator's decision to go
// on without it. docs/recovery.md, "varved recover".
#ifndef VARVE_STORAGE_ACCEPT_LOSS_H_
#define VARVE_STORAGE_ACCEPT_LOSS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "storage/partition_log.h"

namespace varve::storage {

// Terms that an accepted loss skips, so that no term in which a vote was lost is ever used again.
inline constexpr uint64_t kTermsSkippedByLoss = 1000;

// Which replicas an operator decides about.
enum class LossScope {
  kSoleVoters,    // those that are suspect and decide alone
  kOnlySurvivor,  // besides, those of which all other voters are lost for good
};

// One replica that is damaged or suspect, or is to go on without its other voters.
struct ReplicaLoss {
  GroupId group;
  std::string why;  // of a suspect replica; empty: damaged only
  std::vector<DamagedRange> damaged;
  Term term;
  Index commit_index;
  LogEnd end;  // that the journal knows
  bool sole_voter = false;
  std::vector<ReplicaId> lost_voters;  // with kOnlySurvivor: the others
  // Where the log would end if the loss were accepted; nullopt when nothing of it is left.
  std::optional<LogEnd> end_after;
  [[nodiscard]] bool suspect() const { return !why.empty(); }
  // Whether AcceptLoss would make it go on.
  [[nodiscard]] bool acceptable() const {
    return (survives() || (suspect() && sole_voter)) && end_after.has_value();
  }
  [[nodiscard]] bool damaged_only() const { return !suspect() && !damaged.empty(); }
  [[nodiscard]] bool survives() const { return !lost_voters.empty(); }
};

struct LossReport {
  size_t replicas = 0;
  std::vector<ReplicaLoss> losses;  // by group
  std::vector<std::string> notes;   // what a start would do besides
  [[nodiscard]] bool any_suspect() const;
};

// Recovers `path` without changing anything in it but its lock file. Errors as DataDirectory::Open,
// a refusal of the directory among them. Memory: what a start would write again from the journal.
absl::StatusOr<LossReport> ExamineLoss(FileSystem& files, const std::string& path,
                                       LossScope scope = LossScope::kSoleVoters);

// Does what `report` says of the replicas that are acceptable(): the log ends where it verifies,
// everything in it counts as committed, the term grows by kTermsSkippedByLoss without a vote, and
// the suspicion is gone. Durable when it returns; a crash before leaves the replicas suspect. A
// replica that survives its other voters becomes the sole one: its log ends with a Config entry
// that says so and a Meta entry that records the loss, both in the raised term, and the recovery
// number of the directory grows by one. `journal_bytes`: size of a new journal file.
absl::Status AcceptLoss(FileSystem& files, const std::string& path, const LossReport& report,
                        uint64_t journal_bytes = 64ull << 20);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_ACCEPT_LOSS_H_
