// SegmentLog: how the log start moves.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "storage/segment_log.h"

namespace varve::storage {

void DropEpochsBefore(Index first, std::vector<EpochStart>* epochs) {
  size_t ended = 0;
  while (ended + 1 < epochs->size() && (*epochs)[ended + 1].index <= first) ++ended;
  epochs->erase(epochs->begin(), epochs->begin() + static_cast<ptrdiff_t>(ended));
}

// files_->mutex held, as in the following. How many segments may leave: a segment start that is not
// committed may still be truncated, and nothing may go before it.
size_t SegmentLog::ReleasableSegments(Index commit_index, Offset log_start) const {
  const auto& segments = files_->segments;
  size_t count = 0;
  while (count + 1 < segments.size()) {
    const Segment& next = *segments[count + 1].segment;
    if (next.base_offset() > log_start || next.first_index() > commit_index ||
        next.first_index() > trim_floor_)
      break;
    ++count;
  }
  return count;
}

bool SegmentLog::TrimDue(Index commit_index) const {
  std::lock_guard lock(files_->mutex);
  const auto& pending = files_->pending_trims;
  if (!pending.empty() && pending.front().index <= commit_index) return true;
  return ReleasableSegments(commit_index, files_->scalars.start.offset) > 0;
}

void SegmentLog::ApplyTrims(Draft* draft) {
  ReplicaScalars& scalars = files_->scalars;
  LogStart start = scalars.start;
  auto& pending = files_->pending_trims;
  for (; !pending.empty() && pending.front().index <= scalars.commit_index; pending.pop_front())
    start.offset = std::max(start.offset, pending.front().log_start);
  // The frame that truncates a segment keeps it in the set.
  const size_t count =
      draft->work.truncate ? 0 : ReleasableSegments(scalars.commit_index, start.offset);
  if (count > 0) {
    auto& segments = files_->segments;
    const auto end = segments.begin() + static_cast<ptrdiff_t>(count);
    SegmentSetStep set;
    for (auto at = segments.begin(); at != end; ++at) {
      set.removed.push_back(at->segment->file());
      draft->work.retire.push_back(std::move(at->segment));
    }
    segments.erase(segments.begin(), end);
    draft->frame.steps.push_back(std::move(set));
    const Index first = segments.front().segment->first_index();
    const std::optional<Term> previous = TermAt(first - 1);
    VARVE_CHECK(previous.has_value(), "group ", files_->group, ": no term before ", first);
    start.index = first;
    start.previous_term = *previous;
    DropEpochsBefore(first, &files_->epochs);
    auto& cache = files_->cache;
    while (!cache.empty() && cache.front().header.last_index < first) cache.pop_front();
  }
  if (start == scalars.start) return;
  VARVE_CHECK(start.index >= scalars.start.index && start.offset >= scalars.start.offset &&
                  start.offset <= scalars.end.next_offset,
              "group ", files_->group, ": log start ", start.offset, " after ",
              scalars.start.offset, " of a log that ends at ", scalars.end.next_offset);
  scalars.start = start;
  ++files_->trims;
}

std::vector<SegmentSpan> SegmentLog::Segments() const {
  std::lock_guard lock(files_->mutex);
  std::vector<SegmentSpan> out;
  out.reserve(files_->segments.size());
  for (const PlacedSegment& placed : files_->segments) {
    const WallTime newest = placed.segment->max_append_time();
    out.push_back({placed.segment->first_index(), placed.segment->base_offset(), placed.end,
                   placed.begin_time == WallTime{} ? newest : placed.begin_time, newest});
  }
  return out;
}

}  // namespace varve::storage
