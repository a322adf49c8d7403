// Oracle: what clients of a cluster may rely on, whichever broker answers.
#ifndef VARVE_TESTS_SIM_CLUSTER_ORACLE_H_
#define VARVE_TESTS_SIM_CLUSTER_ORACLE_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/strings.h"
#include "common/types.h"

namespace varve::clustersim {

// A topic is never created twice under one name.
struct Place {
  std::string topic;
  PartitionId partition;
  auto operator<=>(const Place&) const = default;
};

// Number of a batch: the whole run's, from 1. Every record says it and its place in the batch.
using BatchNumber = uint64_t;

// Broken promises are collected, not thrown.
//
// The promises: a record that was acknowledged, or read once, is at its offset for ever, and
// nowhere else; one that was refused is nowhere; one whose outcome is unknown is there once or not
// at all; what was acknowledged before another was sent lies before it; who reads gets every offset
// from the log start on.
class Oracle {
 public:
  template <class... Pieces>
  void Violate(const Pieces&... pieces) {
    if (violations_.size() < kMaxViolations) violations_.push_back(StrCat(pieces...));
  }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] bool broken() const { return !violations_.empty(); }

  static std::string Value(BatchNumber number, uint32_t index, uint32_t bytes);

  BatchNumber Send(const Place& place, uint32_t records);
  void Acknowledged(BatchNumber number, Offset base);
  // By the reason's outcome: refused for good, or unknown.
  void Failed(BatchNumber number, const absl::Status& status);
  void GaveUp(BatchNumber number);
  // A record as a reader or a replica shows it.
  void Found(const Place& place, Offset offset, std::string_view value);
  // Delete-records was asked for, or the topic's deletion: below lies nothing that must be there.
  void TrimAsked(const Place& place, Offset before);
  // Highest log start that anybody asked for.
  [[nodiscard]] Offset TrimmedTo(const Place& place) const;
  // Exclusive bound of the offsets that were acknowledged or read.
  [[nodiscard]] Offset KnownEnd(const Place& place) const;
  // The whole log was shown through Found from `start` to `end`.
  void CheckComplete(const Place& place, Offset start, Offset end);

  [[nodiscard]] uint64_t sent() const { return batches_.size(); }
  [[nodiscard]] uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] uint64_t refused() const { return refused_; }
  [[nodiscard]] uint64_t unknown() const { return unknown_; }
  [[nodiscard]] uint64_t found() const { return found_; }

 private:
  static constexpr size_t kMaxViolations = 20;
  enum class State : uint8_t { kUnderWay, kAcknowledged, kRefused, kUnknown };
  struct Batch {
    Place place;
    uint32_t records = 0;
    State state = State::kUnderWay;
    Offset floor;  // its offsets lie here or above
    bool placed = false;
    Offset base;
  };
  struct Seen {
    BatchNumber number = 0;  // 0: not known yet
    uint32_t index = 0;
  };
  struct Log {
    Offset acknowledged_end, trimmed_to;
    std::vector<Seen> seen;  // by offset
  };
  void Put(const Place& place, Offset offset, BatchNumber number, uint32_t index);

  std::vector<Batch> batches_;
  std::map<Place, Log> logs_;
  uint64_t acknowledged_ = 0, refused_ = 0, unknown_ = 0, found_ = 0;
  std::vector<std::string> violations_;
};

}  // namespace varve::clustersim

#endif  // VARVE_TESTS_SIM_CLUSTER_ORACLE_H_
