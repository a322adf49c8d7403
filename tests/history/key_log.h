// KeyLog: everything that a history says of one key, put in order. Internal to the checker.
#ifndef VARVE_TESTS_HISTORY_KEY_LOG_H_
#define VARVE_TESTS_HISTORY_KEY_LOG_H_

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tests/history/checker.h"
#include "tests/history/history.h"

namespace varve::history {

// An operation proves that a value lies at an offset.
struct Sighting {
  int64_t offset = 0;
  int64_t value = 0;
  uint64_t operation = 0;
  bool fetched = false;   // else acknowledged
  bool ok_fetch = false;  // fetched by an operation that is ok
  bool final = false;     // ok, and by the final read
};

struct KeyLog {
  uint32_t key = 0;
  std::vector<uint64_t> produces;   // in order of value
  std::vector<Sighting> sightings;  // in order of offset, value, operation
  std::vector<size_t> by_value;     // indices into `sightings`, in order of value, offset
  std::vector<int64_t> offsets;     // where a record is known to be, ascending, each once
  // Operations of this key by process, in order of number.
  std::vector<uint64_t> by_process;

  // The operation that produces a value; null when there is none.
  [[nodiscard]] const Operation* ProducerOf(const History& history, int64_t value) const;
  // The lowest offset at which a value lies; kNone when nobody saw it.
  [[nodiscard]] int64_t FirstOffsetOf(int64_t value) const;
  // Sightings of one offset.
  [[nodiscard]] std::span<const Sighting> At(int64_t offset) const;
  // The first offset known above `low` and below `high`; kNone when there is none.
  [[nodiscard]] int64_t KnownBetween(int64_t low, int64_t high) const;
};

// One for each key, in order of History::keys.
std::vector<KeyLog> BuildKeyLogs(const History& history);

// Where checks report.
class Findings {
 public:
  explicit Findings(const History& history) : history_(history) {}
  // `operations` are the proof; the message is only made while the kind still has room.
  template <class MakeText>
  void Add(AnomalyKind kind, uint32_t key, std::vector<uint64_t> operations, MakeText make_text) {
    if (++verdict_.counts[static_cast<size_t>(kind)] > kShownPerKind) return;
    verdict_.anomalies.push_back({kind, key, make_text(), std::move(operations)});
  }
  [[nodiscard]] const History& history() const { return history_; }
  Figures& figures() { return verdict_.figures; }
  Verdict Take() { return std::move(verdict_); }

 private:
  const History& history_;
  Verdict verdict_;
};

// What lies where: inconsistent-offset, duplicate, phantom, future-read, aborted-read.
void CheckContent(const KeyLog& log, Findings& findings);
// What is not there any more: lost-write, unseen, vanished.
void CheckLoss(const KeyLog& log, Findings& findings);
// What one process saw or sent in turn: skips, gaps, steps back.
void CheckOrder(const KeyLog& log, Findings& findings);
// Against the clock: realtime-append, and the figures of lag and gaps.
void CheckRealTime(const KeyLog& log, Findings& findings);

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_KEY_LOG_H_
