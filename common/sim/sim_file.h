// An open file of a SimFileSystem.
#ifndef VARVE_COMMON_SIM_SIM_FILE_H_
#define VARVE_COMMON_SIM_SIM_FILE_H_

#include <memory>
#include <string>

#include "common/file_system.h"
#include "common/sim/sim_disk.h"

namespace varve {

class SimFile final : public File {
 public:
  // `path` as SimPath gives it.
  SimFile(std::shared_ptr<SimDisk> disk, std::shared_ptr<SimNode> node, std::string path,
          bool writable)
      : disk_(std::move(disk)),
        node_(std::move(node)),
        path_(std::move(path)),
        writable_(writable),
        epoch_(disk_->epoch()) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override;
  absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override;
  absl::Status SyncData() override;
  absl::Status StartWriteBack(uint64_t position, uint64_t length) override;
  absl::Status Truncate(uint64_t size) override;
  absl::Status Allocate(uint64_t size, bool zero_fill) override;
  absl::StatusOr<uint64_t> Size() override;

 private:
  absl::Status Admit(std::string_view call, bool mutates);
  absl::Status Late(std::string_view call, absl::Status result);
  [[nodiscard]] absl::Status Failed(std::string_view call, int error) const;
  // Writes what there is room for.
  absl::Status Write(uint64_t position, std::string bytes);

  const std::shared_ptr<SimDisk> disk_;
  const std::shared_ptr<SimNode> node_;
  const std::string path_;
  const bool writable_;
  const uint64_t epoch_;
};

}  // namespace varve

#endif  // VARVE_COMMON_SIM_SIM_FILE_H_
