#include "storage/journal_spare.h"

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "storage/format/file_header.h"

namespace varve::storage {
namespace {

// Small enough that a commit's sync that meets it on the disk waits about as long as for another
// commit.
constexpr uint64_t kSliceBytes = 1ull << 20;

}  // namespace

void JournalSpare::Make(FileSystem& files, const std::string& directory, const std::string& name,
                        bool exists, uint64_t bytes, Executor& executor,
                        std::weak_ptr<const void> owner, Done done) {
  std::shared_ptr<JournalSpare>(new JournalSpare(files, directory, name, exists, bytes, executor,
                                                 std::move(owner), std::move(done)))
      ->PostSlice();
}

JournalSpare::JournalSpare(FileSystem& files, const std::string& directory, const std::string& name,
                           bool exists, uint64_t bytes, Executor& executor,
                           std::weak_ptr<const void> owner, Done done)
    : files_(files),
      directory_(directory),
      path_(JoinPath(directory, name)),
      exists_(exists),
      bytes_(bytes),
      executor_(executor),
      owner_(std::move(owner)),
      done_(std::move(done)) {}

void JournalSpare::PostSlice() {
  executor_.Post([self = shared_from_this()] { self->Slice(); });
}

void JournalSpare::Slice() {
  if (owner_.expired()) return;
  if (const absl::Status status = FillSlice(); !status.ok()) return Finish(status);
  if (filled_ < bytes_) return PostSlice();
  file_.reset();
  Finish(files_.SyncDirectory(directory_));
}

absl::Status JournalSpare::FillSlice() {
  if (file_ == nullptr) {
    VARVE_ASSIGN_OR_RETURN(file_,
                           files_.Open(path_, exists_ ? OpenMode::kReadWrite : OpenMode::kCreate));
  }
  // The head of a file that exists stays: it says whose it is.
  if (exists_) filled_ = std::max(filled_, kFileHeaderBytes);
  const uint64_t end = std::min(bytes_, filled_ + kSliceBytes);
  if (exists_) {
    VARVE_RETURN_IF_ERROR(file_->WriteAt(filled_, std::string(end - filled_, '\0')));
  } else {
    VARVE_RETURN_IF_ERROR(file_->Allocate(end, /*zero_fill=*/true));
  }
  VARVE_RETURN_IF_ERROR(file_->SyncData());
  filled_ = end;
  return absl::OkStatus();
}

void JournalSpare::Finish(absl::Status status) {
  if (!status.ok()) {
    file_.reset();
    // What stays is harmless: no checkpoint lists it.
    if (!exists_) files_.RemoveFile(path_).IgnoreError();
  }
  if (const auto owner = owner_.lock()) done_(std::move(status));
}

}  // namespace varve::storage
