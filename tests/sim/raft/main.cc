// varve_raft_sim: one simulated run, its story and its shortest form.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/sim/raft/runner.h"

namespace varve::raftsim {
namespace {

constexpr const char* kUsage =
    "usage: varve_raft_sim --seed N [--steps M] [--defect NAME] [--shrink] [--hash] [--report "
    "COUNT]\n"
    "  --steps M       no fault begins after M events\n"
    "  --shrink        look for fewer faults with a violation of the same invariant\n"
    "  --hash          print the hash of the run and no more\n"
    "  --report COUNT  run COUNT seeds from N on and print what they reached\n";

int Print(const RunResult& result) {
  std::printf("%s%s\n", result.story.c_str(), Summary(result).c_str());
  return result.violation.empty() ? 0 : 1;
}

int Main(int argc, char** argv) {
  SimOptions options;
  Defect defect = Defect::kNone;
  uint64_t seed = 0, steps = UINT64_MAX, report = 0;
  bool shrink = false, hash = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--shrink") {
      shrink = true;
      continue;
    }
    if (flag == "--hash") {
      hash = true;
      continue;
    }
    ++i;
    const auto named = DefectNamed(value);
    if (flag == "--seed") {
      seed = std::strtoull(value, nullptr, 10);
    } else if (flag == "--steps") {
      steps = std::strtoull(value, nullptr, 10);
    } else if (flag == "--report") {
      report = std::strtoull(value, nullptr, 10);
    } else if (flag == "--defect" && named) {
      defect = *named;
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  if (report > 0) {
    Report total;
    for (uint64_t i = 0; i < report; ++i) {
      const RunResult result = RunCores(DrawOptions(seed + i), defect, &total.sites);
      total.Add(result);
      if (!result.violation.empty()) std::printf("%s\n", Failure(seed + i, result, defect).c_str());
    }
    std::printf("%s", total.Text().c_str());
    return total.violations == 0 && total.NeverReached().empty() ? 0 : 1;
  }
  options = DrawOptions(seed);
  options.fault_steps = steps;
  if (shrink) options = Shrink(options, defect);
  options.tell = !hash;
  const RunResult result = RunCores(options, defect, nullptr);
  if (!hash) return Print(result);
  std::printf("%016llx\n", static_cast<unsigned long long>(result.hash));
  return result.violation.empty() ? 0 : 1;
}

}  // namespace
}  // namespace varve::raftsim

int main(int argc, char** argv) { return varve::raftsim::Main(argc, argv); }
