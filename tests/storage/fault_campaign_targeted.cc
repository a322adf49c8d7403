// Kinds of runs that a uniform draw would rarely make: histories in which a certain rule of the
// storage is all that stands between a crash or a flipped bit and a wrong answer.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "common/bytes.h"
#include "common/error.h"
#include "common/limits.h"
#include "storage/format/checkpoint.h"
#include "storage/format/file_header.h"
#include "storage/format/journal_commit.h"
#include "storage/format/journal_frame.h"
#include "tests/storage/fault_campaign_run.h"

namespace varve::storage {
namespace {

constexpr uint64_t kSector = kSimSectorBytes;
constexpr Nanos kWindow = 400 * kMillisecond;  // of a slow disk: bursts are drawn to lie within

// A journal file as docs/formats.md lays it out; read without the code under test.
struct JournalImage {
  std::string path;
  std::string bytes;
  [[nodiscard]] uint64_t generation() const { return LoadLittle<uint64_t>(bytes.data() + 96); }
  [[nodiscard]] uint64_t first_commit() const { return LoadLittle<uint64_t>(bytes.data() + 104); }
  [[nodiscard]] uint64_t checkpoint_body_bytes() const {
    return LoadLittle<uint64_t>(bytes.data() + kFileHeaderBytes + 16);
  }
};

std::optional<JournalImage> NewestJournal(SimFileSystem& disk) {
  std::optional<JournalImage> newest;
  const auto listed = disk.List("data/journal");
  if (!listed.ok()) return newest;
  for (const DirectoryEntry& entry : *listed) {
    if (!entry.name.ends_with(".jnl")) continue;
    JournalImage file{JoinPath("data/journal", entry.name), ""};
    auto bytes = ReadWholeFile(disk, file.path, 1 << 26);
    if (!bytes.ok() || bytes->size() < 2 * kFileHeaderBytes) continue;
    file.bytes = *bytes;
    if (!newest || file.generation() > newest->generation()) newest = std::move(file);
  }
  return newest;
}

struct Extent {
  uint64_t from = 0, bytes = 0;
};

// The beginnings of the last commit that has frames: what tells of votes, commits and ends.
std::optional<Extent> LastFrames(const JournalImage& journal) {
  std::optional<Extent> last;
  uint64_t at = journal.first_commit();
  while (at + limits::kBlockBytes <= journal.bytes.size()) {
    const char* commit = journal.bytes.data() + at;
    if (std::string_view(commit, 4) != "VCMT" ||
        LoadLittle<uint64_t>(commit + 8) != journal.generation())
      break;
    if (LoadLittle<uint32_t>(commit + 36) > 0) {
      const uint64_t frame = at + LoadLittle<uint32_t>(commit + 4);
      last = Extent{frame, std::min<uint64_t>(LoadLittle<uint32_t>(journal.bytes.data() + frame),
                                              kFrameHeaderBytes + 104 + 32)};
    }
    at += std::max<uint64_t>(LoadLittle<uint32_t>(commit + 32), limits::kBlockBytes);
  }
  return last;
}

// The last roll that is not committed, or an entry drawn from those that are not.
std::optional<Index> WhereToRewrite(CampaignRun& run, const LogImage& image, bool at_roll) {
  std::vector<Index> drawn;
  std::optional<Index> roll;
  for (const Entry& entry : image.entries) {
    if (entry.header.first_index <= std::max(image.commit_index, Index{2})) continue;
    drawn.push_back(entry.header.first_index);
    if (entry.header.kind == EntryKind::kMeta) roll = entry.header.first_index;
  }
  if (at_roll && roll) return roll;
  if (drawn.empty()) return std::nullopt;
  return drawn[run.draw->Below(drawn.size())];
}

// Segment files stall in their data alone: the simulated disk runs other executors meanwhile, and
// a lock is held while an index is saved.
void StallSegments(CampaignRun& run, std::set<std::string>* stalled) {
  const auto groups = run.host.disk.List("data/groups");
  if (!groups.ok()) return;
  for (const DirectoryEntry& group : *groups) {
    const std::string directory = JoinPath("data/groups", group.name);
    const auto files = run.host.disk.List(directory);
    if (!files.ok()) continue;
    for (const DirectoryEntry& file : *files) {
      const std::string path = JoinPath(directory, file.name);
      if (!file.name.ends_with(".log") || !stalled->insert(path).second) continue;
      const auto stall = static_cast<Nanos>(1 + run.draw->Below(100)) * kMillisecond;
      run.host.disk.AddFault({.kind = SimFault::Kind::kStall,
                              .path_prefix = path,
                              .one_in = 1 + run.draw->Below(3),
                              .stall = stall});
    }
  }
}

// Value size with which the frame of one entry ends where a sector does, if it is the first one of
// a commit of one group that follows a seal.
size_t ValueToSectorEnd(const LogScript& script) {
  constexpr size_t kStepBytes = 8 + 16;  // of an append, before its entries
  for (size_t value = 0; value < kSector; ++value) {
    const Entry entry = DataEntry(script.group(), script.image().end(), Term{2}, 1, value);
    const size_t frame = kFrameHeaderBytes + 104 + kStepBytes + entry.frame.size();
    if ((kCommitFixedBytes + 16 + frame) % kSector == 0) return value;
  }
  return 0;
}

}  // namespace

std::string RunTargetedDamage(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  run.Steps(4 + static_cast<int>(run.draw->Below(10)));
  run.host.scheduler.RunFor(kSecond);  // sealed
  const bool checkpoint = run.draw->Below(2) == 0;
  if (!checkpoint) {
    run.Crash(run.draw->Below(2) == 0);
  } else if (const absl::Status closed = run.host.Close(); !closed.ok()) {
    return "no clean close";
  }
  const auto journal = NewestJournal(run.host.disk);
  if (!journal) return "no journal";
  std::optional<Extent> extent = LastFrames(*journal);
  if (checkpoint)
    extent = Extent{kFileHeaderBytes + kCheckpointFixedBytes, journal->checkpoint_body_bytes()};
  if (!extent) return "";
  const absl::Status flipped =
      run.host.disk.FlipBit(journal->path, extent->from + run.draw->Below(extent->bytes),
                            static_cast<unsigned>(run.draw->Below(8)));
  if (!flipped.ok()) return StrCat("no such place: ", MessageOf(flipped));
  absl::Status told;
  std::string wrong = run.Judge(&told);
  const std::string kind = checkpoint ? "flipped checkpoint" : "flipped journal frame";
  run.Note(kind, !told.ok());
  const Reason reason = ReasonOf(told);
  if (wrong.empty() && reason != Reason::DATA_LOSS && reason != Reason::REPLICA_SUSPECT)
    wrong = StrCat("told as ", MessageOf(told));
  return wrong.empty() ? wrong : StrCat(kind, ": ", wrong);
}

std::string RunSlowPass(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  run.host.options.sync_interval = kWindow;
  run.host.options.journal.max_live_files = 16;  // passes come by time alone
  if (!run.Begin()) return "a sound disk refuses";
  run.host.scheduler.RunFor(2 * kWindow);
  LogScript& written = *run.scripts.front();
  LogScript& other = *run.scripts.back();
  written.AppendShaped(1, run.draw->Below(6000));
  if (!run.Settle()) return "a sound disk refuses";
  run.host.scheduler.RunFor(kMillisecond);
  // The pass over it, kWindow from now, takes its time over the files of now.
  std::set<std::string> stalled;
  StallSegments(run, &stalled);
  const auto within = [&](Nanos from, Nanos length) {
    return from + static_cast<Nanos>(run.draw->Below(static_cast<uint64_t>(length)));
  };
  written.Hold();
  if (run.draw->Below(4) != 0) written.Roll();
  written.AppendShaped(1, run.draw->Below(6000));
  written.LetGo(within(kWindow, 60 * kMillisecond));
  // The other group fills the journal, so that it rolls before the next pass.
  Nanos after = kWindow + 50 * kMillisecond;
  for (uint64_t bursts = 8 + run.draw->Below(12); bursts > 0; --bursts) {
    other.Hold();
    other.AppendShaped(1, 10'000 + run.draw->Below(10'000));
    after += within(1, 20 * kMillisecond);
    other.LetGo(after);
  }
  const auto rolls = [&run] { return run.host.directory->journal_stats().checkpoints; };
  const uint64_t before = rolls();
  run.host.scheduler.RunUntil([&] { return rolls() > before; }, 2 * kWindow);
  run.Crash(true);
  run.host.disk.ClearFaults();
  return run.MustBeWhole("power lost at a roll behind a slow pass");
}

