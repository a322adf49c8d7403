// An open file of a FaultyFileSystem.
#ifndef VARVE_COMMON_SIM_FAULTY_FILE_H_
#define VARVE_COMMON_SIM_FAULTY_FILE_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "common/file_error.h"
#include "common/sim/faulty_file_system.h"

namespace varve {

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFileSystem& files, std::unique_ptr<File> below, std::string path)
      : files_(files), below_(std::move(below)), path_(std::move(path)) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override;
  absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override;
  absl::Status SyncData() override;
  absl::Status StartWriteBack(uint64_t position, uint64_t length) override;
  absl::Status Truncate(uint64_t size) override;
  absl::Status Allocate(uint64_t size, bool zero_fill) override;
  absl::StatusOr<uint64_t> Size() override { return below_->Size(); }

 private:
  using Verdict = FaultyFileSystem::Verdict;
  absl::Status WriteStruck(const Verdict& verdict, uint64_t position, std::string bytes);
  absl::StatusOr<size_t> ReadStruck(const Verdict& verdict, uint64_t position, size_t length,
                                    char* out);
  absl::Status ReadElsewhere(const FileFault& fault, uint64_t position, size_t length, char* out);
  // Within the room that is left.
  absl::Status WriteWithin(uint64_t position, std::span<const std::string_view> pieces);
  // `change` may make the file longer, up to `size`, or shorter.
  template <class Change>
  absl::Status Resize(std::string_view call, uint64_t size, Change change);

  FaultyFileSystem& files_;
  const std::unique_ptr<File> below_;
  const std::string path_;
};

template <class Call>
auto FaultyFileSystem::Run(FileOp op, const std::string& path, Call call) -> decltype(call()) {
  using Result = decltype(call());
  const Verdict verdict = Judge(op, path);
  const auto run = [&]() -> Result {
    if (!verdict.fault) return call();
    if (verdict.fault->kind == FileFault::Kind::kFail)
      return FileError(FileOpName(op), path, verdict.fault->error);
    if constexpr (std::is_same_v<Result, absl::Status>) return absl::OkStatus();  // forgotten
    return call();
  };
  Result result = run();
  StallIf(verdict.stall, op, path);
  return result;
}

}  // namespace varve

#endif  // VARVE_COMMON_SIM_FAULTY_FILE_H_
