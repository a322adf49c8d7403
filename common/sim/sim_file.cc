#include "common/sim/sim_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/file_error.h"

namespace varve {
namespace {

using Kind = SimFault::Kind;

constexpr uint64_t kMaxPosition = INT64_MAX;  // of off_t

std::string Joined(std::span<const std::string_view> pieces) {
  size_t total = 0;
  for (const std::string_view piece : pieces) total += piece.size();
  std::string bytes;
  bytes.reserve(total);
  for (const std::string_view piece : pieces) bytes.append(piece);
  return bytes;
}

}  // namespace

absl::Status SimFile::Admit(std::string_view call, bool mutates) {
  if (epoch_ != disk_->epoch()) return Failed(call, EIO);  // the crash took this file with it
  VARVE_RETURN_IF_ERROR(disk_->Admit(call, path_, mutates));
  if (mutates && !writable_ && call != "sync") return Failed(call, EBADF);
  return absl::OkStatus();
}

absl::Status SimFile::Failed(std::string_view call, int error) const {
  return FileError(call, path_, error);
}

absl::Status SimFile::WriteAt(uint64_t position, std::span<const std::string_view> pieces) {
  VARVE_RETURN_IF_ERROR(Admit("write", true));
  std::string bytes = Joined(pieces);
  const SimFileOp op{"write", path_, position, bytes.size(), Crc32c(bytes)};
  return Late("write", disk_->Report(op, Write(position, std::move(bytes))));
}

// A crash may come meanwhile.
absl::Status SimFile::Late(std::string_view call, absl::Status result) {
  disk_->StallIfStruck(path_);
  return epoch_ == disk_->epoch() ? result : Failed(call, EIO);
}

absl::Status SimFile::Write(uint64_t position, std::string bytes) {
  if (bytes.empty()) return absl::OkStatus();
  if (position > kMaxPosition || bytes.size() > kMaxPosition - position)
    return Failed("write", EINVAL);
  if (disk_->Strikes(Kind::kWriteError, path_)) return Failed("write", EIO);
  int error = 0;
  if (disk_->Strikes(Kind::kShortWrite, path_)) {
    bytes.resize(disk_->random().Below(bytes.size()));
    error = EIO;
  }
  const uint64_t size = node_->content.written().size();
  const uint64_t end = position + bytes.size();
  if (end > size) {
    const uint64_t limit = size + disk_->Room(*node_, end - size);
    if (limit < end) {
      bytes.resize(limit > position ? limit - position : 0);
      error = ENOSPC;
    }
  }
  if (!bytes.empty())
    disk_->Resizing(*node_, [&] { node_->content.Write(position, std::move(bytes)); });
  return error == 0 ? absl::OkStatus() : Failed("write", error);
}

absl::StatusOr<size_t> SimFile::ReadAt(uint64_t position, size_t length, char* out) {
  VARVE_RETURN_IF_ERROR(Admit("read", false));
  SimFileOp op{"read", path_, position, length};
  if (position > kMaxPosition) return disk_->Report(op, Failed("read", EINVAL));
  if (disk_->Strikes(Kind::kReadError, path_)) return disk_->Report(op, Failed("read", EIO));
  const SimPages& bytes = node_->content.written();
  size_t got = 0;
  if (position < bytes.size()) {
    got = std::min<uint64_t>(length, bytes.size() - position);
    bytes.Read(position, got, out);
  }
  op.crc = Crc32c({out, got});
  VARVE_RETURN_IF_ERROR(disk_->Report(op, absl::OkStatus()));
  return got;
}

absl::Status SimFile::SyncData() {
  VARVE_RETURN_IF_ERROR(Admit("sync", true));
  absl::Status result;
  if (disk_->Strikes(Kind::kSyncError, path_)) {
    node_->content.FailSync(disk_->random());
    result = Failed("sync", EIO);
  } else {
    node_->content.Sync();
  }
  return Late("sync", disk_->Report({"sync", path_}, std::move(result)));
}

// Bytes on their way to the disk are as likely to be lost as others: only a failure changes
// anything.
absl::Status SimFile::StartWriteBack(uint64_t position, uint64_t length) {
  VARVE_RETURN_IF_ERROR(Admit("start write-back", false));
  absl::Status result;
  if (length > 0 && (position > kMaxPosition || length > kMaxPosition - position)) {
    result = Failed("start write-back", EINVAL);
  } else if (length > 0 && disk_->Strikes(Kind::kWriteBackError, path_)) {
    node_->content.FailSync(disk_->random());
    result = Failed("start write-back", EIO);
  }
  return disk_->Report({"start write-back", path_, position, length}, std::move(result));
}

absl::Status SimFile::Truncate(uint64_t size) {
  VARVE_RETURN_IF_ERROR(Admit("truncate", true));
  absl::Status result;
  const uint64_t before = node_->content.written().size();
  if (size > kMaxPosition) {
    result = Failed("truncate", EINVAL);
  } else if (size > before && disk_->Room(*node_, size - before) < size - before) {
    result = Failed("truncate", ENOSPC);
  } else if (size != before) {
    disk_->Resizing(*node_, [&] { node_->content.Truncate(size); });
  }
  return disk_->Report({"truncate", path_, size}, std::move(result));
}

absl::Status SimFile::Allocate(uint64_t size, bool zero_fill) {
  VARVE_RETURN_IF_ERROR(Admit("allocate", true));
  absl::Status result;
  const uint64_t before = node_->content.written().size();
  if (size > kMaxPosition) {
    result = Failed("allocate", EINVAL);
  } else if (size > before && disk_->Room(*node_, size - before) < size - before) {
    result = Failed("allocate", ENOSPC);
  } else if (size > before) {
    disk_->Resizing(*node_, [&] { node_->content.Extend(size, zero_fill); });
  }
  return disk_->Report({"allocate", path_, size, zero_fill ? 1U : 0U}, std::move(result));
}

absl::StatusOr<uint64_t> SimFile::Size() {
  VARVE_RETURN_IF_ERROR(Admit("size", false));
  return node_->content.written().size();
}

}  // namespace varve
