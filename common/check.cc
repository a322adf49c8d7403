#include "common/check.h"

#include <cstdio>
#include <cstdlib>

namespace varve::internal {

void (*check_failed_hook)(const std::string& message) = nullptr;

void CheckFailed(const char* file, int line, const char* condition, const std::string& text) {
  if (check_failed_hook != nullptr) {
    check_failed_hook(StrCat("invariant broken: ", condition, ". ", text));
  }
  std::fprintf(stderr, "%s:%d: invariant broken: %s. %s\n", file, line, condition, text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace varve::internal
