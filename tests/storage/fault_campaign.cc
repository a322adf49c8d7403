#include "tests/storage/fault_campaign.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "common/error.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {
namespace {

constexpr std::array kGroups = {GroupId{100}, GroupId{200}};

DataDirectoryOptions CampaignOptions() {
  DataDirectoryOptions options = SmallOptions();
  options.sync_interval = 100 * kMillisecond;
  options.cache_bytes = 0;
  return options;
}

class Run {
 public:
  Run(uint64_t seed, FaultCounts* counts)
      : host(seed, CampaignOptions()), draw(SeededRandom(seed ^ 0x5eed)), counts_(counts) {
    host.options.recovery_trace = &counts->rows;
  }

  bool Begin() {
    if (!host.Open().ok()) return false;
    for (const GroupId group : kGroups) {
      if (!host.Create(group).ok()) return false;
      scripts.push_back(std::make_unique<LogScript>(&host, group));
      scripts.back()->Begin();
      scripts.back()->NewTerm();
    }
    return Settle();
  }

  void Steps(int steps) {
    for (int i = 0; i < steps; ++i) {
      LogScript& script = *scripts[draw->Below(scripts.size())];
      const LogEnd end = script.image().end();
      const Index commit = script.image().commit_index;
      switch (draw->Below(8)) {
        case 0:
          script.Roll();
          break;
        case 1:
          if (end.last_index > commit + 2) script.Truncate(end.last_index - draw->Below(2), 1);
          break;
        case 2:
          if (end.last_index > commit + 3) script.Commit(end.last_index - 2);
          break;
        default:
          script.Append(1 + static_cast<int>(draw->Below(3)), draw->Below(6000));
      }
      if (!Settle()) return;
      if (draw->Below(4) == 0) host.scheduler.RunFor(150 * kMillisecond);
    }
  }

  bool Settle() {
    bool refused = false;
    host.scheduler.RunUntil(
        [&] {
          bool settled = true;
          for (const auto& script : scripts) {
            settled = settled && script->Settled();
            refused = refused || script->refused();
          }
          return settled || refused;
        },
        kSecond);
    for (const auto& script : scripts) refused = refused || !script->Settled();
    return !refused && host.directory->health().ok();
  }

  // What the directory shows; errors in `told`.
  std::string Judge(absl::Status* told) {
    *told = host.Open();
    if (!told->ok()) return "";
    for (const auto& script : scripts) {
      if (!host.logs.contains(script->group()))
        return StrCat("group ", script->group(), " is gone");
      if (absl::Status suspect = host.log(script->group()).suspicion(); !suspect.ok()) {
        *told = std::move(suspect);
        if (std::string wrong = JudgeSuspect(*script); !wrong.empty()) return wrong;
        continue;
      }
      const auto image = host.Image(script->group());
      if (!image.ok()) {
        *told = image.status();
        continue;
      }
      if (std::string wrong = script->Judge(*image); !wrong.empty())
        return StrCat("group ", script->group(), " ", wrong);
    }
    return "";
  }

  // What a suspect log shows as committed is what was committed.
  std::string JudgeSuspect(const LogScript& script) {
    const PartitionLog& log = host.log(script.group());
    const Index committed = log.commit_index();
    for (Index next = log.start().index; next <= committed;) {
      const auto read = host.Read(script.group(), next, committed, 8192);
      if (!read.ok()) break;
      if (read->entries.empty()) return StrCat("a suspect log shows nothing at ", next);
      for (const Entry& entry : read->entries) {
        const auto& meant = script.image().entries;
        if (entry.header.last_index < script.image().start.index) continue;  // trimmed since
        const auto at = std::find_if(meant.begin(), meant.end(), [&](const Entry& e) {
          return e.header.first_index == entry.header.first_index;
        });
        if (at == meant.end() || at->frame.view() != entry.frame.view())
          return StrCat("a suspect log shows another entry at ", entry.header.first_index);
      }
      next = read->entries.back().header.last_index + 1;
    }
    return "";
  }

