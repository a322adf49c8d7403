#include "storage/scrubber.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"

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
    const auto& segments = replica->segments;
    for (size_t i = 0; i + 1 < segments.size(); ++i) {
      if (!IsBehind(replica->group, *segments[i].segment)) continue;
      pieces += static_cast<Nanos>(segments[i].end / kPieceBytes + 1);
    }
  }
  const Nanos left = std::max<Nanos>(begun_ + period_ - clock_.Now(), 0);
  return std::clamp(left / pieces, kShortestWait, std::min(kLongestWait, period_));
}

bool Scrubber::FindNext() {
  for (const auto& replica : TakeReplicas()) {
    if (replica->group < group_) continue;
    std::lock_guard lock(replica->mutex);
    const auto& segments = replica->segments;
    for (size_t i = 0; i + 1 < segments.size(); ++i) {
      const PlacedSegment& placed = segments[i];
      // What is not in the file yet comes with the next pass, and damage is known once.
      const bool written = placed.written_end == placed.end && placed.damage.ok();
      if (!IsBehind(replica->group, *placed.segment) || !written || replica->removed) continue;
      group_ = replica->group;
      index_ = placed.segment->first_index();
      place_ = {replica, placed.segment, placed.end, {kFileHeaderBytes, index_}};
      return true;
    }
  }
  return false;
}

void Scrubber::Step() {
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

// The file may have left the log while it was read: then it is nobody's damage.
void Scrubber::Report(const absl::Status& why) {
  if (ReasonOf(why) != Reason::DATA_LOSS) {
    std::lock_guard lock(mutex_);
    ++stats_.errors;
    return;
  }
  ScrubFinding finding{place_.replica->group, place_.segment->path(), {}};
  {
    std::lock_guard lock(place_.replica->mutex);
    auto& segments = place_.replica->segments;
    const auto at = std::find_if(segments.begin(), segments.end(), [&](const PlacedSegment& p) {
      return p.segment == place_.segment;
    });
    if (place_.replica->removed || at == segments.end() || std::next(at) == segments.end()) return;
    at->damage = why;
    at->end = at->written_end = place_.next.position;
    finding.range = {place_.next.first_index, std::next(at)->segment->first_index() - 1,
                     std::string(MessageOf(why))};
    auto& damaged = place_.replica->damaged;
    damaged.insert(std::upper_bound(
                       damaged.begin(), damaged.end(), finding.range.first,
                       [](Index index, const DamagedRange& range) { return index < range.first; }),
                   finding.range);
  }
  {
    std::lock_guard lock(mutex_);
    ++stats_.damaged;
  }
  for (Listener& listener : listeners_) listener(finding);
}

}  // namespace varve::storage
