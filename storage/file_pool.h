// FilePool: segment files, opened on demand and kept open while there is room.
#ifndef VARVE_STORAGE_FILE_POOL_H_
#define VARVE_STORAGE_FILE_POOL_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"

namespace varve::storage {

// Thread-safe. A file stays open as long as anybody holds it: whoever has written to one holds it
// until it is synced, because an error of write-back is reported to open handles only.
class FilePool {
 public:
  FilePool(FileSystem& files, size_t capacity) : files_(files), capacity_(capacity) {}
  // Waits for the disk when it opens the file, and lets others through meanwhile.
  absl::StatusOr<std::shared_ptr<File>> Get(const std::string& path);
  // A file that was just created.
  void Put(const std::string& path, std::shared_ptr<File> file);
  // The name is gone or will be: the next Get opens anew.
  void Forget(const std::string& path);
  [[nodiscard]] size_t size() const;

 private:
  struct Slot {
    std::shared_ptr<File> file;
    std::list<std::string>::iterator age;
  };
  std::shared_ptr<File> FindLocked(const std::string& path);  // null when it is not open
  void PutLocked(const std::string& path, std::shared_ptr<File> file);

  FileSystem& files_;
  const size_t capacity_;
  mutable std::mutex mutex_;  // guards all below; never held while a file is opened
  std::map<std::string, Slot> slots_;
  std::list<std::string> ages_;  // least recently used first
  uint64_t forgotten_ = 0;       // calls of Forget
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_FILE_POOL_H_
