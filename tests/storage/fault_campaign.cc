#include "tests/storage/fault_campaign.h"

#include <algorithm>
#include <array>
#include <vector>

#include "tests/storage/fault_campaign_run.h"

namespace varve::storage {
namespace {

enum class Damage : uint8_t { kFlip, kZeros, kGarbage, kMisdirected, kCut, kMissing };
constexpr std::array<std::string_view, 6> kDamageNames = {"flipped",     "zeroed", "overwritten",
                                                          "misdirected", "cut",    "missing"};

void Strike(CampaignRun* run, const std::string& path, Damage damage) {
  SimFileSystem& disk = run->host.disk;
  const uint64_t size = disk.Stat(path)->size;
  // Most of a journal file is room that nothing has used yet.
  uint64_t at = run->draw->Below(size);
  if (const auto whole = ReadWholeFile(disk, path, 1 << 26); whole.ok()) {
    for (int tries = 0; tries < 64 && (*whole)[at] == '\0'; ++tries) at = run->draw->Below(size);
  }
  const uint64_t length = std::min<uint64_t>(size - at, 1 + run->draw->Below(4096));
  std::string bytes(length, '\0');
  switch (damage) {
    case Damage::kFlip:
      disk.FlipBit(path, at, static_cast<unsigned>(run->draw->Below(8))).IgnoreError();
      return;
    case Damage::kGarbage:
      for (char& byte : bytes) byte = static_cast<char>(run->draw->Next());
      break;
    case Damage::kMisdirected: {  // what belongs elsewhere in the same file
      const auto whole = ReadWholeFile(disk, path, 1 << 26);
      if (whole.ok()) bytes = whole->substr(run->draw->Below(size - length + 1), length);
      break;
    }
    case Damage::kZeros:
      break;
    case Damage::kCut:
      disk.TruncateDurable(path, at).IgnoreError();
      return;
    case Damage::kMissing:
      disk.RemoveFile(path).IgnoreError();
      return;
  }
  disk.Corrupt(path, at, bytes).IgnoreError();
}

}  // namespace

std::string FaultCounts::Text() const {
  std::string text;
  for (const auto& [name, kind] : kinds)
    text += StrCat(name, ": ", kind.reached, " reached, ", kind.told, " told\n");
  return text;
}

std::string RunCrash(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  const bool mid_operation = run.draw->Below(2) == 0;
  if (mid_operation) run.host.disk.FailAfter(run.draw->Below(120));
  run.Steps(4 + static_cast<int>(run.draw->Below(24)));
  const bool power = run.draw->Below(4) != 0;
  run.Crash(power);
  return run.MustBeWhole(StrCat(power ? "power" : "process", " lost ",
                                mid_operation ? "within an operation" : "between operations"));
}

std::string RunFailingDisk(uint64_t seed, FaultCounts* counts) {
  struct Case {
    SimFault::Kind kind;
    std::string_view name;
  };
  constexpr std::array<Case, 6> kCases = {
      {{SimFault::Kind::kSyncError, "failed sync"},
       {SimFault::Kind::kWriteError, "failed write"},
       {SimFault::Kind::kShortWrite, "short write"},
       {SimFault::Kind::kDirectorySyncError, "failed name sync"},
       {SimFault::Kind::kReadError, "failed read"},
       {SimFault::Kind::kSyncError, "full disk"}}};
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  const Case& chosen = kCases[seed % kCases.size()];
  const bool journal = run.draw->Below(2) == 0;
  const bool full = chosen.name == "full disk";
  if (full) {
    run.host.disk.SetCapacity(run.host.disk.used_bytes() + run.draw->Below(60'000));
  } else {
    run.host.disk.AddFault({.kind = chosen.kind,
                            .path_prefix = journal ? "data/journal" : "data/groups",
                            .skip = run.draw->Below(6),
                            .count = 1 + run.draw->Below(2)});
  }
  run.Steps(12);
  run.host.scheduler.RunFor(kSecond);
  bool told = !run.host.directory->health().ok();
  for (const auto& script : run.scripts) told = told || !script->Settled();
  // So few bytes were admitted: the reserve has room for them.
  if (full && (told || run.host.directory->dirty_bytes() > 0))
    return StrCat("full disk: ", run.host.directory->dirty_bytes(), " admitted bytes wait");
  run.host.disk.ClearFaults();
  run.host.disk.SetCapacity(1ULL << 40);
  run.Crash(true);
  return run.MustBeWhole(
      full ? "full disk" : StrCat(chosen.name, journal ? ", journal" : ", segments"), told);
}

std::string RunDamage(uint64_t seed, FaultCounts* counts) {
  constexpr std::array<std::string_view, 5> kSuffixes = {".jnl", ".log", ".idx", "identity",
                                                         "newest"};
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  run.Steps(6 + static_cast<int>(run.draw->Below(14)));
  run.host.scheduler.RunFor(kSecond);  // sealed
  if (run.draw->Below(2) == 0) {
    if (const absl::Status closed = run.host.Close(); !closed.ok()) return "no clean close";
  } else {
    run.Crash(true);
  }
  const std::string_view suffix = kSuffixes[seed % kSuffixes.size()];
  const std::vector<std::string> paths = run.Files(suffix);
  if (paths.empty()) return "";
  const auto damage = static_cast<Damage>(run.draw->Below(kDamageNames.size()));
  Strike(&run, paths[run.draw->Below(paths.size())], damage);
  absl::Status told;
  const std::string kind = StrCat(kDamageNames[static_cast<size_t>(damage)], " ", suffix);
  std::string wrong = run.MustBeTold(kind, &told);
  run.Note(kind, !told.ok());
  return wrong;
}

}  // namespace varve::storage
