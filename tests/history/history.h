// History: what clients of a run asked of the log and what they were answered (docs/history.md).
#ifndef VARVE_TESTS_HISTORY_HISTORY_H_
#define VARVE_TESTS_HISTORY_HISTORY_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve::history {

enum class OperationKind : uint8_t { kAssign, kProduce, kFetch };
// kFail: certainly did not happen. kUnknown: may have happened, now or later.
enum class Outcome : uint8_t { kOk, kFail, kUnknown };
std::string_view NameOf(OperationKind kind);
std::string_view NameOf(Outcome outcome);

inline constexpr int64_t kNone = -1;
// What a record holds that no recorder can have written.
inline constexpr int64_t kForeignValue = -1;
// Numbers of the format stay below this, so that every JSON reader takes them exactly.
inline constexpr int64_t kMaxNumber = (int64_t{1} << 53) - 1;

struct SeenRecord {
  int64_t offset = kNone;
  int64_t value = kForeignValue;
  bool operator==(const SeenRecord&) const = default;
};

struct Operation {
  uint64_t line = 0;  // of the history, from 1
  uint32_t process = 0;
  uint32_t key = 0;     // index into History::keys
  uint64_t number = 0;  // order in which the process invoked
  int64_t invoke_ns = 0;
  int64_t complete_ns = 0;
  OperationKind kind = OperationKind::kProduce;
  Outcome outcome = Outcome::kOk;
  bool repeats = false;       // produce: may have been sent more than once
  uint32_t records = 0;       // fetch: how many it saw,
  uint64_t first_record = 0;  // and where they begin in History::records
  int64_t value = kNone;      // produce
  int64_t offset = kNone;     // produce, ok
  int64_t from = kNone;       // assign, fetch: position before; kNone: not known
  int64_t to = kNone;         // fetch: position behind
};

// A value. The indices that operations hold are valid by construction.
struct History {
  bool contiguous = true;  // whether offsets without a record are an anomaly
  uint64_t seed = 0;       // of the run; for people
  std::vector<std::string> keys;
  std::vector<Operation> operations;  // in order of lines
  std::vector<SeenRecord> records;
  std::vector<uint32_t> final_processes;  // read every key to its end when all was over, sorted

  [[nodiscard]] std::span<const SeenRecord> RecordsOf(const Operation& fetch) const {
    return std::span(records).subspan(fetch.first_record, fetch.records);
  }
  [[nodiscard]] bool IsFinal(uint32_t process) const {
    return std::binary_search(final_processes.begin(), final_processes.end(), process);
  }
  [[nodiscard]] std::string_view KeyOf(const Operation& operation) const {
    return keys[operation.key];
  }
};

// Lines of the format, newline included. `key` has no quotes, backslashes or control characters.
std::string HeaderLine(bool contiguous, uint64_t seed);
std::string OperationLine(const Operation& operation, std::string_view key,
                          std::span<const SeenRecord> records);
std::string EndLine(uint64_t operations, std::span<const uint32_t> final_processes);

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_HISTORY_H_
