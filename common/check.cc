#include "common/check.h"

#include <cstdio>
#include <cstdlib>

namespace varve::internal {

void CheckFailed(const char* file, int line, const char* condition, const std::string& text) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s. %s\n", file, line, condition, text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace varve::internal
