#include "common/sim/faulty_file_system.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "common/file_error.h"
#include "common/sim/faulty_file.h"

namespace varve {
namespace {

using Kind = FileFault::Kind;

constexpr std::array<std::string_view, 7> kKindNames = {"fail",     "forget",    "tear", "short",
                                                        "flip bit", "misdirect", "stall"};

bool Applies(Kind kind, FileOp op) {
  switch (kind) {
    case Kind::kFail:
    case Kind::kStall:
      return true;
    case Kind::kForget:
      return op == FileOp::kWrite || op == FileOp::kSync || op == FileOp::kStartWriteBack ||
             op == FileOp::kTruncate || op == FileOp::kRename || op == FileOp::kRemove ||
             op == FileOp::kSyncDirectory;
    case Kind::kTear:
      return op == FileOp::kWrite;
    case Kind::kShort:
    case Kind::kFlipBit:
    case Kind::kMisdirect:
      return op == FileOp::kWrite || op == FileOp::kRead;
  }
  return false;
}

}  // namespace

std::string_view FileOpName(FileOp op) {
  // Those of the other file systems' errors.
  constexpr std::array<std::string_view, 15> kNames = {"open",
                                                       "read",
                                                       "write",
                                                       "sync",
                                                       "start write-back",
                                                       "truncate",
                                                       "allocate",
                                                       "rename",
                                                       "remove",
                                                       "create directory",
                                                       "remove directory",
                                                       "sync directory",
                                                       "list",
                                                       "stat",
                                                       "lock"};
  return kNames[static_cast<size_t>(op)];
}

FaultyFileSystem::FaultyFileSystem(FileSystem& below, uint64_t seed)
    : below_(below), random_(SeededRandom(seed)) {}

// --- Faults

size_t FaultyFileSystem::AddFault(FileFault fault) {
  for (const FileOp op : fault.ops)
    VARVE_CHECK(Applies(fault.kind, op), kKindNames[static_cast<size_t>(fault.kind)],
                " does not apply to ", FileOpName(op));
  VARVE_CHECK(fault.one_in > 0);
  const std::lock_guard lock(mutex_);
  rules_.push_back({std::move(fault)});
  return rules_.size() - 1;
}

void FaultyFileSystem::ClearFaults() {
  const std::lock_guard lock(mutex_);
  for (Rule& rule : rules_) rule.cleared = true;
}

void FaultyFileSystem::SetStall(Stall stall) { stall_ = std::move(stall); }

bool FaultyFileSystem::Matches(const Rule& rule, FileOp op, const std::string& path) {
  const FileFault& fault = rule.fault;
  const bool named = fault.ops.empty()
                         ? Applies(fault.kind, op)
                         : std::find(fault.ops.begin(), fault.ops.end(), op) != fault.ops.end();
  return named && !rule.cleared && path.starts_with(fault.path_prefix) &&
         path.ends_with(fault.path_suffix);
}

bool FaultyFileSystem::Strikes(Rule& rule) {
  const FileFault& fault = rule.fault;
  const uint64_t call = rule.calls++;
  if (call < fault.skip || call - fault.skip >= fault.count) return false;
  if (fault.one_in > 1 && !random_->OneIn(fault.one_in)) return false;
  ++rule.struck;
  return true;
}

FaultyFileSystem::Verdict FaultyFileSystem::Judge(FileOp op, const std::string& path) {
  Verdict verdict;
  const std::lock_guard lock(mutex_);
  for (Rule& rule : rules_) {
    const bool stalls = rule.fault.kind == Kind::kStall;
    if (stalls ? verdict.stall : verdict.fault.has_value()) continue;
    if (!Matches(rule, op, path) || !Strikes(rule)) continue;
    if (stalls) {
      verdict.stall = true;
    } else {
      verdict.fault = rule.fault;
      verdict.drawn = random_->Next();
    }
  }
  return verdict;
}

void FaultyFileSystem::StallIf(bool stall, FileOp op, const std::string& path) {
  if (stall && stall_ != nullptr) stall_(op, path);
}

// --- Room

void FaultyFileSystem::SetRoom(std::optional<uint64_t> bytes) {
  const std::lock_guard lock(mutex_);
  room_ = bytes;
}

bool FaultyFileSystem::limited() const {
  const std::lock_guard lock(mutex_);
  return room_.has_value();
}

uint64_t FaultyFileSystem::TakeRoom(uint64_t wanted, bool all_or_nothing) {
  const std::lock_guard lock(mutex_);
  if (!room_ || *room_ >= wanted) {
    if (room_) *room_ -= wanted;
    return wanted;
  }
  ++full_;
  return all_or_nothing ? 0 : std::exchange(*room_, 0);
}

void FaultyFileSystem::GiveRoom(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (room_) *room_ += bytes;
}

uint64_t FaultyFileSystem::SizeOf(const std::string& path) {
  const auto entry = below_.Stat(path);
  return entry.ok() && !entry->is_directory ? entry->size : 0;
}

// --- Report

uint64_t FaultyFileSystem::struck(size_t rule) const {
  const std::lock_guard lock(mutex_);
  VARVE_CHECK(rule < rules_.size(), "no rule ", rule);
  return rules_[rule].struck;
}

uint64_t FaultyFileSystem::full() const {
  const std::lock_guard lock(mutex_);
  return full_;
}

std::string FaultyFileSystem::Report() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  for (const Rule& rule : rules_) {
    const FileFault& fault = rule.fault;
    text += kKindNames[static_cast<size_t>(fault.kind)];
    for (const FileOp op : fault.ops) text += StrCat(" ", FileOpName(op));
    text += StrCat(" \"", fault.path_prefix, "*", fault.path_suffix, "\": struck ", rule.struck,
                   " of ", rule.calls, " calls\n");
  }
  if (full_ > 0) text += StrCat("full: ", full_, " calls\n");
  return text;
}

