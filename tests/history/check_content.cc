// What lies where, and what is not there any more.
#include <algorithm>
#include <tuple>

#include "common/strings.h"
#include "tests/history/key_log.h"

namespace varve::history {
namespace {

std::string Named(int64_t value) {
  return value == kForeignValue ? "bytes that no producer writes" : StrCat("value ", value);
}

uint64_t NumberOf(const History& history, const Operation& operation) {
  return static_cast<uint64_t>(&operation - history.operations.data());
}

void CheckOffsets(const KeyLog& log, Findings& findings) {
  for (size_t i = 1; i < log.sightings.size(); ++i) {
    const Sighting& a = log.sightings[i - 1];
    const Sighting& b = log.sightings[i];
    if (a.offset != b.offset || a.value == b.value) continue;
    findings.Add(AnomalyKind::kInconsistentOffset, log.key, {a.operation, b.operation}, [&] {
      return StrCat("offset ", a.offset, " holds ", Named(a.value), " and ", Named(b.value));
    });
  }
}

void CheckDuplicates(const KeyLog& log, Findings& findings) {
  const History& history = findings.history();
  for (size_t i = 1; i < log.by_value.size(); ++i) {
    const Sighting& a = log.sightings[log.by_value[i - 1]];
    const Sighting& b = log.sightings[log.by_value[i]];
    if (a.value == kForeignValue) continue;
    if (a.value != b.value || a.offset == b.offset) continue;
    const Operation* producer = log.ProducerOf(history, a.value);
    if (producer != nullptr && producer->repeats) {
      ++findings.figures().duplicates_of_unknown;
      continue;
    }
    std::vector<uint64_t> proof = {a.operation, b.operation};
    if (producer != nullptr) proof.push_back(NumberOf(history, *producer));
    std::sort(proof.begin(), proof.end());
    proof.erase(std::unique(proof.begin(), proof.end()), proof.end());
    findings.Add(AnomalyKind::kDuplicate, log.key, std::move(proof), [&] {
      return StrCat("value ", a.value, ", sent once, lies at offsets ", a.offset, " and ",
                    b.offset);
    });
  }
}

// One value that a fetch saw; each (offset, value) is judged at its first sighting.
void CheckRead(const KeyLog& log, const Sighting& seen, Findings& findings) {
  const History& history = findings.history();
  const Operation* producer = log.ProducerOf(history, seen.value);
  if (producer == nullptr) {
    findings.Add(AnomalyKind::kPhantom, log.key, {seen.operation}, [&] {
      return StrCat("offset ", seen.offset, " holds ", Named(seen.value),
                    ", which nobody produced");
    });
    return;
  }
  const uint64_t number = NumberOf(history, *producer);
  if (producer->outcome == Outcome::kFail) {
    findings.Add(AnomalyKind::kAbortedRead, log.key, {number, seen.operation}, [&] {
      return StrCat("value ", seen.value, " lies at offset ", seen.offset,
                    ", and its producer was told that it failed");
    });
  }
  if (history.operations[seen.operation].complete_ns < producer->invoke_ns) {
    findings.Add(AnomalyKind::kFutureRead, log.key, {number, seen.operation}, [&] {
      return StrCat("value ", seen.value, " was read at offset ", seen.offset,
                    " before it was sent");
    });
  }
}

}  // namespace

void CheckContent(const KeyLog& log, Findings& findings) {
  CheckOffsets(log, findings);
  CheckDuplicates(log, findings);
  const History& history = findings.history();
  // Of each (offset, value), the fetch that completed first says most.
  const Sighting* first = nullptr;
  for (const Sighting& sighting : log.sightings) {
    if (!sighting.fetched) continue;
    const bool same =
        first != nullptr && first->offset == sighting.offset && first->value == sighting.value;
    if (same && history.operations[first->operation].complete_ns <=
                    history.operations[sighting.operation].complete_ns)
      continue;
    if (first != nullptr && !same) CheckRead(log, *first, findings);
    first = &sighting;
  }
  if (first != nullptr) CheckRead(log, *first, findings);
}

void CheckLoss(const KeyLog& log, Findings& findings) {
  const History& history = findings.history();
  if (history.final_processes.empty()) return;
  const Sighting* furthest = nullptr;  // what an ok fetch read
  for (const Sighting& sighting : log.sightings) {
    if (sighting.ok_fetch) furthest = &sighting;
  }
  for (size_t begin = 0, end = 0; begin < log.sightings.size(); begin = end) {
    const Sighting& first = log.sightings[begin];
    const Sighting* acknowledged = nullptr;
    const Sighting* read = nullptr;
    bool at_the_end = false;
    for (; end < log.sightings.size() && log.sightings[end].offset == first.offset &&
           log.sightings[end].value == first.value;
         ++end) {
      const Sighting& sighting = log.sightings[end];
      if (!sighting.fetched) acknowledged = &sighting;
      if (sighting.ok_fetch) read = &sighting;
      at_the_end |= sighting.final;
    }
    if (at_the_end) continue;
    if (read != nullptr) {
      findings.Add(AnomalyKind::kVanished, log.key, {read->operation}, [&] {
        return StrCat(Named(first.value), " was read at offset ", first.offset,
                      ", and the final read has it there no more");
      });
    } else if (acknowledged != nullptr && furthest != nullptr && furthest->offset > first.offset) {
      findings.Add(
          AnomalyKind::kLostWrite, log.key, {acknowledged->operation, furthest->operation}, [&] {
            return StrCat("value ", first.value, ", acknowledged at offset ", first.offset,
                          ", was never read there, although offset ", furthest->offset, " was");
          });
    } else if (acknowledged != nullptr) {
      findings.Add(AnomalyKind::kUnseen, log.key, {acknowledged->operation}, [&] {
        return StrCat("value ", first.value, ", acknowledged at offset ", first.offset,
                      ", was never read, and the log ends before it");
      });
    }
  }
}

}  // namespace varve::history
