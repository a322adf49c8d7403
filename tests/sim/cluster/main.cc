// varve-sim: one simulated run of a cluster, or many seeds one after another.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/cluster/defects.h"
#include "tests/sim/cluster/runner.h"

namespace varve::clustersim {
namespace {

constexpr const char* kUsage =
    "usage: varve-sim --seed N [--report COUNT] [--hash] [--speed] [--defect NAME]\n"
    "  --report COUNT  run COUNT seeds from N on and print what they reached\n"
    "  --hash          print the hash of the run and no more\n"
    "  --speed         a run without faults, three brokers and eight partitions\n"
    "  --defect NAME   of brokers that are wrong in this way; `--defect list` names the ways\n";

void Tell(uint64_t seed, const RunResult& result) {
  for (const std::string& violation : result.violations)
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
  std::fflush(stdout);
}

int ListDefects(std::string_view name) {
  if (name != "list")
    std::fprintf(stderr, "no defect is called \"%s\"; there are:\n", std::string(name).c_str());
  for (const ClusterDefect& defect : ClusterDefects())
    std::printf("%s\n", std::string(defect.name).c_str());
  return name == "list" ? 0 : 2;
}

int Main(int argc, char** argv) {
  const ClusterDefect* defect = nullptr;
  uint64_t seed = 0, report = 1;
  bool hash = false, speed = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--hash") {
      hash = true;
    } else if (flag == "--speed") {
      speed = true;
    } else if (flag == "--defect" && i + 1 < argc) {
      defect = DefectNamed(argv[++i]);
      if (defect == nullptr) return ListDefects(argv[i]);
    } else if (flag == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (flag == "--report" && i + 1 < argc) {
      report = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  std::optional<PlantedDefect> planted;
  if (defect != nullptr) planted.emplace(*defect);
  RunResult total;
  uint64_t failed = 0;
  const auto began = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < report; ++i) {
    const RunResult result = RunCluster(speed ? SpeedOptions(seed + i) : DrawOptions(seed + i));
    failed += result.violations.empty() ? 0 : 1;
    total.Add(result);
    if (hash) std::printf("%016llx\n", static_cast<unsigned long long>(result.hash));
    if (!hash) Tell(seed + i, result);
  }
  const double real =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (!hash)
    std::printf(
        "%llu seeds, %llu with violations: %s\n%.1f real seconds, %.0f simulated per real\n",
        static_cast<unsigned long long>(report), static_cast<unsigned long long>(failed),
        total.Summary().c_str(), real, static_cast<double>(total.simulated) / 1e9 / real);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace varve::clustersim

int main(int argc, char** argv) { return varve::clustersim::Main(argc, argv); }
