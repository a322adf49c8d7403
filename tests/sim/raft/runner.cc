#include "tests/sim/raft/runner.h"

#include <cstdio>
#include <functional>

namespace varve::raftsim {
namespace {

std::string InvariantOf(const RunResult& result) {
  return result.violation.substr(0, result.violation.find(':'));
}

}  // namespace

RunResult RunCores(const SimOptions& options, Defect defect, DefectSites* sites) {
  raft::planted_defect = defect;
  raft::defect_sites = {};
  const auto proposals = std::make_shared<ConfigProposals>();
  (*proposals)[{Index{1}, Term{1}}] = 0;  // the configuration that the world begins with
  World world(options, [&](ReplicaId self, uint64_t seed, const LogImage& image) {
    return std::make_unique<CoreReplica>(options, self, seed, image, proposals);
  });
  RunResult result = world.Run();
  for (size_t i = 0; sites != nullptr && i < kDefects; ++i) (*sites)[i] += raft::defect_sites[i];
  raft::planted_defect = Defect::kNone;
  return result;
}

Catch Hunt(uint64_t first_seed, uint64_t limit, Defect defect) {
  for (uint64_t i = 0; i < limit; ++i) {
    RunResult run = RunCores(DrawOptions(first_seed + i), defect, nullptr);
    if (!run.violation.empty()) return {i + 1, run.violation, std::move(run)};
  }
  return {};
}

std::string Summary(const RunResult& result) {
  char hash[24];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(result.hash));
  return StrCat(result.steps, " events, ", result.simulated / kSeconds, " simulated s, ",
                result.committed, " entries, hash ", std::string_view(hash), ", ",
                result.violation.empty() ? "no violation" : result.violation);
}

std::string Failure(uint64_t seed, const RunResult& result, Defect defect) {
  SimOptions told = DrawOptions(seed);
  told.tell = true;  // the same run once more
  return StrCat(RunCores(told, defect, nullptr).story, "seed ", seed, " step ", result.steps, ": ",
                result.violation, "\n  varve_raft_sim --seed ", seed,
                defect == Defect::kNone ? "" : StrCat(" --defect ", NameOf(defect)), " --shrink");
}

SimOptions Shrink(SimOptions options, Defect defect) {
  const RunResult first = RunCores(options, defect, nullptr);
  if (first.violation.empty()) return options;
  const auto fails = [&](const SimOptions& tried) {
    return InvariantOf(RunCores(tried, defect, nullptr)) == InvariantOf(first);
  };
  for (size_t fault = 0; fault < kFaults; ++fault) {
    SimOptions without = options;
    without.on[fault] = false;
    if (options.on[fault] && fails(without)) options = without;
  }
  uint64_t low = 0, high = std::min(options.fault_steps, first.steps * 2);
  while (low < high) {
    SimOptions shorter = options;
    shorter.fault_steps = low + (high - low) / 2;
    if (fails(shorter)) {
      high = shorter.fault_steps;
    } else {
      low = shorter.fault_steps + 1;
    }
  }
  SimOptions shortest = options;
  shortest.fault_steps = high;
  if (fails(shortest)) options = shortest;
  std::printf("faults until event %llu:", static_cast<unsigned long long>(options.fault_steps));
  for (size_t fault = 0; fault < kFaults; ++fault) {
    if (options.on[fault])
      std::printf(" %s", std::string(NameOf(static_cast<Fault>(fault))).c_str());
  }
  std::printf("\n");
  return options;
}

void Report::Add(const RunResult& result) {
  ++runs;
  steps += result.steps;
  committed += result.committed;
  committed_after_healing += result.committed_after_healing;
  unsynced_lost += result.unsynced_lost;
  reads += result.reads;
  violations += result.violation.empty() ? 0 : 1;
  simulated += result.simulated;
  leaderless = std::max(leaderless, result.leaderless);
  for (size_t i = 0; i < kFaults; ++i) faults[i] += result.faults[i];
  for (size_t i = 0; i < kMessageTypes; ++i) delivered[i] += result.delivered[i];
  for (size_t i = 0; i < roles.size(); ++i) roles[i] += result.roles[i];
}

namespace {

void Each(const Report& report, const std::function<void(std::string, uint64_t)>& visit) {
  for (size_t i = 0; i < kFaults; ++i) {
    visit(StrCat("fault ", NameOf(static_cast<Fault>(i))), report.faults[i]);
  }
  for (size_t i = 0; i < kMessageTypes; ++i) {
    visit(StrCat("message ", NameOf(static_cast<MessageType>(i))), report.delivered[i]);
  }
  static constexpr std::string_view kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
  for (size_t i = 0; i < report.roles.size(); ++i) {
    visit(StrCat("becomes ", kRoles[i]), report.roles[i]);
  }
  for (size_t i = 1; i < kDefects; ++i) {
    if (!WhyOutOfReach(static_cast<Defect>(i)).empty()) continue;
    visit(StrCat("site ", NameOf(static_cast<Defect>(i))), report.sites[i]);
  }
  visit("unsynced writes lost", report.unsynced_lost);
  visit("barriers answered", report.reads);
}

}  // namespace

std::string Report::Text() const {
  std::string text =
      StrCat(runs, " runs, ", steps, " events, ", simulated / kSeconds, " simulated s, ", committed,
             " entries, ", committed_after_healing, " after healing, at most ",
             leaderless / kMillis, " ms without commits then, ", violations, " violations\n");
  Each(*this, [&](const std::string& name, uint64_t count) {
    text += StrCat("  ", name, ": ", count, "\n");
  });
  return text;
}

std::vector<std::string> Report::NeverReached() const {
  std::vector<std::string> never;
  Each(*this, [&](std::string name, uint64_t count) {
    if (count == 0) never.push_back(std::move(name));
  });
  return never;
}

}  // namespace varve::raftsim