std::string RunSlowDisk(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  run.host.options.sync_interval = static_cast<Nanos>(1 + run.draw->Below(8)) * 100 * kMillisecond;
  if (!run.Begin()) return "a sound disk refuses";
  std::set<std::string> stalled;
  // What passes vouch for becomes durable with the next checkpoint: then it must be true.
  const bool after_roll = run.draw->Below(4) != 0;
  for (uint64_t rounds = 1 + run.draw->Below(4); rounds > 0; --rounds) {
    // Files that exist by now stall, those begun meanwhile do not: the sync of one file covers
    // nothing of the next one.
    StallSegments(run, &stalled);
    for (const auto& script : run.scripts) {
      Nanos after = 0;
      for (uint64_t bursts = run.draw->Below(8); bursts > 0; --bursts) {
        script->Hold();
        for (uint64_t writes = 1 + run.draw->Below(3); writes > 0; --writes) run.Step(*script);
        if (run.draw->Below(2) == 0) script->Roll();
        after += 1 + static_cast<Nanos>(run.draw->Below(50)) * kMillisecond;
        script->LetGo(after);
      }
    }
    if (rounds > 1) run.host.scheduler.RunFor(kWindow);
  }
  const auto rolls = [&run] { return run.host.directory->journal_stats().checkpoints; };
  if (after_roll) {
    const uint64_t wanted = rolls() + 1 + run.draw->Below(4);
    run.host.scheduler.RunUntil([&] { return rolls() >= wanted; }, kWindow);
  } else {
    run.host.scheduler.RunFor(static_cast<Nanos>(run.draw->Below(400)) * kMillisecond);
  }
  const bool power = run.draw->Below(4) != 0;
  run.Crash(power);
  run.host.disk.ClearFaults();
  return run.MustBeWhole(StrCat("slow segments, ", power ? "power" : "process", " lost"));
}

