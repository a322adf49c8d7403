// Checker: what a history proves wrong about the log (docs/history.md has the definitions).
#ifndef VARVE_TESTS_HISTORY_CHECKER_H_
#define VARVE_TESTS_HISTORY_CHECKER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/history/history.h"

namespace varve::history {

enum class AnomalyKind : uint8_t {
  kInconsistentOffset,
  kDuplicate,
  kPhantom,
  kFutureRead,
  kAbortedRead,
  kLostWrite,
  kUnseen,
  kVanished,
  kIntPollSkip,
  kIntNonmonotonicPoll,
  kPollSkip,
  kNonmonotonicPoll,
  kOffsetGap,
  kWrongPosition,
  kNonmonotonicSend,
  kRealtimeAppend,
};
inline constexpr size_t kAnomalyKinds = 16;
// "lost-write".
std::string_view NameOf(AnomalyKind kind);

struct Anomaly {
  AnomalyKind kind = AnomalyKind::kPhantom;
  uint32_t key = 0;
  std::string what;                  // with the numbers
  std::vector<uint64_t> operations;  // indices into History::operations: the proof
};

// What is no anomaly and still worth telling.
struct Figures {
  uint64_t produced = 0;  // acknowledged
  uint64_t failed = 0;
  uint64_t unknown = 0;
  uint64_t unknown_seen = 0;  // of these, read by somebody
  uint64_t fetched = 0;       // records, every time that one was read
  // Copies beyond the first of records that were sent more than once, and records of unknown
  // outcome behind a later one of their process: possible until producers are idempotent.
  uint64_t duplicates_of_unknown = 0;
  uint64_t late_of_unknown = 0;
  bool final_read = false;  // without one, lost-write, unseen and vanished are not judged
  // Longest time for which a fetch that answered nothing newer was behind what was proven to be
  // there before it was invoked.
  int64_t worst_lag_ns = 0;
  uint64_t worst_lag_operation = 0;
  // Longest time without an acknowledgement, within one key.
  int64_t longest_gap_ns = 0;
  uint32_t longest_gap_key = 0;
  double acknowledged_per_second = 0;  // from the first to the last of them
};

struct Verdict {
  std::array<uint64_t, kAnomalyKinds> counts{};
  std::vector<Anomaly> anomalies;  // the first ones of each kind
  Figures figures;
  [[nodiscard]] uint64_t total() const;
};

inline constexpr size_t kShownPerKind = 20;

// Pure. O(n log n) in operations and records.
Verdict Check(const History& history);

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_CHECKER_H_