  void Note(const std::string& kind, bool told) {
    FaultCounts::Kind& count = counts_->kinds[kind];
    ++count.reached;
    count.told += told ? 1 : 0;
  }

  DirectoryHost host;
  const std::unique_ptr<Random> draw;
  std::vector<std::unique_ptr<LogScript>> scripts;

 private:
  FaultCounts* const counts_;
};

// A crash is no damage: what follows it opens.
std::string MustBeWhole(Run* run, const std::string& kind, bool told_before) {
  absl::Status told;
  std::string wrong = run->Judge(&told);
  if (wrong.empty() && !told.ok()) wrong = StrCat("an undamaged directory: ", MessageOf(told));
  run->Note(kind, told_before || !told.ok());
  return wrong;
}

std::vector<std::string> FilesOf(DirectoryHost& host, std::string_view suffix) {
  std::vector<std::string> paths;
  const auto list = [&](const std::string& directory) {
    const auto listed = host.disk.List(directory);
    if (!listed.ok()) return;
    for (const DirectoryEntry& entry : *listed)
      if (entry.name.ends_with(suffix) && entry.size > 0)
        paths.push_back(JoinPath(directory, entry.name));
  };
  list("data");
  list("data/journal");
  const auto groups = host.disk.List("data/groups");
  if (groups.ok())
    for (const DirectoryEntry& group : *groups) list(JoinPath("data/groups", group.name));
  return paths;
}

enum class Damage : uint8_t { kFlip, kZeros, kGarbage, kMisdirected, kCut, kMissing };
constexpr std::array<std::string_view, 6> kDamageNames = {"flipped",     "zeroed", "overwritten",
                                                          "misdirected", "cut",    "missing"};

void Strike(Run* run, const std::string& path, Damage damage) {
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
  Run run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  const bool mid_operation = run.draw->Below(2) == 0;
  if (mid_operation) run.host.disk.FailAfter(run.draw->Below(120));
  run.Steps(4 + static_cast<int>(run.draw->Below(24)));
  const bool power = run.draw->Below(4) != 0;
  run.host.Crash(power);
  return MustBeWhole(&run,
                     StrCat(power ? "power" : "process", " lost ",
                            mid_operation ? "within an operation" : "between operations"),
                     false);
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
  Run run(seed, counts);
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
  run.host.Crash(true);
  return MustBeWhole(
      &run, full ? "full disk" : StrCat(chosen.name, journal ? ", journal" : ", segments"), told);
}

std::string RunDamage(uint64_t seed, FaultCounts* counts) {
  constexpr std::array<std::string_view, 5> kSuffixes = {".jnl", ".log", ".idx", "identity",
                                                         "newest"};
  Run run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  run.Steps(6 + static_cast<int>(run.draw->Below(14)));
  run.host.scheduler.RunFor(kSecond);  // sealed
  if (run.draw->Below(2) == 0) {
    if (const absl::Status closed = run.host.Close(); !closed.ok()) return "no clean close";
  } else {
    run.host.Crash(true);
  }
  const std::string_view suffix = kSuffixes[seed % kSuffixes.size()];
  const std::vector<std::string> paths = FilesOf(run.host, suffix);
  if (paths.empty()) return "";
  const auto damage = static_cast<Damage>(run.draw->Below(kDamageNames.size()));
  Strike(&run, paths[run.draw->Below(paths.size())], damage);
  absl::Status told;
  std::string wrong = run.Judge(&told);
  const std::string kind = StrCat(kDamageNames[static_cast<size_t>(damage)], " ", suffix);
  run.Note(kind, !told.ok());
  const Reason reason = ReasonOf(told);
  // An error that blames something else is as good as none.
  const bool names_it = told.ok() || reason == Reason::DATA_LOSS ||
                        reason == Reason::REPLICA_SUSPECT || reason == Reason::NEWER_FORMAT ||
                        reason == Reason::FOREIGN_DIRECTORY;
  if (wrong.empty() && !names_it) wrong = StrCat("told as ", MessageOf(told));
  return wrong.empty() ? wrong : StrCat(kind, ": ", wrong);
}

}  // namespace varve::storage
