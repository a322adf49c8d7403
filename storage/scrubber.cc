#include "storage/scrubber.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"
#include "storage/state_files.h"

namespace varve::storage {
namespace {

// One piece: enough to be worth a seek, too little to hold up a read behind it.
constexpr uint64_t kPieceBytes = 1 << 20;
constexpr Nanos kShortestWait = kMillisecond;
constexpr Nanos kLongestWait = 60 * kSecond;

}  // namespace

Scrubber::Scrubber(Executor& executor, const Clock& clock, Nanos period, Replicas replicas)
    : executor_(executor), clock_(clock), period_(period), replicas_(std::move(replicas)) {}

void Scrubber::Start() {
  if (period_ == 0) return;
  std::lock_guard lock(mutex_);
  if (detached_) return;
  executor_.Post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->BeginPass();
    self->Arm(self->WaitBetweenPieces());
  });
}

void Scrubber::Detach() {
  std::lock_guard lock(mutex_);
  detached_ = true;
}

void Scrubber::AddListener(Listener listener) {
  std::lock_guard lock(mutex_);
  if (detached_) return;
  executor_.Post([self = shared_from_this(), listener = std::move(listener)]() mutable {
    self->listeners_.push_back(std::move(listener));
  });
}

ScrubStats Scrubber::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void Scrubber::Arm(Nanos wait) {
  std::lock_guard lock(mutex_);
  if (detached_) return;
  executor_.RunAt(clock_.Now() + wait, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Step();
  });
}

void Scrubber::BeginPass() {
  group_ = GroupId{};
  index_ = Index{};
  place_ = {};
  begun_ = clock_.Now();
}

bool Scrubber::IsBehind(GroupId group, const Segment& segment) const {
  return group > group_ || (group == group_ && segment.first_index() > index_);
}

std::vector<std::shared_ptr<ReplicaFiles>> Scrubber::TakeReplicas() const {
  std::lock_guard lock(mutex_);
  if (detached_) return {};
  return replicas_();
}

// Spreads what is left of the pass over what is left of the period; both change meanwhile.
Nanos Scrubber::WaitBetweenPieces() const {
  Nanos pieces = 1;
  for (const auto& replica : TakeReplicas()) {
    std::lock_guard lock(replica->mutex);
    for (const PlacedSegment& placed : replica->segments) {
      if (!IsBehind(replica->group, *placed.segment)) continue;
      pieces += static_cast<Nanos>(placed.end / kPieceBytes + 1);
    }
  }
  const Nanos left = std::max<Nanos>(begun_ + period_ - clock_.Now(), 0);
  return std::clamp(left / pieces, kShortestWait, std::min(kLongestWait, period_));
}

// What is not in the file yet comes with a later pass, and damage is known once.
uint64_t Scrubber::JudgedEnd(const ReplicaFiles& replica, const PlacedSegment& placed) {
  if (replica.removed || !placed.damage.ok()) return 0;
  if (&placed != &replica.segments.back()) return placed.written_end == placed.end ? placed.end : 0;
  if (replica.synced.file != placed.segment->file()) return 0;
  return std::min(replica.synced.position, placed.written_end);
}

bool Scrubber::FindNext() {
  for (const auto& replica : TakeReplicas()) {
    if (replica->group < group_) continue;
    std::lock_guard lock(replica->mutex);
    for (const PlacedSegment& placed : replica->segments) {
      if (!IsBehind(replica->group, *placed.segment)) continue;
      const uint64_t end = JudgedEnd(*replica, placed);
      if (end <= kFileHeaderBytes) continue;
      if (group_ != replica->group) {
        for (const SavedState& state : UsableStates(*replica))
          states_.push_back({replica, placed.segment->context(), state});
      }
      group_ = replica->group;
      index_ = placed.segment->first_index();
      const bool active = &placed == &replica->segments.back();
      place_ = {replica,
                placed.segment,
                end,
                {kFileHeaderBytes, index_},
                active,
                replica->synced.index,
                replica->truncations};
      return true;
    }
  }
  return false;
}

