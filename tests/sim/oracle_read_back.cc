// Oracle: the judgement on whole logs.
#include <algorithm>
#include <utility>

#include "tests/sim/oracle.h"

namespace varve::sim {

void Oracle::BeginReadBack() {
  ++read_back_;
  reading_back_ = true;
}

void Oracle::EndReadBack() {
  reading_back_ = false;
  for (BatchNumber number = 1; number <= batches_.size(); ++number) {
    Batch& batch = at(number);
    if (Gone(batch.sent.topic)) continue;
    const bool here = batch.seen_in == read_back_;
    if (batch.outcome == Outcome::kAcknowledged && !here)
      Violate("acknowledged batch ", number, " at offset ", batch.base_offset, " of ",
              batch.sent.topic, " is lost");
    if (batch.outcome == Outcome::kUnknown && !here && batch.place)
      Violate("batch ", number, " was read at offset ", batch.base_offset, " of ", batch.sent.topic,
              " and is lost");
    if (batch.outcome != Outcome::kUnknown) continue;
    // Decided for good: here, or never.
    batch.outcome = here ? Outcome::kAcknowledged : Outcome::kAbsent;
    ++(here ? recovered_unknown_ : lost_unknown_);
  }
  CheckLogs();
  CheckLanes();
}

// Offsets without gap, append times that do not fall, and the order of what was
// acknowledged before the next was sent.
void Oracle::CheckLogs() {
  for (const auto& [place, log] : logs_) {
    if (Gone(place.first)) continue;
    Offset next;
    WallTime append_time;
    uint64_t latest_moment = 0;
    for (const auto& [base, number] : log.batches) {
      const Batch& batch = at(number);
      if (base != next)
        Violate("offsets ", next, " to ", base, " of ", place.first, "/", place.second,
                " are missing");
      next = base + static_cast<int64_t>(batch.sent.records);
      if (batch.append_time < append_time)
        Violate("append time of batch ", number, " in ", place.first, "/", place.second,
                " is before that of its predecessor");
      append_time = batch.append_time;
      if (batch.acknowledged != 0 && batch.acknowledged <= latest_moment)
        Violate("batch ", number, " of ", place.first, "/", place.second,
                " was acknowledged before a batch was sent that lies before it");
      latest_moment = std::max(latest_moment, batch.moment);
    }
    if (next < log.high_watermark)
      Violate("log of ", place.first, "/", place.second, " ends at ", next,
              " below the high watermark ", log.high_watermark);
  }
}

// In each lane: what is there is in order, and nothing follows what is not
// there.
void Oracle::CheckLanes() {
  struct Lane {
    Offset last{-1};
    BatchNumber absent = 0;
  };
  std::map<std::pair<uint64_t, Place>, Lane> lanes;
  for (BatchNumber number = 1; number <= batches_.size(); ++number) {
    const Batch& batch = at(number);
    if (batch.sent.lane == 0 || batch.outcome == Outcome::kRefused || Gone(batch.sent.topic))
      continue;
    if (batch.outcome == Outcome::kUnderWay || batch.spoiled) continue;
    Lane& lane = lanes[{batch.sent.lane, {batch.sent.topic, *batch.sent.partition}}];
    if (batch.outcome == Outcome::kAbsent) {
      if (lane.absent == 0) lane.absent = number;
      continue;
    }
    if (lane.absent != 0)
      Violate("batch ", number, " of lane ", batch.sent.lane, " is there but batch ", lane.absent,
              " before it is not");
    if (batch.base_offset <= lane.last)
      Violate("batch ", number, " of lane ", batch.sent.lane, " at offset ", batch.base_offset,
              " lies before its predecessor");
    lane.last = batch.base_offset;
  }
}

}  // namespace varve::sim
