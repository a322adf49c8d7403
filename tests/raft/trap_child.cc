// The GoogleTest cases of the core with a defect planted: raft_traps_test runs one of them and
// wants it to fail. VARVE_RAFT_DEFECT names the defect.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "common/check.h"
#include "tests/sim/raft/defect_names.h"

namespace varve::raft {
namespace {

// An invariant of the core's own counts as noticed; no core dump for it.
[[noreturn]] void Leave(const std::string& message) {
  std::fprintf(stderr, "%s\n", message.c_str());
  std::_Exit(1);
}

int Main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const char* name = std::getenv("VARVE_RAFT_DEFECT")) {
    const auto defect = raftsim::DefectNamed(name);
    if (!defect) {
      std::fprintf(stderr, "no defect is called %s\n", name);
      return 2;
    }
    planted_defect = *defect;
    internal::check_failed_hook = [](const std::string& message) { Leave(message); };
  }
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace varve::raft

int main(int argc, char** argv) { return varve::raft::Main(argc, argv); }
