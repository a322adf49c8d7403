#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "common/error.h"
#include "common/file_error.h"
#include "common/file_system.h"

namespace varve {
namespace {

// Calls `call` again as long as a signal interrupts it.
template <class Call>
auto Retrying(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// Closes on destruction. close is not repeated on EINTR: Linux has released the number by then.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor OpenDescriptor(const std::string& path, int flags) {
  return Descriptor(Retrying([&] { return open(path.c_str(), flags | O_CLOEXEC, 0644); }));
}

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override {
    std::array<iovec, kVectors> vectors;
    size_t count = 0;
    for (const std::string_view piece : pieces) {
      if (piece.empty()) continue;
      vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
      if (count < vectors.size()) continue;
      VARVE_RETURN_IF_ERROR(WriteVectors({vectors.data(), count}, &position));
      count = 0;
    }
    return WriteVectors({vectors.data(), count}, &position);
  }

  absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override {
    size_t done = 0;
    while (done < length) {
      const ssize_t got = Retrying(
          [&] { return pread(fd_.get(), out + done, length - done, Place(position + done)); });
      if (got < 0) return Failed("read");
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  absl::Status SyncData() override {
    if (Retrying([&] { return fdatasync(fd_.get()); }) < 0) return Failed("sync");
    return absl::OkStatus();
  }

  absl::Status StartWriteBack(uint64_t position, uint64_t length) override {
    if (length == 0) return absl::OkStatus();  // to the system it would mean "to the end"
    const auto start = [&] {
      return sync_file_range(fd_.get(), Place(position), Place(length), SYNC_FILE_RANGE_WRITE);
    };
    if (Retrying(start) < 0) return Failed("start write-back");
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (Retrying([&] { return ftruncate(fd_.get(), Place(size)); }) < 0) return Failed("truncate");
    return absl::OkStatus();
  }

  absl::Status Allocate(uint64_t size, bool zero_fill) override {
    VARVE_ASSIGN_OR_RETURN(const uint64_t before, Size());
    bool written = false;
    absl::Status result;
    if (size > 0 && Retrying([&] { return fallocate(fd_.get(), 0, 0, Place(size)); }) < 0) {
      if (errno != EOPNOTSUPP) {
        result = Failed("allocate");
      } else {
        result = WriteZeros(before, size);  // the only way to reserve room here
        written = true;
      }
    }
    if (result.ok() && zero_fill && !written) result = WriteZeros(before, size);
    // A failed attempt may have grown the file by a part.
    if (!result.ok()) (void)Truncate(before);
    return result;
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat info;
    if (fstat(fd_.get(), &info) < 0) return Failed("stat");
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  static constexpr size_t kVectors = 64;
  static_assert(kVectors <= IOV_MAX);
  static constexpr std::array<char, 64 << 10> kZeros{};

  // Positions beyond off_t come out negative, which the system refuses with EINVAL.
  static off_t Place(uint64_t position) { return static_cast<off_t>(position); }

  [[nodiscard]] absl::Status Failed(std::string_view call) const {
    return FileError(call, path_, errno);
  }

  // Writes all of `vectors`, which it consumes, and moves `position` behind them.
  absl::Status WriteVectors(std::span<iovec> vectors, uint64_t* position) {
    while (!vectors.empty()) {
      const ssize_t done = Retrying([&] {
        return pwritev(fd_.get(), vectors.data(), static_cast<int>(vectors.size()),
                       Place(*position));
      });
      if (done < 0) return Failed("write");
      if (done == 0) return FileError("write", path_, EIO);  // it would never end
      *position += static_cast<uint64_t>(done);
      auto left = static_cast<size_t>(done);
      while (!vectors.empty() && left >= vectors.front().iov_len) {
        left -= vectors.front().iov_len;
        vectors = vectors.subspan(1);
      }
      if (left == 0) continue;
      vectors.front().iov_base = static_cast<char*>(vectors.front().iov_base) + left;
      vectors.front().iov_len -= left;
    }
    return absl::OkStatus();
  }

  absl::Status WriteZeros(uint64_t from, uint64_t to) {
    while (from < to) {
      std::array<iovec, kVectors> vectors;
      size_t count = 0;
      for (uint64_t at = from; at < to && count < kVectors; ++count) {
        const size_t length = std::min<uint64_t>(kZeros.size(), to - at);
        vectors[count] = {const_cast<char*>(kZeros.data()), length};
        at += length;
      }
      VARVE_RETURN_IF_ERROR(WriteVectors({vectors.data(), count}, &from));
    }
    return absl::OkStatus();
  }

  const Descriptor fd_;
  const std::string path_;
};

// An open file description lock: unlike a classic POSIX lock it also keeps this process out, and it
// survives the closing of other descriptors of the file.
class PosixLock final : public FileLock {
 public:
  explicit PosixLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;
};

DirectoryEntry MakeEntry(std::string name, const struct stat& info) {
  const bool is_directory = S_ISDIR(info.st_mode);
  return {std::move(name), is_directory, is_directory ? 0 : static_cast<uint64_t>(info.st_size)};
}

class PosixFileSystem final : public FileSystem {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const int flags = mode == OpenMode::kRead        ? O_RDONLY
                      : mode == OpenMode::kReadWrite ? O_RDWR
                                                     : O_RDWR | O_CREAT | O_EXCL;
    Descriptor fd = OpenDescriptor(path, flags);
    if (!fd.ok()) return FileError("open", path, errno);
    struct stat info;
    if (fstat(fd.get(), &info) < 0) return FileError("stat", path, errno);
    if (S_ISDIR(info.st_mode)) return FileError("open", path, EISDIR);
    return std::make_unique<PosixFile>(std::move(fd), path);
  }

  absl::Status CreateDirectory(const std::string& path) override {
    if (mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
    const int error = errno;
    struct stat info;
    if (error == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return absl::OkStatus();
    }
    return FileError("create directory", path, error);
  }

  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override {
    DIR* const directory = opendir(path.c_str());
    if (directory == nullptr) return FileError("list", path, errno);
    std::vector<DirectoryEntry> entries;
    int error = 0;
    while (true) {
      errno = 0;
      const dirent* const at = readdir(directory);
      if (at == nullptr) {
        error = errno;
        break;
      }
      std::string name = at->d_name;
      if (name == "." || name == "..") continue;
      struct stat info;
      if (fstatat(dirfd(directory), at->d_name, &info, 0) == 0) {
        entries.push_back(MakeEntry(std::move(name), info));
      } else if (errno != ENOENT) {  // ENOENT: removed since it was listed
        error = errno;
        break;
      }
    }
    closedir(directory);
    if (error != 0) return FileError("list", path, error);
    std::sort(entries.begin(), entries.end(),
              [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
    return entries;
  }

  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override {
    struct stat info;
    if (stat(path.c_str(), &info) < 0) return FileError("stat", path, errno);
    return MakeEntry(path.substr(path.rfind('/') + 1), info);
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
    return FileError("rename", StrCat(from, "\" to \"", to), errno);
  }

  absl::Status RemoveFile(const std::string& path) override {
    if (unlink(path.c_str()) == 0) return absl::OkStatus();
    return FileError("remove", path, errno);
  }

  absl::Status RemoveDirectory(const std::string& path) override {
    if (rmdir(path.c_str()) == 0) return absl::OkStatus();
    return FileError("remove directory", path, errno);
  }

  absl::Status SyncDirectory(const std::string& path) override {
    const Descriptor fd = OpenDescriptor(path, O_RDONLY | O_DIRECTORY);
    if (!fd.ok()) return FileError("open directory", path, errno);
    if (Retrying([&] { return fsync(fd.get()); }) < 0)
      return FileError("sync directory", path, errno);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    Descriptor fd = OpenDescriptor(path, O_RDWR | O_CREAT);
    if (!fd.ok()) return FileError("open lock", path, errno);
    struct flock whole = {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (fcntl(fd.get(), F_OFD_SETLK, &whole) == 0) {
      return std::make_unique<PosixLock>(std::move(fd));
    }
    if (errno != EAGAIN && errno != EACCES) return FileError("lock", path, errno);
    return MakeError(Reason::DIRECTORY_IN_USE, "lock \"", path,
                     "\": another process, or this one, holds it");
  }

  absl::StatusOr<SpaceInfo> Space(const std::string& path) override {
    struct statvfs info;
    if (Retrying([&] { return statvfs(path.c_str(), &info); }) < 0)
      return FileError("statvfs", path, errno);
    return SpaceInfo{uint64_t{info.f_blocks} * info.f_frsize,
                     uint64_t{info.f_bavail} * info.f_frsize};
  }
};

}  // namespace

FileSystem& RealFileSystem() {
  static PosixFileSystem* const files = new PosixFileSystem();  // outlives every thread
  return *files;
}

}  // namespace varve
