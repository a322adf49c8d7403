// ClockWatch: whether this broker's wall clock may decide that records are old enough to delete.
#ifndef VARVE_SERVER_PARTITION_CLOCK_WATCH_H_
#define VARVE_SERVER_PARTITION_CLOCK_WATCH_H_

#include <mutex>
#include <string>

#include "common/clock.h"

namespace varve::server {

// Thread-safe. A wall clock that jumped would delete what is young: so deletion by age pauses when
// the wall clock and the monotonic clock have parted by over a minute, or when the wall clock at
// the start is over a day beyond the newest append time of the directory. It goes on when an
// operator confirms the clock, or a day has passed. What goes by size, and appends, never pause.
class ClockWatch {
 public:
  static constexpr int64_t kMostDriftMs = 60'000;
  static constexpr int64_t kMostGapMs = 24 * 3600 * int64_t{1000};
  static constexpr Nanos kLongestPause = 24 * 3600 * kSecond;

  // `newest_append_time`: of all replicas; 0 when there is nothing to compare with.
  ClockWatch(const Clock& clock, WallTime newest_append_time);

  // Looks at both clocks; the pause's cause, or empty when there is none.
  [[nodiscard]] std::string Check();
  // An operator says that the clock is right. False when nothing was paused.
  bool Confirm();

 private:
  void Pause(std::string why);
  void Trust();

  const Clock& clock_;
  std::mutex mutex_;  // guards all below
  WallTime wall_;     // both clocks when they were last trusted, or last seen to part
  MonoTime monotonic_;
  std::string why_;  // empty: not paused
  MonoTime paused_at_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_CLOCK_WATCH_H_
