// SegmentLog: reading, from memory where possible, else from files on the reader's executor.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "storage/segment_log.h"

namespace varve::storage {
namespace {

// Entries of the cache from `from` on. The mutex is held.
std::vector<Entry> TakeCached(const std::deque<Entry>& cache, Index from, Index through,
                              std::optional<Offset> skip_to, size_t max_bytes) {
  std::vector<Entry> out;
  auto at = std::lower_bound(cache.begin(), cache.end(), from,
                             [](const Entry& e, Index i) { return e.header.last_index < i; });
  size_t bytes = 0;
  for (; at != cache.end() && at->header.first_index <= through; ++at) {
    if (out.empty() && skip_to && (at->header.zero_width() || at->header.last_offset < *skip_to))
      continue;
    bytes += at->frame.size();
    if (!out.empty() && bytes > max_bytes) break;
    out.push_back(*at);
  }
  return out;
}

// Where a read finds its first frame, and how far the file may be believed.
struct FilePlace {
  std::shared_ptr<Segment> segment;
  uint64_t end = 0;
  WalkStart start;
  Index last_in_file;   // entries beyond lie in the next segment or in memory
  absl::Status damage;  // why the file ends early, if it does
};

// The segment with the entry at `index`, or with `offset`. The mutex is held.
FilePlace Locate(const ReplicaFiles& files, std::optional<Offset> offset, Index index) {
  size_t i = files.segments.size() - 1;
  while (i > 0 && (offset ? files.segments[i].segment->base_offset() > *offset
                          : files.segments[i].segment->first_index() > index))
    --i;
  const PlacedSegment& placed = files.segments[i];
  FilePlace out{placed.segment, placed.written_end, {}, files.written_index, placed.damage};
  if (i + 1 < files.segments.size())
    out.last_in_file = std::min(out.last_in_file, files.segments[i + 1].segment->first_index() - 1);
  out.start = offset ? placed.segment->Before(*offset) : placed.segment->Before(index);
  return out;
}

absl::Status BelowStart(const ReplicaFiles& files, Index from, std::optional<Offset> offset) {
  if (offset)
    return MakeError(Reason::OFFSET_OUT_OF_RANGE, "offset ", *offset, " is outside the log, ",
                     files.scalars.start.offset, " to ", files.scalars.end.next_offset);
  return MakeError(Reason::OFFSET_OUT_OF_RANGE, "index ", from, " is outside the log, ",
                   files.scalars.start.index, " to ", files.scalars.end.last_index);
}

// One read: memory, then file after file until something is found. On the reader's executor. A
// truncation or trim under way may change what is being read: then it begins again.
absl::StatusOr<ReadResult> ReadBlocking(ReplicaFiles& files, Index from,
                                        std::optional<Offset> offset, Index through,
                                        size_t max_bytes) {
  std::optional<Offset> sought = offset;  // until the first file was searched
  bool begun = false;                     // the first file was searched
  for (;;) {
    FilePlace place;
    uint64_t truncations = 0;
    uint64_t trims = 0;
    {
      std::lock_guard lock(files.mutex);
      const LogStart& log_start = files.scalars.start;
      if (offset ? *offset < log_start.offset : from < log_start.index)
        return BelowStart(files, from, offset);
      if (!begun && offset) from = std::max(from, log_start.index);
      if (files.segments.empty() || from > files.scalars.end.last_index || from > through)
        return ReadResult{};
      if (!files.cache.empty() && files.cache.front().header.first_index <= from)
        return ReadResult{TakeCached(files.cache, from, through, offset, max_bytes)};
      place = Locate(files, sought, from);
      truncations = files.truncations;
      trims = files.trims;
    }
    auto entries = place.segment->Read(place.start, place.end, from,
                                       std::min(through, place.last_in_file), offset, max_bytes);
    std::lock_guard lock(files.mutex);
    if (files.truncations != truncations || files.trims != trims) continue;
    if (!entries.ok()) return entries.status();
    if (!entries->empty()) return ReadResult{*std::move(entries)};
    if (!place.damage.ok()) return place.damage;  // never what lies behind it instead
    if (!sought && place.last_in_file < from)
      return MakeError(Reason::INTERNAL, "group ", files.group, ": index ", from,
                       " is neither in memory nor in segment \"", place.segment->path(), "\"");
    from = std::max(from, place.last_in_file + 1);
    sought.reset();
    begun = true;
  }
}

absl::StatusOr<std::optional<TimeLookup>> FindTimeBlocking(ReplicaFiles& files, WallTime time,
                                                           Index through) {
  std::optional<TimeLookup> found;
  Offset log_start;
  const auto visit = [&](const EntryHeader& header) {
    if (header.first_index > through) return false;
    if (header.kind == EntryKind::kData && header.append_time >= time &&
        header.last_offset >= log_start) {
      found = TimeLookup{header.first_index, std::max(header.base_offset, log_start),
                         header.append_time};
      return false;
    }
    return true;
  };
  for (;;) {
    std::vector<PlacedSegment> places;
    uint64_t truncations = 0;
    uint64_t trims = 0;
    Index written;
    {
      std::lock_guard lock(files.mutex);
      // Nobody waits for it, and of a removed log nothing may ever be written.
      if (!files.log_open) return std::nullopt;
      places = files.segments;
      truncations = files.truncations;
      trims = files.trims;
      log_start = files.scalars.start.offset;
      written = files.written_index;
    }
    absl::Status status;
    for (const PlacedSegment& placed : places) {
      if (placed.segment->max_append_time() < time && placed.damage.ok()) continue;
      status.Update(
          placed.segment->Walk(placed.segment->BeforeTime(time), placed.written_end, false,
                               [&](const EntryHeader& header, uint64_t) { return visit(header); }));
      if (!found) status.Update(placed.damage);
      if (found || !status.ok()) break;
    }
    std::lock_guard lock(files.mutex);
    const bool changed = files.truncations != truncations || files.trims != trims;
    if (!status.ok() && !changed) return status;
    if (found && !changed) return found;
    found.reset();
    // What was written to files since the search began may have left memory again.
    const Index next = files.cache.empty() ? files.scalars.end.last_index + 1
                                           : files.cache.front().header.first_index;
    if (changed || next > written + 1) continue;
    for (const Entry& entry : files.cache)
      if (!visit(entry.header)) break;
    return found;
  }
}

}  // namespace

std::vector<Entry> SegmentLog::ReadCached(Index from, size_t max_bytes) const {
  std::lock_guard lock(files_->mutex);
  if (files_->cache.empty() || from < files_->cache.front().header.first_index ||
      from < files_->scalars.start.index)
    return {};
  return TakeCached(files_->cache, from, files_->scalars.end.last_index, std::nullopt, max_bytes);
}

void SegmentLog::Read(Index from, Index through, size_t max_bytes, ReadDone done) {
  const auto answer = [&](absl::StatusOr<ReadResult> result) {
    shard_.Post([self = self_, done = std::move(done), result = std::move(result)]() mutable {
      if (*self != nullptr) done(std::move(result));
    });
  };
  if (from < files_->scalars.start.index || from > files_->scalars.end.last_index)
    return answer(MakeError(Reason::OFFSET_OUT_OF_RANGE, "index ", from, " is outside the log, ",
                            files_->scalars.start.index, " to ", files_->scalars.end.last_index));
  {
    std::lock_guard lock(files_->mutex);
    if (!files_->cache.empty() && from >= files_->cache.front().header.first_index)
      return answer(ReadResult{TakeCached(files_->cache, from, through, std::nullopt, max_bytes)});
  }
  parts_.reader.Post([files = files_, &shard = shard_, self = self_, from, through, max_bytes,
                      done = std::move(done)]() mutable {
    auto result = ReadBlocking(*files, from, std::nullopt, through, max_bytes);
    shard.Post([self, done = std::move(done), result = std::move(result)]() mutable {
      if (*self != nullptr) done(std::move(result));
    });
  });
}

void SegmentLog::ReadOffset(Offset offset, Index through, size_t max_bytes, ReadDone done) {
  const auto answer = [&](absl::StatusOr<ReadResult> result) {
    shard_.Post([self = self_, done = std::move(done), result = std::move(result)]() mutable {
      if (*self != nullptr) done(std::move(result));
    });
  };
  if (offset < files_->scalars.start.offset || offset > files_->scalars.end.next_offset)
    return answer(MakeError(Reason::OFFSET_OUT_OF_RANGE, "offset ", offset, " is outside the log, ",
                            files_->scalars.start.offset, " to ", files_->scalars.end.next_offset));
  {
    std::lock_guard lock(files_->mutex);
    if (!files_->cache.empty() && offset >= files_->cache.front().header.base_offset) {
      const auto at =
          std::partition_point(files_->cache.begin(), files_->cache.end(),
                               [&](const Entry& e) { return e.header.last_offset < offset; });
      const Index from =
          at == files_->cache.end() ? files_->scalars.end.last_index + 1 : at->header.first_index;
      return answer(ReadResult{TakeCached(files_->cache, from, through, offset, max_bytes)});
    }
  }
  parts_.reader.Post([files = files_, &shard = shard_, self = self_, offset, through, max_bytes,
                      start = files_->scalars.start.index, done = std::move(done)]() mutable {
    auto result = ReadBlocking(*files, start, offset, through, max_bytes);
    shard.Post([self, done = std::move(done), result = std::move(result)]() mutable {
      if (*self != nullptr) done(std::move(result));
    });
  });
}

void SegmentLog::FindAppendTime(WallTime time, Index through, TimeDone done) {
  parts_.reader.Post([files = files_, &shard = shard_, self = self_, time, through,
                      done = std::move(done)]() mutable {
    auto result = FindTimeBlocking(*files, time, through);
    shard.Post([self, done = std::move(done), result = std::move(result)]() mutable {
      if (*self != nullptr) done(std::move(result));
    });
  });
}

}  // namespace varve::storage
