#include "tests/history/checker.h"

#include <algorithm>

#include "tests/history/key_log.h"

namespace varve::history {
namespace {

constexpr std::array<std::string_view, kAnomalyKinds> kNames = {"inconsistent-offset",
                                                                "duplicate",
                                                                "phantom",
                                                                "future-read",
                                                                "aborted-read",
                                                                "lost-write",
                                                                "unseen",
                                                                "vanished",
                                                                "int-poll-skip",
                                                                "int-nonmonotonic-poll",
                                                                "poll-skip",
                                                                "nonmonotonic-poll",
                                                                "offset-gap",
                                                                "wrong-position",
                                                                "nonmonotonic-send",
                                                                "realtime-append"};

void Count(const History& history, const std::vector<KeyLog>& logs, Figures& figures) {
  int64_t first = INT64_MAX;
  int64_t last = 0;
  for (const Operation& operation : history.operations) {
    figures.fetched += operation.records;
    if (operation.kind != OperationKind::kProduce) continue;
    switch (operation.outcome) {
      case Outcome::kOk:
        ++figures.produced;
        first = std::min(first, operation.complete_ns);
        last = std::max(last, operation.complete_ns);
        break;
      case Outcome::kFail:
        ++figures.failed;
        break;
      case Outcome::kUnknown:
        ++figures.unknown;
        if (logs[operation.key].FirstOffsetOf(operation.value) != kNone) ++figures.unknown_seen;
        break;
    }
  }
  figures.final_read = !history.final_processes.empty();
  if (last > first) {
    figures.acknowledged_per_second =
        static_cast<double>(figures.produced) * 1e9 / static_cast<double>(last - first);
  }
}

}  // namespace

std::string_view NameOf(AnomalyKind kind) { return kNames[static_cast<size_t>(kind)]; }

uint64_t Verdict::total() const {
  uint64_t out = 0;
  for (const uint64_t count : counts) out += count;
  return out;
}

Verdict Check(const History& history) {
  Findings findings(history);
  const std::vector<KeyLog> logs = BuildKeyLogs(history);
  Count(history, logs, findings.figures());
  for (const KeyLog& log : logs) {
    CheckContent(log, findings);
    CheckLoss(log, findings);
    CheckOrder(log, findings);
    CheckRealTime(log, findings);
  }
  return findings.Take();
}

}  // namespace varve::history
