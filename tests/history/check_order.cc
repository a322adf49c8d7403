// What one process saw or sent in turn, and what the clock says.
#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>

#include "common/strings.h"
#include "tests/history/key_log.h"

namespace varve::history {
namespace {

// Walks the operations of one process on one key.
class ProcessWalk {
 public:
  ProcessWalk(const KeyLog& log, Findings& findings) : log_(log), findings_(findings) {}

  void Take(uint64_t number) {
    const Operation& operation = findings_.history().operations[number];
    switch (operation.kind) {
      case OperationKind::kAssign:
        read_.reset();
        if (operation.from != kNone) read_ = operation.from - 1;
        reader_ = number;
        break;
      case OperationKind::kProduce:
        Send(number, operation);
        break;
      case OperationKind::kFetch:
        Fetch(number, operation);
        break;
    }
  }

 private:
  void Send(uint64_t number, const Operation& operation) {
    if (operation.outcome == Outcome::kFail) return;
    const bool ok = operation.outcome == Outcome::kOk;
    const int64_t offset = ok ? operation.offset : log_.FirstOffsetOf(operation.value);
    if (offset == kNone) return;
    if (offset <= sent_) {
      findings_.Add(AnomalyKind::kNonmonotonicSend, log_.key, {sender_, number}, [&] {
        return StrCat("process ", operation.process, " sent value ", operation.value, " after ",
                      findings_.history().operations[sender_].value, ", and it lies at offset ",
                      offset, ", not behind ", sent_);
      });
    } else if (ok) {
      for (const int64_t earlier : unknown_) {
        if (earlier > offset) ++findings_.figures().late_of_unknown;
      }
      unknown_.clear();
      sent_ = offset;
      sender_ = number;
    } else {
      unknown_.push_back(offset);
    }
  }

  void Fetch(uint64_t number, const Operation& fetch) {
    std::optional<int64_t> last = read_;
    uint64_t before = reader_;
    for (const SeenRecord& record : findings_.history().RecordsOf(fetch)) {
      if (last) Step(*last, record.offset, before, number);
      last = record.offset;
      before = number;
    }
    CheckPosition(number, fetch);
    if (fetch.outcome != Outcome::kOk || fetch.records == 0) return;
    read_ = last;
    reader_ = number;
  }

  void Step(int64_t last, int64_t next, uint64_t before, uint64_t number) {
    if (next == last + 1) return;
    const bool inside = before == number;
    const auto text = [&](std::string_view what) {
      return StrCat("offset ", next, " was read after ", last, what);
    };
    if (next <= last) {
      findings_.Add(inside ? AnomalyKind::kIntNonmonotonicPoll : AnomalyKind::kNonmonotonicPoll,
                    log_.key, Both(before, number), [&] { return text(""); });
      return;
    }
    const int64_t skipped = log_.KnownBetween(last, next);
    if (skipped != kNone) {
      std::vector<uint64_t> proof = Both(before, number);
      proof.push_back(log_.At(skipped).front().operation);
      findings_.Add(inside ? AnomalyKind::kIntPollSkip : AnomalyKind::kPollSkip, log_.key,
                    std::move(proof),
                    [&] { return text(StrCat(", and a record lies at ", skipped)); });
    } else if (findings_.history().contiguous) {
      findings_.Add(AnomalyKind::kOffsetGap, log_.key, Both(before, number),
                    [&] { return text(", and no record is known between them"); });
    }
  }

  void CheckPosition(uint64_t number, const Operation& fetch) {
    const auto records = findings_.history().RecordsOf(fetch);
    if (records.empty()) return;
    const bool starts = fetch.from == kNone || fetch.from <= records.front().offset;
    const bool ends = fetch.to == kNone || fetch.to > records.back().offset;
    if (starts && ends) return;
    findings_.Add(AnomalyKind::kWrongPosition, log_.key, {number}, [&] {
      return StrCat("a fetch of offsets ", records.front().offset, " to ", records.back().offset,
                    " moved its reader from ", fetch.from, " to ", fetch.to);
    });
  }

  static std::vector<uint64_t> Both(uint64_t before, uint64_t number) {
    if (before == number) return {number};
    return {before, number};
  }

