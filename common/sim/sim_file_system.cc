#include "common/sim/sim_file_system.h"

#include <cerrno>
#include <utility>

#include "common/error.h"
#include "common/file_error.h"
#include "common/sim/sim_disk.h"
#include "common/sim/sim_file.h"
#include "common/sim/sim_names.h"
#include "common/sim/trace_hash.h"

namespace varve {
namespace {

using Kind = SimFault::Kind;
using Place = SimNames::Place;

class SimLock final : public FileLock {
 public:
  SimLock(std::shared_ptr<SimDisk> disk, uint64_t node)
      : disk_(std::move(disk)), node_(node), epoch_(disk_->epoch()) {}
  ~SimLock() override { disk_->ReleaseLock(node_, epoch_); }

 private:
  const std::shared_ptr<SimDisk> disk_;
  const uint64_t node_;
  const uint64_t epoch_;
};

DirectoryEntry EntryOf(const std::string& name, const SimNode& node) {
  return {name, node.is_directory, node.is_directory ? 0 : node.content.written().size()};
}

// errno, or 0 when `place` is an existing file.
int FileErrno(const Place& place) {
  if (place.error != 0) return place.error;
  if (place.node == nullptr) return ENOENT;
  return place.node->is_directory ? EISDIR : 0;
}

int DirectoryErrno(const Place& place) {
  if (place.error != 0) return place.error;
  if (place.node == nullptr) return ENOENT;
  return place.node->is_directory ? 0 : ENOTDIR;
}

int RenameErrno(const Place& from, const Place& to) {
  if (from.error != 0) return from.error;
  if (from.node == nullptr) return ENOENT;
  if (to.error != 0) return to.error;
  if (from.parent == nullptr || to.parent == nullptr) return EBUSY;
  if (to.node == nullptr || to.node == from.node) return 0;
  if (to.node->is_directory && !from.node->is_directory) return EISDIR;
  if (!to.node->is_directory && from.node->is_directory) return ENOTDIR;
  return to.node->entries.empty() ? 0 : ENOTEMPTY;
}

absl::Status Result(std::string_view call, std::string_view path, int error) {
  return error == 0 ? absl::OkStatus() : FileError(call, path, error);
}

}  // namespace

SimFileSystem::SimFileSystem(SimScheduler* scheduler, const Options& options)
    : disk_(std::make_shared<SimDisk>(scheduler, options)) {}

SimFileSystem::~SimFileSystem() { disk_->Close(); }

absl::StatusOr<std::unique_ptr<File>> SimFileSystem::Open(const std::string& path, OpenMode mode) {
  std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("open", name, mode == OpenMode::kCreate));
  Place place = disk_->names().Find(path);
  int error = place.error;
  if (error == 0 && mode == OpenMode::kCreate) {
    error = place.node != nullptr ? EEXIST : 0;
    if (error == 0) place.node = disk_->names().Create(place, false);
  } else if (error == 0) {
    error = FileErrno(place);
  }
  VARVE_RETURN_IF_ERROR(disk_->Report({"open", name}, Result("open", path, error)));
  return std::make_unique<SimFile>(disk_, std::move(place.node), std::move(name),
                                   mode != OpenMode::kRead);
}

absl::Status SimFileSystem::CreateDirectory(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("create directory", name, true));
  const Place place = disk_->names().Find(path);
  int error = place.error;
  if (error == 0 && place.node == nullptr) {
    disk_->names().Create(place, true);
  } else if (error == 0 && !place.node->is_directory) {
    error = EEXIST;
  }
  return disk_->Report({"create directory", name}, Result("create directory", path, error));
}

absl::StatusOr<std::vector<DirectoryEntry>> SimFileSystem::List(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("list", name, false));
  const Place place = disk_->names().Find(path);
  VARVE_RETURN_IF_ERROR(disk_->Report({"list", name}, Result("list", path, DirectoryErrno(place))));
  std::vector<DirectoryEntry> entries;
  for (const auto& [entry, node] : place.node->entries) entries.push_back(EntryOf(entry, *node));
  return entries;
}

absl::StatusOr<DirectoryEntry> SimFileSystem::Stat(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("stat", name, false));
  const Place place = disk_->names().Find(path);
  const int error = place.error != 0 ? place.error : place.node == nullptr ? ENOENT : 0;
  VARVE_RETURN_IF_ERROR(disk_->Report({"stat", name}, Result("stat", path, error)));
  return EntryOf(place.name, *place.node);
}

absl::Status SimFileSystem::Rename(const std::string& from, const std::string& to) {
  const std::string name = SimPath(from);
  VARVE_RETURN_IF_ERROR(disk_->Admit("rename", name, true));
  const Place old_place = disk_->names().Find(from);
  const Place new_place = disk_->names().Find(to);
  int error = RenameErrno(old_place, new_place);
  if (error == 0 && SimPath(to).starts_with(name + "/")) error = EINVAL;  // into itself
  if (error == 0 && new_place.node != old_place.node) {
    if (new_place.node != nullptr) disk_->Release(*new_place.node);
    disk_->names().Rename(old_place, new_place);
  }
  return disk_->Report({"rename", name, HashText(SimPath(to))},
                       Result("rename", StrCat(from, "\" to \"", to), error));
}

