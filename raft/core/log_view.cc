#include "raft/core/log_view.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "raft/core/defect.h"

namespace varve::raft {
namespace {

bool IndexBelow(const EpochStart& epoch, Index index) { return epoch.index < index; }

}  // namespace

LogView::LogView(const CoreState& state)
    : start_(state.start),
      commit_index_(state.commit_index),
      epochs_(state.epochs),
      configurations_(state.configurations) {
  for (const LogEnd& end : state.ends) ends_.push_back(end);
  if (ends_.empty()) ends_.push_back(state.end);
  VARVE_CHECK(ends_.back() == state.end, "the ends reach ", ends_.back().last_index,
              " and the log ", state.end.last_index);
  VARVE_CHECK(commit_index_ <= last_index(), "commit index ", commit_index_,
              " beyond the last entry ", last_index());
  VARVE_CHECK(ends_.front().last_index <= commit_index_, "the ends begin at ",
              ends_.front().last_index, " above the commit index ", commit_index_);
  while (ends_.size() > 1 && ends_[1].last_index <= commit_index_) ends_.pop_front();
  if (epochs_.empty() && last_index() >= start_.index) {
    VARVE_CHECK(last_term() == start_.previous_term, "a log of term ", last_term(),
                " without epochs");
  }
  if (configurations_.uncommitted && configurations_.uncommitted->index <= commit_index_) {
    configurations_.committed = *std::exchange(configurations_.uncommitted, std::nullopt);
  }
  // The write that told of it may have told an older commit index.
  CommitThrough(std::clamp(configurations_.committed.index, commit_index_, last_index()));
}

std::optional<Term> LogView::TermAt(Index index) const {
  if (index > last_index() || index + 1 < start_.index) return std::nullopt;
  if (index + 1 == start_.index) return start_.previous_term;
  // The last epoch that begins at or before it.
  const auto after = std::lower_bound(epochs_.begin(), epochs_.end(), index + 1, IndexBelow);
  return after == epochs_.begin() ? start_.previous_term : std::prev(after)->term;
}

const LogEnd& LogView::EndAt(Index index) const {
  const auto at = std::lower_bound(ends_.begin(), ends_.end(), index,
                                   [](const LogEnd& end, Index i) { return end.last_index < i; });
  VARVE_CHECK(at != ends_.end() && at->last_index == index, "the end at ", index,
              " is not remembered; commit index ", commit_index_);
  return *at;
}

Index LogView::LargestIndexWithTermAtMost(Index index, Term term) const {
  Index at = std::min(index, last_index());
  while (at >= start_.index && *TermAt(at) > term) {
    // On to the end of the epoch before.
    const auto after = std::lower_bound(epochs_.begin(), epochs_.end(), at + 1, IndexBelow);
    if (after == epochs_.begin()) break;
    at = std::prev(after)->index - 1;
  }
  return std::max(at, start_.index - 1);
}

bool LogView::IsUpToDate(Index index, Term term) const {
  return std::pair(term, index) >= std::pair(last_term(), last_index());
}

void LogView::Append(const EntryHeader& entry, std::optional<Configuration> configuration) {
  VARVE_CHECK(entry.first_index == last_index() + 1, "entry ", entry.first_index, " behind ",
              last_index());
  VARVE_CHECK(entry.base_offset == end().next_offset, "offset ", entry.base_offset, " at ",
              end().next_offset);
  VARVE_CHECK(entry.term >= last_term(), "term ", entry.term, " behind ", last_term());
  if (epochs_.empty() || epochs_.back().term != entry.term) {
    epochs_.push_back({entry.term, entry.first_index, entry.base_offset});
  }
  ends_.push_back({entry.last_index, entry.term, entry.next_offset(), entry.append_time});
  if (!configuration) return;
  if (configurations_.uncommitted) {
    configurations_.committed = *std::move(configurations_.uncommitted);
  }
  configurations_.uncommitted = {entry.first_index, *std::move(configuration)};
}

void LogView::Truncate(Index from) {
  VARVE_CHECK(from > commit_index_, "truncation from ", from, " at commit index ", commit_index_);
  while (last_index() >= from) ends_.pop_back();
  VARVE_CHECK(last_index() + 1 == from, "truncation from ", from, " within an entry");
  while (!epochs_.empty() && epochs_.back().index >= from && !Planted(Defect::kEpochsNotReverted)) {
    epochs_.pop_back();
  }
  if (Planted(Defect::kConfigurationNotReverted)) return;
  if (configurations_.uncommitted && configurations_.uncommitted->index >= from) {
    configurations_.uncommitted.reset();
  }
}

bool LogView::CommitThrough(Index index) {
  VARVE_CHECK(index >= commit_index_ && index <= last_index(), "commit index from ", commit_index_,
              " to ", index, " in a log to ", last_index());
  commit_index_ = index;
  while (ends_.size() > 1 && ends_[1].last_index <= index) ends_.pop_front();
  if (!configurations_.uncommitted || configurations_.uncommitted->index > index) return false;
  configurations_.committed = *std::exchange(configurations_.uncommitted, std::nullopt);
  return true;
}

void LogView::MoveStart(const LogStart& start) {
  VARVE_CHECK(start.index >= start_.index && start.index <= commit_index_ + 1, "log start from ",
              start_.index, " to ", start.index, " at commit index ", commit_index_);
  start_ = start;
  // The epoch that holds the first entry stays.
  size_t gone = 0;
  while (gone + 1 < epochs_.size() && epochs_[gone + 1].index <= start.index) ++gone;
  epochs_.erase(epochs_.begin(), epochs_.begin() + static_cast<std::ptrdiff_t>(gone));
}

void LogView::Install(const InstallPoint& point) {
  start_ = point.start;
  if (Planted(Defect::kInstallOffByOne)) ++start_.index;
  commit_index_ = point.end.last_index;
  ends_.clear();
  ends_.push_back(point.end);
  epochs_ = point.epochs;
  if (Planted(Defect::kInstallKeepsConfiguration)) return;
  configurations_ = {point.configuration, std::nullopt};
}

}  // namespace varve::raft