std::string RunRewrite(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  LogScript& script = *run.scripts.front();
  const size_t value_bytes = 4000 + run.draw->Below(12'000);
  const bool at_roll = run.draw->Below(2) == 0;
  bool settled = true;
  for (uint64_t round = 1 + run.draw->Below(3); round > 0 && settled; --round) {
    if (at_roll) script.Roll();
    for (uint64_t bytes = 0; bytes < 80'000 + run.draw->Below(80'000) && settled;
         bytes += 4 * value_bytes) {
      script.AppendShaped(4, value_bytes);
      settled = run.Settle();
    }
    // A pass saves the rows of the index.
    if (run.draw->Below(4) != 0) run.host.scheduler.RunFor(200 * kMillisecond);
    const auto from = WhereToRewrite(run, script.image(), at_roll);
    if (from) script.Rewrite(*from, value_bytes, 1000);
    settled = settled && run.Settle();
    if (run.draw->Below(2) == 0) run.host.scheduler.RunFor(run.draw->Below(150) * kMillisecond);
  }
  if (!settled) return "a sound disk refuses";
  const bool power = run.draw->Below(4) != 0;
  run.Crash(power);
  return run.MustBeWhole(StrCat("rewritten ", at_roll ? "segment" : "tail", ", ",
                                power ? "power" : "process", " lost"));
}

std::string RunTornReuse(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  LogScript& script = *run.scripts.front();
  const size_t to_sector_end = ValueToSectorEnd(script);
  const size_t second = run.draw->Below(150);
  const auto pair = [&] {
    script.Hold();
    script.AppendShaped(1, to_sector_end);
    script.AppendShaped(1, second);
    script.LetGo();
  };
  // More than all journal files hold: the newest one had a life before.
  for (uint64_t pairs = 70 + run.draw->Below(30); pairs > 0; --pairs) {
    pair();
    if (!run.Settle()) return "a sound disk refuses";
    run.host.scheduler.RunFor(30 * kMillisecond);  // sealed
  }
  run.host.disk.FailAfter(run.draw->Below(4) == 0 ? run.draw->Below(3)
                                                  : 1);  // between write and sync
  pair();
  run.Settle();
  run.Crash(true);
  return run.MustBeWhole("power lost within a commit over an older one");
}

}  // namespace varve::storage
