// ClockWatch: whether this broker's wall clock may decide that records are old enough to delete,
// and give records their append time.
#ifndef VARVE_SERVER_PARTITION_CLOCK_WATCH_H_
#define VARVE_SERVER_PARTITION_CLOCK_WATCH_H_

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/clock.h"

namespace varve::server {

// Thread-safe. A wall clock that jumped would delete what is young: so deletion by age pauses when
// the wall clock and the monotonic clock have parted by over a minute, or when the wall clock at
// the start is over a day beyond the newest append time of the directory. It goes on when the
// median of the brokers agrees with this clock, an operator confirms it, or a day has passed.
//
// Where three or more brokers live, the median of their clocks judges this one. While that is over
// kMostOffMs away, nothing is deleted by age, no records of users are taken and stamp_clock() gives
// no time, at once. When it has been so for kOffAfter, the clock is *off*: all that stays until a
// median clears it, and the broker leads nothing that others can lead. What goes by size never
// pauses.
class ClockWatch {
 public:
  static constexpr int64_t kMostDriftMs = 60'000;
  static constexpr int64_t kMostGapMs = 24 * 3600 * int64_t{1000};
  static constexpr Nanos kLongestPause = 24 * 3600 * kSecond;
  static constexpr int64_t kMostOffMs = 1'000;
  // A process that was frozen hears old heartbeats first.
  static constexpr Nanos kOffAfter = kSecond;
  // What a heartbeat said counts so long although later ones seem to say less: they took longer.
  static constexpr Nanos kSampleAge = 2 * kSecond;

  // `newest_append_time`: of all replicas; 0 when there is nothing to compare with.
  ClockWatch(const Clock& clock, WallTime newest_append_time);

  // What another broker's clock said just now; it lives no more.
  void Hear(NodeId node, WallTime its_clock);
  void Forget(NodeId node);

  // Looks at all clocks; why nothing is deleted by age, or empty when nothing keeps it.
  [[nodiscard]] std::string Check();
  // Why the clock is off, or empty when it is not.
  [[nodiscard]] std::string Off();
  // CLOCK_OFF while the median disagrees.
  [[nodiscard]] absl::Status AdmitData();
  // An operator says that the clock is right. False when nothing was paused.
  bool Confirm();

  // For append times: its wall clock stands at 0, so that the entry before counts, while the median
  // disagrees.
  [[nodiscard]] const Clock& stamp_clock() const { return stamp_clock_; }

 private:
  class StampClock final : public Clock {
   public:
    explicit StampClock(ClockWatch& watch) : watch_(watch) {}
    [[nodiscard]] MonoTime Now() const override { return watch_.clock_.Now(); }
    [[nodiscard]] WallTime Wall() const override { return watch_.Stamp(); }

   private:
    ClockWatch& watch_;
  };
  struct Sample {
    WallTime wall;
    MonoTime at;
  };

  WallTime Stamp();
  // mutex_ held.
  void Pause(std::string why);
  void Trust();
  void LookAtDrift();
  [[nodiscard]] std::optional<int64_t> MedianLead() const;
  void Judge();
  [[nodiscard]] std::string WhyAstray() const;

  const Clock& clock_;
  StampClock stamp_clock_;
  std::mutex mutex_;  // guards all below
  WallTime wall_;     // both clocks when they were last trusted, or last seen to part
  MonoTime monotonic_;
  std::string why_;  // empty: not paused
  MonoTime paused_at_;
  std::map<NodeId, Sample> heard_;        // of the brokers that live, but this one
  std::optional<MonoTime> astray_since_;  // the median disagrees
  int64_t lead_ms_ = 0;                   // of the median, when it last disagreed
  bool off_ = false;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_CLOCK_WATCH_H_
