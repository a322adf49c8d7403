// LogView: what the core remembers of its log without reading it: where it starts and ends, the
// terms along it, the ends of the entries that may still be truncated, and the configurations.
//
// Memory: the epoch table has one row per term, the ends one per entry above the commit index.
// Nothing here is proportional to the log. Plain bookkeeping; what may be asked when is checked as
// broken invariants. Not thread-safe.
#ifndef VARVE_RAFT_CORE_LOG_VIEW_H_
#define VARVE_RAFT_CORE_LOG_VIEW_H_

#include <optional>
#include <vector>

#include "common/log_state.h"
#include "common/meta_entry.h"
#include "raft/core/defect.h"
#include "raft/core/message.h"
#include "raft/core/queue.h"

namespace varve::raft {

// What a log holds when a replica starts; all of it is durable.
struct CoreState {
  HardState hard_state;
  LogStart start;
  LogEnd end;
  Index commit_index;
  Configurations configurations;
  // Ends of the entries from the commit index on, ascending; empty when that is the end itself.
  std::vector<LogEnd> ends;
  // Terms of the entries from the start on, ascending.
  std::vector<EpochStart> epochs;
};

class LogView {
 public:
  // A state that contradicts itself (a commit index beyond the end, ends that do not reach from the
  // commit index to the end) is a broken invariant.
  explicit LogView(const CoreState& state);

  [[nodiscard]] const LogStart& start() const { return start_; }
  [[nodiscard]] const LogEnd& end() const { return ends_.back(); }
  [[nodiscard]] Index last_index() const { return end().last_index; }
  [[nodiscard]] Term last_term() const {
    const bool empty = last_index() < start_.index;
    return empty && Planted(Defect::kEmptyLogHasNoTerm) ? Term{} : end().last_term;
  }
  [[nodiscard]] Index commit_index() const { return commit_index_; }
  // Exclusive bound of committed offsets.
  [[nodiscard]] Offset high_watermark() const { return ends_.front().next_offset; }
  [[nodiscard]] const std::vector<EpochStart>& epochs() const { return epochs_; }
  [[nodiscard]] const Configurations& configurations() const { return configurations_; }
  // A configuration acts as soon as it is in the log.
  [[nodiscard]] const Configuration& configuration() const {
    return configurations_.uncommitted && !Planted(Defect::kActsWhenCommitted)
               ? configurations_.uncommitted->configuration
               : configurations_.committed.configuration;
  }

  // Term of the entry at `index`; none outside [start.index - 1, last_index].
  [[nodiscard]] std::optional<Term> TermAt(Index index) const;
  // Whether the log has this entry. Below the start: nothing is known, so no.
  [[nodiscard]] bool Has(Index index, Term term) const { return TermAt(index) == term; }
  // Where the log would end if the entry at `index` were its last; the commit index or above.
  [[nodiscard]] const LogEnd& EndAt(Index index) const;
  // The largest index at or below `index` whose term is at most `term`: where two logs that differ
  // at `index` can agree at best. At least start.index - 1.
  [[nodiscard]] Index LargestIndexWithTermAtMost(Index index, Term term) const;
  // What (last_term, last_index) is compared with in elections: whether a log that ends there is at
  // least as new as this one (paper, section 5.4.1).
  [[nodiscard]] bool IsUpToDate(Index index, Term term) const;

  // Continues the log. A configuration acts from here on, and proves the one before it committed:
  // no leader begins a second before.
  void Append(const EntryHeader& entry, std::optional<Configuration> configuration);
  // Everything from `from` on goes, above the commit index; an uncommitted configuration with it.
  void Truncate(Index from);
  // Never back and never beyond the end. Whether a configuration became committed.
  bool CommitThrough(Index index);
  // Never back and never beyond the commit index + 1.
  void MoveStart(const LogStart& start);
  // The log is now what the point says, all of it committed.
  void Install(const InstallPoint& point);

 private:
  LogStart start_;
  Index commit_index_;
  Queue<LogEnd> ends_;  // of the entry at the commit index, or the start, and of all above
  std::vector<EpochStart> epochs_;
  Configurations configurations_;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_LOG_VIEW_H_
