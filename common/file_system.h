// FileSystem and File: the seam to disks. All storage goes through it; nothing else opens a file of
// a data directory.
//
// Calls block and run on whatever executor calls them; storage calls them only on the executors
// meant for I/O. Paths are absolute or relative to the process, '/' separated.
//
// Durability, as POSIX file systems give it and as the simulated ones enforce it:
//  - written bytes survive a crash of the process at once, a power loss only after SyncData or Sync
//  of
//    that file returned OK (bytes written later, or truncated since, are not covered);
//  - a created, renamed or removed name survives a power loss only after SyncDirectory of its
//    directory returned OK;
//  - after a failed sync the state of the unsynced bytes is unknown, also to later syncs: the
//  failure
//    is final for the directory (storage latches it; it never retries a sync).
#ifndef VARVE_COMMON_FILE_SYSTEM_H_
#define VARVE_COMMON_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace varve {

// An open file. Positional calls are thread-safe; Truncate and Allocate must not overlap with
// writes.
class File {
 public:
  virtual ~File() = default;  // closes; unsynced bytes stay with the operating system
  // Writes all pieces one after another from `position` on, or fails (then any part may be
  // written).
  virtual absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) = 0;
  absl::Status WriteAt(uint64_t position, std::string_view bytes) {
    return WriteAt(position, std::span<const std::string_view>(&bytes, 1));
  }
  // Reads up to `length` bytes to `out`; fewer only at the end of the file. Returns the count.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) = 0;
  // Data and what is needed to read it back (fdatasync).
  virtual absl::Status SyncData() = 0;
  // Starts writing [position, position+length) back without waiting for the disk; no durability.
  // An error is reported here, or by the next sync, and counts like that of a failed sync.
  virtual absl::Status StartWriteBack(uint64_t position, uint64_t length) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  // Reserves room for [0, size) and extends the file to it; new bytes read as zero. NO_SPACE leaves
  // the file as it was. `zero_fill` writes the zeros, so that later writes change no metadata.
  virtual absl::Status Allocate(uint64_t size, bool zero_fill) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; must not exist
};

struct DirectoryEntry {
  std::string name;  // without the directory
  bool is_directory = false;
  uint64_t size = 0;  // bytes; 0 for directories
};

struct SpaceInfo {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;  // for us, not for root
};

// Holds an advisory lock until destroyed; the lock also ends with the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe. Errors: reasons NO_SPACE (disk full or quota), DISK_FAILED (I/O error) and
// DIRECTORY_IN_USE (lock held elsewhere); otherwise codes without a reason: NotFound,
// AlreadyExists, PermissionDenied and what else fits the errno. The text names call, path and
// errno.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual absl::Status CreateDirectory(const std::string& path) = 0;  // one level; OK if it exists
  // Sorted by name, so that callers are deterministic.
  virtual absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) = 0;
  virtual absl::StatusOr<DirectoryEntry> Stat(const std::string& path) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual absl::Status RemoveFile(const std::string& path) = 0;
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;  // must be empty
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // Creates the file when missing. Unavailable when another process, or this one, holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  virtual absl::StatusOr<SpaceInfo> Space(const std::string& path) = 0;
};

// The operating system's files: pread, pwritev, fdatasync, sync_file_range. Never destroyed.
FileSystem& RealFileSystem();

// The whole file, at most `limit` bytes (ResourceExhausted beyond).
absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, const std::string& path, size_t limit);
// Writes `path`.new, syncs it, renames it over `path`, syncs the directory: all or nothing.
absl::Status ReplaceFile(FileSystem& files, const std::string& path, std::string_view bytes);
// "a/b" from "a" and "b".
std::string JoinPath(std::string_view directory, std::string_view name);

}  // namespace varve

#endif  // VARVE_COMMON_FILE_SYSTEM_H_
