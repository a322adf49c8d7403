// Reads a history from JSON lines.
#ifndef VARVE_TESTS_HISTORY_HISTORY_READER_H_
#define VARVE_TESTS_HISTORY_HISTORY_READER_H_

#include <iosfwd>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/history/history.h"

namespace varve::history {

inline constexpr size_t kMaxLineBytes = 16 * 1024 * 1024;
inline constexpr size_t kMaxKeys = 100'000;

// The input is hostile: whatever is not exactly docs/history.md is an InvalidArgument error that
// names the line, and nothing is allocated that the bytes read so far do not justify. Checks, too,
// that values are unique per key, numbers unique per process, and that the operations of a process
// were invoked in the order of their numbers. Blocks on `in`.
absl::StatusOr<History> ReadHistory(std::istream& in);
absl::StatusOr<History> ReadHistory(std::string_view text);

}  // namespace varve::history

#endif  // VARVE_TESTS_HISTORY_HISTORY_READER_H_
