// VARVE_CHECK: an invariant of ours that stays on in release builds. Prints the condition, the
// place and the text, then aborts: a broken invariant means that going on could lose or corrupt
// data. Never for bad input or for what the world may do (disk errors, hostile bytes): those are
// Status.
#ifndef VARVE_COMMON_CHECK_H_
#define VARVE_COMMON_CHECK_H_

#include <string>

#include "common/strings.h"

namespace varve::internal {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition,
                              const std::string& text);
// Called with the message before the process aborts; a simulator throws from it to report the run.
// Set by single-threaded tests alone.
extern void (*check_failed_hook)(const std::string& message);
}  // namespace varve::internal

// VARVE_CHECK(a == b, "log end ", a, " is not ", b): the texts are StrCat pieces, optional.
#define VARVE_CHECK(condition, ...)                                                   \
  do {                                                                                \
    if (!(condition)) [[unlikely]]                                                    \
      ::varve::internal::CheckFailed(__FILE__, __LINE__, #condition,                  \
                                     ::varve::StrCat("" __VA_OPT__(, ) __VA_ARGS__)); \
  } while (false)

#endif  // VARVE_COMMON_CHECK_H_
