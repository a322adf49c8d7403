// LyingFileSystem: a disk that reports syncs it never did. The simulator must find it out.
#ifndef VARVE_TESTS_SIM_LYING_FILE_SYSTEM_H_
#define VARVE_TESTS_SIM_LYING_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <utility>

#include "common/file_system.h"

namespace varve::sim {

enum class Lie { kNone, kDataSync, kDirectorySync };

// Passes everything on but the syncs of the kind that it lies about.
class LyingFileSystem final : public FileSystem {
 public:
  LyingFileSystem(FileSystem& disk, Lie lie) : disk_(disk), lie_(lie) {}
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = disk_.Open(path, mode);
    if (!file.ok() || lie_ != Lie::kDataSync) return file;
    return std::unique_ptr<File>(std::make_unique<LyingFile>(std::move(*file)));
  }
  absl::Status CreateDirectory(const std::string& p) override { return disk_.CreateDirectory(p); }
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& p) override {
    return disk_.List(p);
  }
  absl::StatusOr<DirectoryEntry> Stat(const std::string& p) override { return disk_.Stat(p); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return disk_.Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& p) override { return disk_.RemoveFile(p); }
  absl::Status RemoveDirectory(const std::string& p) override { return disk_.RemoveDirectory(p); }
  absl::Status SyncDirectory(const std::string& p) override {
    return lie_ == Lie::kDirectorySync ? absl::OkStatus() : disk_.SyncDirectory(p);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& p) override {
    return disk_.Lock(p);
  }
  absl::StatusOr<SpaceInfo> Space(const std::string& p) override { return disk_.Space(p); }

 private:
  class LyingFile final : public File {
   public:
    explicit LyingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
    absl::Status WriteAt(uint64_t at, std::span<const std::string_view> pieces) override {
      return file_->WriteAt(at, pieces);
    }
    absl::StatusOr<size_t> ReadAt(uint64_t at, size_t length, char* out) override {
      return file_->ReadAt(at, length, out);
    }
    absl::Status SyncData() override { return absl::OkStatus(); }
    absl::Status StartWriteBack(uint64_t at, uint64_t length) override {
      return file_->StartWriteBack(at, length);
    }
    absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
    absl::Status Allocate(uint64_t size, bool zero) override { return file_->Allocate(size, zero); }
    absl::StatusOr<uint64_t> Size() override { return file_->Size(); }

   private:
    const std::unique_ptr<File> file_;
  };

  FileSystem& disk_;
  const Lie lie_;
};

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_LYING_FILE_SYSTEM_H_