absl::Status SimFileSystem::RemoveFile(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("remove", name, true));
  const Place place = disk_->names().Find(path);
  const int error = FileErrno(place);
  if (error == 0) {
    disk_->Release(*place.node);
    disk_->names().Remove(place);
  }
  return disk_->Report({"remove", name}, Result("remove", path, error));
}

absl::Status SimFileSystem::RemoveDirectory(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("remove directory", name, true));
  const Place place = disk_->names().Find(path);
  int error = DirectoryErrno(place);
  if (error == 0 && !place.node->entries.empty()) error = ENOTEMPTY;
  if (error == 0 && place.parent == nullptr) error = EBUSY;
  if (error == 0) disk_->names().Remove(place);
  return disk_->Report({"remove directory", name}, Result("remove directory", path, error));
}

absl::Status SimFileSystem::SyncDirectory(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("sync directory", name, true));
  const Place place = disk_->names().Find(path);
  int error = DirectoryErrno(place);
  if (error == 0 && disk_->Strikes(Kind::kDirectorySyncError, name)) error = EIO;
  if (error == 0) disk_->names().Sync(*place.node);
  return disk_->Report({"sync directory", name}, Result("sync directory", path, error));
}

absl::StatusOr<std::unique_ptr<FileLock>> SimFileSystem::Lock(const std::string& path) {
  const std::string name = SimPath(path);
  VARVE_RETURN_IF_ERROR(disk_->Admit("lock", name, true));
  Place place = disk_->names().Find(path);
  if (place.error == 0 && place.node == nullptr) place.node = disk_->names().Create(place, false);
  absl::Status result = Result("open lock", path, FileErrno(place));
  if (result.ok() && !disk_->TakeLock(place.node->number)) {
    result = MakeError(Reason::DIRECTORY_IN_USE, "lock \"", path,
                       "\": another process, or this one, holds it");
  }
  VARVE_RETURN_IF_ERROR(disk_->Report({"lock", name}, std::move(result)));
  return std::make_unique<SimLock>(disk_, place.node->number);
}

absl::StatusOr<SpaceInfo> SimFileSystem::Space(const std::string& path) {
  VARVE_RETURN_IF_ERROR(disk_->Admit("statvfs", SimPath(path), false));
  const Place place = disk_->names().Find(path);
  const int error = place.error != 0 ? place.error : place.node == nullptr ? ENOENT : 0;
  if (error != 0) return FileError("statvfs", path, error);
  const uint64_t used = std::min(disk_->used(), disk_->capacity());
  return SpaceInfo{disk_->capacity(), disk_->capacity() - used};
}

void SimFileSystem::PowerLoss(Random& random) { disk_->PowerLoss(random); }
void SimFileSystem::ProcessCrash() { disk_->Restart(); }
void SimFileSystem::FailAfter(uint64_t ops) { disk_->FailAfter(ops); }
uint64_t SimFileSystem::ops() const { return disk_->ops(); }
bool SimFileSystem::dead() const { return disk_->dead(); }
void SimFileSystem::AddFault(SimFault fault) { disk_->AddFault(std::move(fault)); }
void SimFileSystem::ClearFaults() { disk_->ClearFaults(); }
void SimFileSystem::SetCapacity(uint64_t bytes) { disk_->set_capacity(bytes); }
uint64_t SimFileSystem::used_bytes() const { return disk_->used(); }
void SimFileSystem::SetObserver(Observer observer) { disk_->set_observer(std::move(observer)); }

absl::Status SimFileSystem::FlipBit(const std::string& path, uint64_t position, unsigned bit) {
  const Place place = disk_->names().Find(path);
  if (const int error = FileErrno(place); error != 0) return FileError("flip", path, error);
  if (position >= place.node->content.written().size()) {
    return absl::OutOfRangeError(StrCat("flip \"", path, "\" at ", position, ": beyond its end"));
  }
  char byte = 0;
  place.node->content.written().Read(position, 1, &byte);
  byte = static_cast<char>(byte ^ (1 << (bit % 8)));
  place.node->content.Corrupt(position, {&byte, 1});
  return absl::OkStatus();
}

absl::Status SimFileSystem::Corrupt(const std::string& path, uint64_t position,
                                    std::string_view bytes) {
  const Place place = disk_->names().Find(path);
  if (const int error = FileErrno(place); error != 0) return FileError("corrupt", path, error);
  const uint64_t size = place.node->content.written().size();
  if (position > size || bytes.size() > size - position) {
    return absl::OutOfRangeError(StrCat("corrupt \"", path, "\" at ", position, "+", bytes.size(),
                                        ": beyond its end at ", size));
  }
  place.node->content.Corrupt(position, bytes);
  return absl::OkStatus();
}

absl::Status SimFileSystem::TruncateDurable(const std::string& path, uint64_t size) {
  const Place place = disk_->names().Find(path);
  if (const int error = FileErrno(place); error != 0) return FileError("cut", path, error);
  if (size > place.node->content.written().size())
    return absl::OutOfRangeError(StrCat("cut \"", path, "\" to ", size, ": it is shorter"));
  disk_->Resizing(*place.node, [&] { place.node->content.Cut(size); });
  return absl::OkStatus();
}

uint64_t SimFileSystem::ContentHash() const {
  uint64_t hash = 0;
  disk_->names().Visit([&](const std::string& path, SimNode& node) {
    hash = MixHash(hash, HashText(path));
    hash = MixHash(hash, node.is_directory ? 1 : node.content.written().Hash());
  });
  return hash;
}

}  // namespace varve
