#include "server/partition/clock_watch.h"

#include <utility>

#include "common/strings.h"

namespace varve::server {

ClockWatch::ClockWatch(const Clock& clock, WallTime newest_append_time) : clock_(clock) {
  Trust();
  const int64_t gap = wall_ - newest_append_time;
  if (newest_append_time > WallTime{} && gap > kMostGapMs)
    Pause(StrCat("the wall clock at the start was ", gap / 1000,
                 " s beyond the newest record of the data directory"));
}

void ClockWatch::Trust() {
  wall_ = clock_.Wall();
  monotonic_ = clock_.Now();
  why_.clear();
}

void ClockWatch::Pause(std::string why) {
  why_ = std::move(why);
  paused_at_ = clock_.Now();
}

std::string ClockWatch::Check() {
  std::lock_guard lock(mutex_);
  const MonoTime now = clock_.Now();
  const WallTime wall = clock_.Wall();
  const int64_t drift = (wall - wall_) - (now - monotonic_) / kMillisecond;
  if (drift > kMostDriftMs || drift < -kMostDriftMs) {
    wall_ = wall;
    monotonic_ = now;
    Pause(StrCat("the wall clock jumped by ", drift / 1000, " s"));
  } else if (!why_.empty() && now - paused_at_ >= kLongestPause) {
    Trust();
  }
  return why_;
}

bool ClockWatch::Confirm() {
  std::lock_guard lock(mutex_);
  const bool paused = !why_.empty();
  Trust();
  return paused;
}

}  // namespace varve::server