// --- FileSystem

absl::StatusOr<std::unique_ptr<File>> FaultyFileSystem::Open(const std::string& path,
                                                             OpenMode mode) {
  return Run(FileOp::kOpen, path, [&]() -> absl::StatusOr<std::unique_ptr<File>> {
    VARVE_ASSIGN_OR_RETURN(auto file, below_.Open(path, mode));
    return std::make_unique<FaultyFile>(*this, std::move(file), path);
  });
}

absl::Status FaultyFileSystem::CreateDirectory(const std::string& path) {
  return Run(FileOp::kCreateDirectory, path, [&] { return below_.CreateDirectory(path); });
}

absl::StatusOr<std::vector<DirectoryEntry>> FaultyFileSystem::List(const std::string& path) {
  return Run(FileOp::kList, path, [&] { return below_.List(path); });
}

absl::StatusOr<DirectoryEntry> FaultyFileSystem::Stat(const std::string& path) {
  return Run(FileOp::kStat, path, [&] { return below_.Stat(path); });
}

absl::Status FaultyFileSystem::Rename(const std::string& from, const std::string& to) {
  return Run(FileOp::kRename, from, [&] {
    const uint64_t replaced = limited() && from != to ? SizeOf(to) : 0;
    absl::Status status = below_.Rename(from, to);
    if (status.ok()) GiveRoom(replaced);
    return status;
  });
}

absl::Status FaultyFileSystem::RemoveFile(const std::string& path) {
  return Run(FileOp::kRemove, path, [&] {
    const uint64_t removed = limited() ? SizeOf(path) : 0;
    absl::Status status = below_.RemoveFile(path);
    if (status.ok()) GiveRoom(removed);
    return status;
  });
}

absl::Status FaultyFileSystem::RemoveDirectory(const std::string& path) {
  return Run(FileOp::kRemoveDirectory, path, [&] { return below_.RemoveDirectory(path); });
}

absl::Status FaultyFileSystem::SyncDirectory(const std::string& path) {
  return Run(FileOp::kSyncDirectory, path, [&] { return below_.SyncDirectory(path); });
}

absl::StatusOr<std::unique_ptr<FileLock>> FaultyFileSystem::Lock(const std::string& path) {
  return Run(FileOp::kLock, path, [&] { return below_.Lock(path); });
}

absl::StatusOr<SpaceInfo> FaultyFileSystem::Space(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(SpaceInfo info, below_.Space(path));
  const std::lock_guard lock(mutex_);
  if (room_) info.free_bytes = std::min(info.free_bytes, *room_);
  return info;
}

}  // namespace varve
