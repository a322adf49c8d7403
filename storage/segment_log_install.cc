// SegmentLog: how staged segments become the log, all of it or some.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/segment_log.h"
#include "storage/state_files.h"

namespace varve::storage {
namespace {

PlacedSegment Place(StagedSegment staged) {
  return {std::move(staged.segment), staged.end, staged.end, staged.begin_time, absl::OkStatus()};
}

}  // namespace

std::unique_ptr<StagedLog> SegmentLog::Stage() {
  VARVE_CHECK(shard_.InExecutor());
  return std::make_unique<StagedLog>(parts_.journal, parts_.writer, parts_.context, files_, shard_);
}

void SegmentLog::Refuse(Done done, absl::Status why) {
  shard_.Post([self = self_, done = std::move(done), why = std::move(why)]() mutable {
    if (*self != nullptr) done(std::move(why));
  });
}

absl::Status SegmentLog::WhyNotInstall(const StagedLog& staged, const InstalledLog& as) const {
  const ReplicaScalars& now = files_->scalars;
  if (!staged.finished()) return MakeError(Reason::INTERNAL, "the staged log is not finished");
  if (as.start.index != staged.first_index() || as.start.offset < staged.base_offset() ||
      as.start.offset > staged.end().next_offset || as.start.index < now.start.index ||
      as.start.offset < now.start.offset) {
    return MakeError(Reason::DATA_LOSS, "group ", files_->group, ": a log from index ",
                     staged.first_index(), " cannot start at ", as.start.index, ", offset ",
                     as.start.offset, ", after ", now.start.index, ", offset ", now.start.offset);
  }
  if (staged.end().last_index < now.commit_index || staged.end().last_term > now.hard_state.term) {
    return MakeError(Reason::DATA_LOSS, "group ", files_->group, ": a log to index ",
                     staged.end().last_index, ", term ", staged.end().last_term,
                     ", cannot replace one that is committed to ", now.commit_index, " in term ",
                     now.hard_state.term);
  }
  return absl::OkStatus();
}

void SegmentLog::Install(std::unique_ptr<StagedLog> staged, InstalledLog as, Done done) {
  VARVE_CHECK(shard_.InExecutor());
  absl::Status why = parts_.writer->health();
  why.Update(files_->Suspicion());
  if (why.ok()) why = WhyNotInstall(*staged, as);
  if (!why.ok()) return Refuse(std::move(done), std::move(why));
  Draft draft = NewDraft();
  {
    std::lock_guard lock(files_->mutex);
    ReplaceAll(*staged, as, &draft);
    files_->configurations = as.configurations;
    draft.frame.steps.push_back(ConfigurationsStep{std::move(as.configurations)});
  }
  Submit(std::move(draft), /*urgent=*/true, std::move(done));
}

// files_->mutex held. Entries that were written before and are not durable yet are void: they count
// as truncated.
void SegmentLog::ReplaceAll(StagedLog& staged, const InstalledLog& as, Draft* draft) {
  SegmentSetStep set;
  for (PlacedSegment& placed : files_->segments) {
    set.removed.push_back(placed.segment->file());
    draft->work.retire.push_back(std::move(placed.segment));
  }
  files_->segments.clear();
  const LogEnd end = staged.end();
  if (staged.state()) AddState(*staged.state(), &files_->states);
  files_->epochs = staged.epochs();
  for (StagedSegment& segment : staged.Take()) {
    set.put.push_back(segment.ref);
    files_->segments.push_back(Place(std::move(segment)));
  }
  draft->frame.steps.push_back(std::move(set));
  DropEpochsBefore(as.start.index, &files_->epochs);
  ReplicaScalars& scalars = files_->scalars;
  scalars.start = as.start;
  scalars.end = end;
  scalars.commit_index = end.last_index;
  scalars.consistent_from = as.consistent_from;
  const PlacedSegment& active = files_->segments.back();
  files_->tail.assign({{end, active.segment->file(), active.end}});
  files_->cache.clear();
  files_->pending_trims.clear();
  files_->damaged.clear();
  files_->durable_index = Index{};
  files_->written_index = end.last_index;
  ++files_->truncations;
  ++files_->trims;
}

// The place of the segments that the staged ones stand for: whole closed ones.
absl::StatusOr<std::pair<size_t, size_t>> SegmentLog::FindReplaced(const StagedLog& staged) const {
  const auto misfit = [&](std::string_view what) {
    return MakeError(Reason::DATA_LOSS, "group ", files_->group, ": entries ",
                     staged.empty() ? Index{} : staged.first_index(), " to ",
                     staged.end().last_index, " cannot stand for segments of the log: ", what);
  };
  if (!staged.finished()) return misfit("they are not finished");
  const auto& segments = files_->segments;
  size_t from = 0;
  while (from < segments.size() && segments[from].segment->first_index() != staged.first_index()) {
    ++from;
  }
  size_t to = from;
  while (to < segments.size() && segments[to].segment->first_index() <= staged.end().last_index) {
    ++to;
  }
  if (from == to || to >= segments.size()) return misfit("no closed segments hold these");
  const Segment& next = *segments[to].segment;
  if (segments[from].segment->base_offset() != staged.base_offset() ||
      next.first_index() != staged.end().last_index + 1 ||
      next.base_offset() != staged.end().next_offset) {
    return misfit("they begin or end elsewhere");
  }
  for (const EpochStart& epoch : staged.epochs()) {
    if (epoch.index >= staged.first_index() && TermAt(epoch.index) != epoch.term) {
      return misfit("a term differs");
    }
  }
  return std::pair(from, to);
}

void SegmentLog::Repair(std::unique_ptr<StagedLog> staged, Done done) {
  VARVE_CHECK(shard_.InExecutor());
  absl::Status why = parts_.writer->health();
  Draft draft = NewDraft();
  if (why.ok()) {
    std::lock_guard lock(files_->mutex);
    const auto replaced = FindReplaced(*staged);
    if (replaced.ok()) {
      ReplaceSome(*staged, replaced->first, replaced->second, &draft);
    } else {
      why = replaced.status();
    }
  }
  if (!why.ok()) return Refuse(std::move(done), std::move(why));
  Submit(std::move(draft), /*urgent=*/false, std::move(done));
}

// files_->mutex held. Nothing of the log changes but where its bytes are.
void SegmentLog::ReplaceSome(StagedLog& staged, size_t from, size_t to, Draft* draft) {
  auto& segments = files_->segments;
  const auto at = [&](size_t i) { return segments.begin() + static_cast<std::ptrdiff_t>(i); };
  const Index first = staged.first_index();
  const Index last = staged.end().last_index;
  SegmentSetStep set;
  for (auto placed = at(from); placed != at(to); ++placed) {
    set.removed.push_back(placed->segment->file());
    draft->work.retire.push_back(std::move(placed->segment));
  }
  std::vector<PlacedSegment> whole;
  for (StagedSegment& segment : staged.Take()) {
    segment.ref.end_position = segment.end;
    set.put.push_back(segment.ref);
    whole.push_back(Place(std::move(segment)));
  }
  draft->frame.steps.push_back(std::move(set));
  segments.erase(at(from), at(to));
  segments.insert(at(from), std::make_move_iterator(whole.begin()),
                  std::make_move_iterator(whole.end()));
  std::erase_if(files_->damaged, [&](const DamagedRange& range) {
    return range.first >= first && range.last <= last;
  });
  ++files_->trims;
}

}  // namespace varve::storage
