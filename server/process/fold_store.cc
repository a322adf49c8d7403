#include "server/process/fold_store.h"

#include <utility>

#include "common/error.h"
#include "server/log/logging.h"

namespace varve::server {
namespace {

absl::Status RemoveTree(FileSystem& files, const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.List(path));
  for (const DirectoryEntry& entry : entries) {
    const std::string child = JoinPath(path, entry.name);
    VARVE_RETURN_IF_ERROR(entry.is_directory ? RemoveTree(files, child) : files.RemoveFile(child));
  }
  return files.RemoveDirectory(path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<storage::StateStore>> OpenFoldStore(FileSystem& files,
                                                                   const std::string& data_dir) {
  const std::string path = JoinPath(data_dir, "fold");
  absl::StatusOr<std::unique_ptr<storage::StateStore>> store = storage::OpenRocksDbStateStore(path);
  if (store.ok()) return store;
  // Whatever is wrong with it, nothing in it is worth keeping.
  Log(LogLevel::kWarn, "storage", "the fold cannot be opened and is rebuilt from the logs",
      {{"path", path}, {"why", MessageOf(store.status())}});
  if (absl::Status removed = RemoveTree(files, path); !removed.ok())
    return AddContext(removed,
                      StrCat("removing the unusable fold (", MessageOf(store.status()), ")"));
  return storage::OpenRocksDbStateStore(path);
}

}  // namespace varve::server
