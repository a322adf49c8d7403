#include "storage/disk_watch.h"

#include <utility>

namespace varve::storage {

DiskWatch::DiskWatch(std::string directory, Executor* executor, const Clock& clock,
                     Nanos stall_after)
    : directory_(std::move(directory)),
      clock_(clock),
      stall_after_(stall_after),
      executor_(executor) {}

void DiskWatch::AddListener(Listener listener) {
  const std::lock_guard lock(mutex_);
  if (executor_ == nullptr) return;
  executor_->Post([weak = weak_from_this(), listener = std::move(listener)]() mutable {
    const auto self = weak.lock();
    if (self == nullptr) return;
    const DiskWatchStats now = self->stats();
    if (now.slow) listener({DiskEvent::Kind::kSlow, self->directory_, now.stalled});
    self->listeners_.push_back(std::move(listener));
  });
}

void DiskWatch::Begin() {
  const std::lock_guard lock(mutex_);
  begun_ = clock_.Now();
  under_way_ = true;
  if (!armed_) Arm(begun_ + stall_after_);
}

// A timer that came late missed a stall: it is told all the same.
void DiskWatch::End() {
  const std::lock_guard lock(mutex_);
  under_way_ = false;
  const Nanos duration = clock_.Now() - begun_;
  if (duration < stall_after_ || executor_ == nullptr) return;
  if (!stats_.slow) Report(DiskEvent::Kind::kSlow);
  Report(DiskEvent::Kind::kOk);
  stats_.stalled += duration;
}

void DiskWatch::Detach() {
  const std::lock_guard lock(mutex_);
  executor_ = nullptr;
}

// mutex_ held.
void DiskWatch::Arm(MonoTime when) {
  if (executor_ == nullptr) return;
  armed_ = true;
  executor_->RunAt(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Look();
  });
}

void DiskWatch::Look() {
  const std::lock_guard lock(mutex_);
  armed_ = false;
  if (!under_way_ || stats_.slow) return;
  if (clock_.Now() < begun_ + stall_after_) return Arm(begun_ + stall_after_);
  Report(DiskEvent::Kind::kSlow);
}

// mutex_ held.
void DiskWatch::Report(DiskEvent::Kind kind) {
  stats_.slow = kind == DiskEvent::Kind::kSlow;
  if (stats_.slow) ++stats_.stalls;
  if (executor_ == nullptr) return;
  executor_->Post(
      [weak = weak_from_this(), event = DiskEvent{kind, directory_, clock_.Now() - begun_}] {
        if (const auto self = weak.lock()) self->Tell(event);
      });
}

void DiskWatch::Tell(const DiskEvent& event) {
  for (Listener& listener : listeners_) listener(event);
}

DiskWatchStats DiskWatch::stats() const {
  const std::lock_guard lock(mutex_);
  DiskWatchStats stats = stats_;
  if (stats.slow) stats.stalled += clock_.Now() - begun_;
  return stats;
}

}  // namespace varve::storage