void Scrubber::Step() {
  if (place_.segment == nullptr && !states_.empty()) {
    VerifyState();
    return Arm(WaitBetweenPieces());
  }
  if (place_.segment == nullptr && !FindNext()) {
    {
      std::lock_guard lock(mutex_);
      if (detached_) return;
      ++stats_.passes;
      stats_.last_pass = clock_.Now() - begun_;
    }
    // The next one begins when this one was meant to end.
    const Nanos left = begun_ + period_ - clock_.Now();
    BeginPass();
    return Arm(std::max(left, kShortestWait));
  }
  VerifyPiece();
  Arm(WaitBetweenPieces());
}

void Scrubber::VerifyPiece() {
  const uint64_t from = place_.next.position;
  const absl::Status status = place_.segment->Walk(
      place_.next, place_.end, true, [&](const EntryHeader& header, uint64_t position) {
        place_.next = {position + header.frame_bytes(), header.last_index + 1};
        return place_.next.position - from < kPieceBytes;
      });
  {
    std::lock_guard lock(mutex_);
    stats_.bytes += place_.next.position - from;
  }
  if (status.ok() && place_.next.position < place_.end) return;
  if (!status.ok()) Report(status);
  place_ = {};
}

// One that nobody needs any more may go meanwhile.
void Scrubber::VerifyState() {
  const StatePlace place = std::move(states_.front());
  states_.pop_front();
  const std::string path = JoinPath(place.replica->directory, StateFileName(place.name));
  const auto read = ReadStateFile(place.context.files, place.context.identity, path,
                                  place.replica->group, place.name, nullptr);
  if (!read.ok() && ReasonOf(read.status()) == Reason::DATA_LOSS) {
    std::lock_guard lock(place.replica->mutex);
    if (place.replica->removed || std::erase(place.replica->states, place.name) == 0) return;
  }
  {
    std::lock_guard lock(mutex_);
    if (read.ok()) {
      stats_.bytes += kFileHeaderBytes + read->size();
    } else if (ReasonOf(read.status()) == Reason::DISK_FAILED) {
      ++stats_.errors;
    } else if (ReasonOf(read.status()) == Reason::DATA_LOSS) {
      ++stats_.damaged;
    }
  }
  if (ReasonOf(read.status()) != Reason::DATA_LOSS) return;
  const ScrubFinding finding{
      place.replica->group,
      path,
      {place.name.index, place.name.index, std::string(MessageOf(read.status()))}};
  for (Listener& listener : listeners_) listener(finding);
}

// The file may have left the log while it was read, or what was read may have been cut off and
// written anew: then it is nobody's damage, or the next pass's.
void Scrubber::Report(const absl::Status& why) {
  if (ReasonOf(why) != Reason::DATA_LOSS) {
    std::lock_guard lock(mutex_);
    ++stats_.errors;
    return;
  }
  const FileNumber file = place_.segment->file();
  ScrubFinding finding{place_.replica->group,
                       place_.segment->path(),
                       {place_.next.first_index, place_.last, std::string(MessageOf(why))}};
  bool counted = false;
  {
    std::lock_guard lock(place_.replica->mutex);
    auto& segments = place_.replica->segments;
    const auto at = std::find_if(segments.begin(), segments.end(), [&](const PlacedSegment& p) {
      return p.segment == place_.segment;
    });
    if (place_.replica->removed || at == segments.end() ||
        place_.replica->truncations != place_.truncations ||
        place_.active != (std::next(at) == segments.end()))
      return;
    if (place_.active) {
      if (!named_.insert(file).second) return;
    } else {
      finding.range.last = std::next(at)->segment->first_index() - 1;
      counted = named_.erase(file) > 0;
      Refuse(finding.range, &*at, why);
    }
  }
  if (!counted) {
    std::lock_guard lock(mutex_);
    ++stats_.damaged;
  }
  for (Listener& listener : listeners_) listener(finding);
}

void Scrubber::Refuse(const DamagedRange& range, PlacedSegment* placed, const absl::Status& why) {
  placed->damage = why;
  placed->end = placed->written_end = place_.next.position;
  auto& damaged = place_.replica->damaged;
  damaged.insert(
      std::upper_bound(damaged.begin(), damaged.end(), range.first,
                       [](Index index, const DamagedRange& other) { return index < other.first; }),
      range);
}

}  // namespace varve::storage
