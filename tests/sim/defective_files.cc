#include "tests/sim/defective_files.h"

#include <utility>

#include "common/error.h"
#include "common/random.h"

namespace varve::sim {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kMisdirectOneIn = 100;

struct Plan {
  Defect defect;
  std::unique_ptr<Random> random;
};

class DefectiveFile final : public File {
 public:
  DefectiveFile(std::unique_ptr<File> file, Plan& plan) : file_(std::move(file)), plan_(plan) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override {
    const bool astray =
        plan_.defect == Defect::kMisdirectedWrite && plan_.random->OneIn(kMisdirectOneIn);
    return file_->WriteAt(astray ? position + kBlock : position, pieces);
  }
  absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override {
    return file_->ReadAt(position, length, out);
  }
  absl::Status SyncData() override {
    return plan_.defect == Defect::kNoDataSync ? absl::OkStatus() : file_->SyncData();
  }
  absl::Status StartWriteBack(uint64_t position, uint64_t length) override {
    return file_->StartWriteBack(position, length);
  }
  absl::Status Truncate(uint64_t size) override { return file_->Truncate(size); }
  absl::Status Allocate(uint64_t size, bool zero_fill) override {
    return file_->Allocate(size, zero_fill);
  }
  absl::StatusOr<uint64_t> Size() override { return file_->Size(); }

 private:
  const std::unique_ptr<File> file_;
  Plan& plan_;
};

class DefectiveFileSystem final : public FileSystem {
 public:
  DefectiveFileSystem(FileSystem& disk, Defect defect, uint64_t seed)
      : disk_(disk), plan_{defect, SeededRandom(seed ^ 0xdefec7)} {}

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    VARVE_ASSIGN_OR_RETURN(auto file, disk_.Open(path, mode));
    return std::make_unique<DefectiveFile>(std::move(file), plan_);
  }
  absl::Status CreateDirectory(const std::string& path) override {
    return disk_.CreateDirectory(path);
  }
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override {
    return disk_.List(path);
  }
  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override { return disk_.Stat(path); }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return disk_.Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override { return disk_.RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override {
    return disk_.RemoveDirectory(path);
  }
  absl::Status SyncDirectory(const std::string& path) override {
    return plan_.defect == Defect::kNoDirectorySync ? absl::OkStatus() : disk_.SyncDirectory(path);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return disk_.Lock(path);
  }
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override { return disk_.Space(path); }

 private:
  FileSystem& disk_;
  Plan plan_;
};

}  // namespace

std::unique_ptr<FileSystem> PlantDefect(FileSystem& disk, Defect defect, uint64_t seed) {
  return std::make_unique<DefectiveFileSystem>(disk, defect, seed);
}

}  // namespace varve::sim
