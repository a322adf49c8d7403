#include "tests/history/key_log.h"

#include <algorithm>
#include <tuple>

namespace varve::history {

const Operation* KeyLog::ProducerOf(const History& history, int64_t value) const {
  const auto found = std::lower_bound(
      produces.begin(), produces.end(), value,
      [&](uint64_t operation, int64_t v) { return history.operations[operation].value < v; });
  if (found == produces.end() || history.operations[*found].value != value) return nullptr;
  return &history.operations[*found];
}

int64_t KeyLog::FirstOffsetOf(int64_t value) const {
  const auto found = std::lower_bound(by_value.begin(), by_value.end(), value,
                                      [&](size_t i, int64_t v) { return sightings[i].value < v; });
  if (found == by_value.end() || sightings[*found].value != value) return kNone;
  return sightings[*found].offset;
}

std::span<const Sighting> KeyLog::At(int64_t offset) const {
  const auto [first, last] =
      std::equal_range(sightings.begin(), sightings.end(), Sighting{.offset = offset},
                       [](const Sighting& a, const Sighting& b) { return a.offset < b.offset; });
  return {first, last};
}

int64_t KeyLog::KnownBetween(int64_t low, int64_t high) const {
  const auto found = std::upper_bound(offsets.begin(), offsets.end(), low);
  return found == offsets.end() || *found >= high ? kNone : *found;
}

namespace {

void Add(const History& history, uint64_t number, std::vector<KeyLog>& logs) {
  const Operation& operation = history.operations[number];
  KeyLog& log = logs[operation.key];
  log.by_process.push_back(number);
  if (operation.kind == OperationKind::kProduce) {
    log.produces.push_back(number);
    if (operation.outcome == Outcome::kOk)
      log.sightings.push_back({operation.offset, operation.value, number});
    return;
  }
  const bool ok = operation.outcome == Outcome::kOk;
  const bool final = ok && history.IsFinal(operation.process);
  for (const SeenRecord& record : history.RecordsOf(operation))
    log.sightings.push_back({record.offset, record.value, number, true, ok, final});
}

void Sort(const History& history, KeyLog& log) {
  std::sort(log.produces.begin(), log.produces.end(), [&](uint64_t a, uint64_t b) {
    return history.operations[a].value < history.operations[b].value;
  });
  std::sort(log.by_process.begin(), log.by_process.end(), [&](uint64_t a, uint64_t b) {
    const Operation& x = history.operations[a];
    const Operation& y = history.operations[b];
    return std::tie(x.process, x.number) < std::tie(y.process, y.number);
  });
  std::sort(log.sightings.begin(), log.sightings.end(), [](const Sighting& a, const Sighting& b) {
    return std::tie(a.offset, a.value, a.operation) < std::tie(b.offset, b.value, b.operation);
  });
  log.by_value.resize(log.sightings.size());
  for (size_t i = 0; i < log.by_value.size(); ++i) log.by_value[i] = i;
  // Sightings are in order of offset already.
  std::stable_sort(log.by_value.begin(), log.by_value.end(), [&](size_t a, size_t b) {
    return log.sightings[a].value < log.sightings[b].value;
  });
  for (const Sighting& sighting : log.sightings) {
    if (log.offsets.empty() || log.offsets.back() != sighting.offset)
      log.offsets.push_back(sighting.offset);
  }
}

}  // namespace

std::vector<KeyLog> BuildKeyLogs(const History& history) {
  std::vector<KeyLog> logs(history.keys.size());
  for (uint32_t key = 0; key < logs.size(); ++key) logs[key].key = key;
  for (uint64_t i = 0; i < history.operations.size(); ++i) Add(history, i, logs);
  for (KeyLog& log : logs) Sort(history, log);
  return logs;
}

}  // namespace varve::history
