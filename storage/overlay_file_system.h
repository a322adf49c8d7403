// OverlayFileSystem: a file system over another that is never changed: what is written stays in
// memory. Recovery runs on it to say what it would do.
#ifndef VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_
#define VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/file_system.h"

namespace varve::storage {

// One thread. `below` must outlive it and every open file. Syncs do nothing. What is renamed is
// gone from its old name and not shown under the new one: recovery moves to the trash only. Memory:
// the blocks that were written to.
class OverlayFileSystem final : public FileSystem {
 public:
  explicit OverlayFileSystem(FileSystem& below) : below_(below) {}

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override;
  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override { return below_.Space(path); }

  // Shared by all that have a file open.
  struct Content {
    std::unique_ptr<File> below;  // null: made here
    uint64_t below_size = 0;      // bytes below that still show
    uint64_t size = 0;
    std::map<uint64_t, std::string> blocks;  // by number; what was written to, whole
  };

 private:
  [[nodiscard]] bool Hidden(const std::string& path) const;

  FileSystem& below_;
  std::map<std::string, std::shared_ptr<Content>> files_;
  std::set<std::string> directories_;  // made here
  std::set<std::string> hidden_;       // removed or renamed, with all below them
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_OVERLAY_FILE_SYSTEM_H_
