// Kinds of runs in which the disk fails nothing: it lies, or takes its time.
#include <algorithm>
#include <array>

#include "tests/storage/fault_campaign_run.h"

namespace varve::storage {
namespace {

// What a disk does wrong while it says that all is well.
struct Lie {
  FileFault::Kind kind;
  FileOp op;
  std::string_view name;
  bool elsewhere = false;
};
constexpr std::array<Lie, 8> kLies = {
    {{FileFault::Kind::kMisdirect, FileOp::kWrite, "misdirected write"},
     {FileFault::Kind::kMisdirect, FileOp::kWrite, "write to another file", true},
     {FileFault::Kind::kTear, FileOp::kWrite, "torn write"},
     {FileFault::Kind::kForget, FileOp::kWrite, "lost write"},
     {FileFault::Kind::kFlipBit, FileOp::kWrite, "flipped write"},
     {FileFault::Kind::kFlipBit, FileOp::kRead, "flipped read"},
     {FileFault::Kind::kMisdirect, FileOp::kRead, "misdirected read"},
     {FileFault::Kind::kShort, FileOp::kRead, "short read"}}};
constexpr std::array<std::string_view, 4> kLyingFiles = {".jnl", ".log", ".idx", "newest"};

}  // namespace

std::string RunLyingDisk(uint64_t seed, FaultCounts* counts) {
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  const Lie& lie = kLies[seed % kLies.size()];
  const std::string_view suffix = kLyingFiles[seed / kLies.size() % kLyingFiles.size()];
  FileFault fault{.kind = lie.kind, .ops = {lie.op}, .path_suffix = std::string(suffix)};
  fault.count = 1;
  fault.shift = 1 + run.draw->Below(3 * 4096);
  run.Steps(2 + static_cast<int>(run.draw->Below(10)));
  if (lie.elsewhere) {
    const std::vector<std::string> paths = run.Files("");
    fault.elsewhere = paths[run.draw->Below(paths.size())];
  }
  const bool reads = lie.op == FileOp::kRead;
  fault.skip = run.draw->Below(reads ? 12 : 4);
  size_t rule = 0;
  if (!reads) {
    rule = run.faulty.AddFault(fault);
    for (int i = 0; i < 30 && run.faulty.struck(rule) == 0; ++i) run.Steps(1);
    run.Steps(6);  // what follows tells that something was there
  }
  run.host.scheduler.RunFor(kSecond);  // sealed
  run.Crash(run.draw->Below(2) == 0);
  if (reads) rule = run.faulty.AddFault(fault);
  absl::Status told;
  const std::string kind = StrCat(lie.name, " ", suffix);
  std::string wrong = run.MustBeTold(kind, &told);
  if (run.faulty.struck(rule) > 0) run.Note(kind, !told.ok());
  return wrong;
}

std::string RunStallingDisk(uint64_t seed, FaultCounts* counts) {
  constexpr std::array<FileOp, 3> kOps = {FileOp::kWrite, FileOp::kSync, FileOp::kOpen};
  CampaignRun run(seed, counts);
  if (!run.Begin()) return "a sound disk refuses";
  const bool journal = run.draw->Below(2) == 0;
  const FileOp op = kOps[seed % kOps.size()];
  // Not the indexes: a segment's two writers hold its lock while they write one, and in a single
  // thread the other would wait for ever.
  const size_t rule = run.faulty.AddFault({.kind = FileFault::Kind::kStall,
                                           .ops = {op},
                                           .path_prefix = journal ? "data/journal" : "data/groups",
                                           .path_suffix = journal ? "" : ".log",
                                           .skip = run.draw->Below(6),
                                           .count = 1 + run.draw->Below(4)});
  run.Steps(16);
  const auto settled = [&] {
    return std::all_of(run.scripts.begin(), run.scripts.end(),
                       [](const auto& script) { return script->Settled(); });
  };
  if (!run.host.scheduler.RunUntil(settled, 60 * kSecond)) return "a stall is never answered";
  if (!run.host.directory->health().ok()) return "a stall fails the disk";
  if (run.faulty.struck(rule) == 0) return "";
  run.Crash(true);
  return run.MustBeWhole(StrCat("stalled ", FileOpName(op), journal ? ", journal" : ", segments"));
}

}  // namespace varve::storage