  const KeyLog& log_;
  Findings& findings_;
  std::optional<int64_t> read_;  // last offset read, or the one before where it was assigned
  uint64_t reader_ = 0;          // by which operation
  int64_t sent_ = kNone;         // highest offset acknowledged
  uint64_t sender_ = 0;
  std::vector<int64_t> unknown_;  // where records of unknown outcome since then lie
};

// The first time at which an operation proved that the log reaches an offset.
struct Proof {
  int64_t at_ns = 0;
  int64_t offset = 0;
  uint64_t operation = 0;
};

// In order of time, each with a higher offset than the one before it.
std::vector<Proof> ProofsInTime(const KeyLog& log, const History& history) {
  std::vector<Proof> proofs;
  for (const uint64_t number : log.by_process) {
    const Operation& operation = history.operations[number];
    if (operation.kind == OperationKind::kProduce && operation.outcome == Outcome::kOk)
      proofs.push_back({operation.complete_ns, operation.offset, number});
    for (const SeenRecord& record : history.RecordsOf(operation))
      proofs.push_back({operation.complete_ns, record.offset, number});
  }
  std::sort(proofs.begin(), proofs.end(), [](const Proof& a, const Proof& b) {
    return std::tie(a.at_ns, a.offset, a.operation) < std::tie(b.at_ns, b.offset, b.operation);
  });
  size_t kept = 0;
  for (const Proof& proof : proofs) {
    if (kept == 0 || proof.offset > proofs[kept - 1].offset) proofs[kept++] = proof;
  }
  proofs.resize(kept);
  return proofs;
}

// What was proven before `at_ns` and reaches furthest; null: nothing.
const Proof* LastBefore(const std::vector<Proof>& proofs, int64_t at_ns) {
  const auto behind = std::partition_point(proofs.begin(), proofs.end(),
                                           [&](const Proof& proof) { return proof.at_ns < at_ns; });
  return behind == proofs.begin() ? nullptr : &*std::prev(behind);
}

void CheckAppends(const KeyLog& log, const std::vector<Proof>& proofs, Findings& findings) {
  for (const uint64_t number : log.produces) {
    const Operation& operation = findings.history().operations[number];
    if (operation.outcome != Outcome::kOk) continue;
    const Proof* before = LastBefore(proofs, operation.invoke_ns);
    if (before == nullptr || before->offset < operation.offset) continue;
    findings.Add(AnomalyKind::kRealtimeAppend, log.key, {before->operation, number}, [&] {
      return StrCat("value ", operation.value, " was appended at offset ", operation.offset,
                    ", although the log reached ", before->offset, " before it was sent");
    });
  }
}

void MeasureLag(const KeyLog& log, const std::vector<Proof>& proofs, Findings& findings) {
  Figures& figures = findings.figures();
  for (const uint64_t number : log.by_process) {
    const Operation& fetch = findings.history().operations[number];
    if (fetch.kind != OperationKind::kFetch || fetch.outcome != Outcome::kOk || fetch.to == kNone)
      continue;
    // The final read begins at the start; that it is behind says nothing.
    if (findings.history().IsFinal(fetch.process)) continue;
    // The first proof of what this fetch did not bring.
    const auto newer = std::partition_point(
        proofs.begin(), proofs.end(), [&](const Proof& proof) { return proof.offset < fetch.to; });
    if (newer == proofs.end()) continue;
    const int64_t lag = fetch.invoke_ns - newer->at_ns;
    if (lag <= figures.worst_lag_ns) continue;
    figures.worst_lag_ns = lag;
    figures.worst_lag_operation = number;
  }
}

void MeasureGaps(const KeyLog& log, Findings& findings) {
  std::vector<int64_t> times;
  for (const uint64_t number : log.produces) {
    const Operation& operation = findings.history().operations[number];
    if (operation.outcome == Outcome::kOk) times.push_back(operation.complete_ns);
  }
  std::sort(times.begin(), times.end());
  Figures& figures = findings.figures();
  for (size_t i = 1; i < times.size(); ++i) {
    if (times[i] - times[i - 1] <= figures.longest_gap_ns) continue;
    figures.longest_gap_ns = times[i] - times[i - 1];
    figures.longest_gap_key = log.key;
  }
}

}  // namespace

void CheckOrder(const KeyLog& log, Findings& findings) {
  const History& history = findings.history();
  for (size_t begin = 0, end = 0; begin < log.by_process.size(); begin = end) {
    const uint32_t process = history.operations[log.by_process[begin]].process;
    ProcessWalk walk(log, findings);
    for (;
         end < log.by_process.size() && history.operations[log.by_process[end]].process == process;
         ++end) {
      walk.Take(log.by_process[end]);
    }
  }
}

void CheckRealTime(const KeyLog& log, Findings& findings) {
  const std::vector<Proof> proofs = ProofsInTime(log, findings.history());
  CheckAppends(log, proofs, findings);
  MeasureLag(log, proofs, findings);
  MeasureGaps(log, findings);
}

}  // namespace varve::history
