// OverlayFileSystem: a file system over another that is never changed: what is written, renamed and
// removed stays in memory, and shows as it would on a disk. Recovery runs on it to say what it
// would do.
#ifndef VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_
#define VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"

namespace varve::storage {

struct OverlayNode;

// One thread. `below` must outlive it and every open file, and must not change meanwhile. Syncs do
// nothing; locks hold against each other, not against anybody below. Memory: the blocks that were
// written to, and a few words for every name that was asked for; a file below stays open while
// somebody has it open here, and once it was written to.
class OverlayFileSystem final : public FileSystem {
 public:
  explicit OverlayFileSystem(FileSystem& below);
  ~OverlayFileSystem() override;

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override;
  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  // As below: what is written here takes no room there.
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override;

 private:
  // Where a name is, or would be.
  struct Place {
    std::shared_ptr<OverlayNode> parent;  // null: of a root
    std::string name;
    std::shared_ptr<OverlayNode> node;  // null: there is none
  };
  // An error when a directory on the way is missing or none.
  absl::StatusOr<Place> Find(std::string_view call, const std::string& path);
  // The one that must be there.
  absl::StatusOr<Place> FindNode(std::string_view call, const std::string& path, bool directory);
  absl::StatusOr<std::shared_ptr<OverlayNode>> Child(OverlayNode& directory,
                                                     const std::string& name);
  absl::StatusOr<bool> Empty(const OverlayNode& directory);

  FileSystem& below_;
  const std::shared_ptr<OverlayNode> absolute_;  // "/"
  const std::shared_ptr<OverlayNode> relative_;  // where the process is
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_
