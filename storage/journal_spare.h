// JournalSpare: makes or fills a journal file ahead of its use, away from the commits.
#ifndef VARVE_STORAGE_JOURNAL_SPARE_H_
#define VARVE_STORAGE_JOURNAL_SPARE_H_

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/executor.h"
#include "common/file_system.h"

namespace varve::storage {

// Zero-fills a file, durably, in slices: each is a task of its own, so that the executor's
// other work (and the disk's) gets its turn in between. A commit that had to fill the file itself
// would stand still for the time of 64 MiB.
//
// No checkpoint lists the file yet: a crash leaves it as a spare of any size for the next process.
class JournalSpare : public std::enable_shared_from_this<JournalSpare> {
 public:
  // Makes `name` in `directory`, or fills it where it exists. `owner`: once it is gone, so is the
  // interest in the file. `done` runs on `executor`, at most once, and only while the owner lives:
  // OK when file and directory are durable. On an error a file that was made is removed.
  using Done = absl::AnyInvocable<void(absl::Status)>;
  static void Make(FileSystem& files, const std::string& directory, const std::string& name,
                   bool exists, uint64_t bytes, Executor& executor, std::weak_ptr<const void> owner,
                   Done done);

 private:
  JournalSpare(FileSystem& files, const std::string& directory, const std::string& name,
               bool exists, uint64_t bytes, Executor& executor, std::weak_ptr<const void> owner,
               Done done);
  void PostSlice();
  void Slice();
  absl::Status FillSlice();
  void Finish(absl::Status status);

  FileSystem& files_;
  const std::string directory_, path_;
  const bool exists_;
  const uint64_t bytes_;
  Executor& executor_;
  const std::weak_ptr<const void> owner_;
  Done done_;
  std::unique_ptr<File> file_;
  uint64_t filled_ = 0;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_JOURNAL_SPARE_H_
