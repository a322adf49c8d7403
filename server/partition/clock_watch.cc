#include "server/partition/clock_watch.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "common/error.h"
#include "common/strings.h"

namespace varve::server {
namespace {

// Fewer have no median that could tell which of them is wrong.
constexpr size_t kFewestToJudge = 3;
// The year 9999: a clock beyond it, or before 1970, says nothing.
constexpr WallTime kLatest{253'402'300'799'999};

}  // namespace

ClockWatch::ClockWatch(const Clock& clock, WallTime newest_append_time)
    : clock_(clock), stamp_clock_(*this) {
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

// --- The median
// -----------------------------------------------------------------------------------

void ClockWatch::Hear(NodeId node, WallTime its_clock) {
  std::lock_guard lock(mutex_);
  if (its_clock < WallTime{} || its_clock > kLatest) return void(heard_.erase(node));
  const MonoTime now = clock_.Now();
  const auto [at, fresh] = heard_.try_emplace(node, Sample{its_clock, now});
  Sample& best = at->second;
  const bool more = its_clock - best.wall >= (now - best.at) / kMillisecond;
  if (!fresh && (more || now - best.at > kSampleAge)) best = {its_clock, now};
  LookAtDrift();
  Judge();
}

void ClockWatch::Forget(NodeId node) {
  std::lock_guard lock(mutex_);
  heard_.erase(node);
}

// How far the median is ahead of this clock. Of two in the middle the nearer one counts, so that it
// takes more than half of the brokers to say that a clock is wrong.
std::optional<int64_t> ClockWatch::MedianLead() const {
  if (heard_.size() + 1 < kFewestToJudge) return std::nullopt;
  const MonoTime now = clock_.Now();
  const WallTime wall = clock_.Wall();
  absl::InlinedVector<int64_t, 8> leads{0};
  for (const auto& [node, sample] : heard_)
    leads.push_back(sample.wall - wall + (now - sample.at) / kMillisecond);
  std::sort(leads.begin(), leads.end());
  const int64_t lower = leads[(leads.size() - 1) / 2];
  const int64_t upper = leads[leads.size() / 2];
  return std::abs(lower) < std::abs(upper) ? lower : upper;
}

void ClockWatch::Judge() {
  const std::optional<int64_t> lead = MedianLead();
  if (!lead) {
    if (!off_) astray_since_.reset();
    return;
  }
  if (std::abs(*lead) <= kMostOffMs) {
    astray_since_.reset();
    off_ = false;
    if (!why_.empty()) Trust();
    return;
  }
  lead_ms_ = *lead;
  if (!astray_since_) astray_since_ = clock_.Now();
  if (clock_.Now() - *astray_since_ >= kOffAfter) off_ = true;
}

std::string ClockWatch::WhyAstray() const {
  return StrCat("the wall clock is ", std::abs(lead_ms_), " ms ",
                lead_ms_ < 0 ? "ahead of" : "behind", " the median of the brokers");
}

WallTime ClockWatch::Stamp() {
  std::lock_guard lock(mutex_);
  Judge();
  return astray_since_ ? WallTime{} : clock_.Wall();
}

std::string ClockWatch::Off() {
  std::lock_guard lock(mutex_);
  Judge();
  return off_ ? WhyAstray() : "";
}

absl::Status ClockWatch::AdmitData() {
  std::lock_guard lock(mutex_);
  Judge();
  return astray_since_ ? MakeError(Reason::CLOCK_OFF, WhyAstray()) : absl::OkStatus();
}

// --- The pause
// ------------------------------------------------------------------------------------

void ClockWatch::LookAtDrift() {
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
}

std::string ClockWatch::Check() {
  std::lock_guard lock(mutex_);
  LookAtDrift();
  Judge();
  return astray_since_ ? WhyAstray() : why_;
}

bool ClockWatch::Confirm() {
  std::lock_guard lock(mutex_);
  const bool paused = !why_.empty();
  Trust();
  return paused;
}

}  // namespace varve::server
