// Errors: absl::Status with a reason of the error table attached.
//
// Every failure that may reach a user carries a Reason. The table (error_table.inc) says for each
// what a retry may do, whether the request took effect, and the codes of gRPC, Kafka and the
// command line.
#ifndef VARVE_COMMON_ERROR_H_
#define VARVE_COMMON_ERROR_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/strings.h"

namespace varve {

enum class Reason : uint16_t {
  OK = 0,
#define VARVE_ERROR(number, name, ...) name = number,
#include "common/error_table.inc"
#undef VARVE_ERROR
};

enum class ErrorPhase : uint8_t { ADMISSION, PROPOSED };
enum class Outcome : uint8_t { UNKNOWN, NOT_APPLIED, APPLIED };

struct ErrorInfo {
  Reason reason;
  std::string_view name;  // "UNKNOWN_TOPIC"
  ErrorPhase phase;
  Outcome outcome;
  bool retryable;
  absl::StatusCode code;
  int16_t kafka_code;
  int exit_code;
  std::string_view advice;  // what the user may do, one sentence
};

// The row of a reason; the row of INTERNAL for a number that is not in the table.
const ErrorInfo& InfoOf(Reason reason);
// All rows, in order of number.
std::span<const ErrorInfo> AllErrors();
// Reason of that name, INTERNAL when there is none.
Reason ReasonNamed(std::string_view name);

// A status with the reason's code, the text as given (what and why; the table adds what to do).
absl::Status MakeErrorText(Reason reason, std::string_view text);
// MakeError(Reason::UNKNOWN_TOPIC, "topic \"", name, "\" does not exist")
template <class... Pieces>
absl::Status MakeError(Reason reason, const Pieces&... pieces) {
  return MakeErrorText(reason, StrCat(pieces...));
}

// OK for an OK status; what MakeError attached; INTERNAL for a status from elsewhere.
Reason ReasonOf(const absl::Status& status);
// The same reason and code, with `context` and ": " put before the text. OK stays OK.
absl::Status AddContext(const absl::Status& status, std::string_view context);

}  // namespace varve

// Returns the status of `expression` from the enclosing function unless it is OK.
#define VARVE_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                        \
    if (absl::Status varve_status_ = (expression); !varve_status_.ok()) return varve_status_; \
  } while (false)

// VARVE_ASSIGN_OR_RETURN(auto x, Compute()): x from a StatusOr, or return its status.
#define VARVE_ASSIGN_OR_RETURN(left, expression) \
  VARVE_ASSIGN_OR_RETURN_(left, expression, VARVE_CONCAT_(varve_result_, __LINE__))
#define VARVE_ASSIGN_OR_RETURN_(left, expression, result) \
  auto result = (expression);                             \
  if (!result.ok()) return std::move(result).status();    \
  left = std::move(result).value()
#define VARVE_CONCAT_(a, b) VARVE_CONCAT_2_(a, b)
#define VARVE_CONCAT_2_(a, b) a##b

#endif  // VARVE_COMMON_ERROR_H_
