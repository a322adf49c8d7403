#include "storage/file_pool.h"

#include <utility>

#include "common/error.h"

namespace varve::storage {

absl::StatusOr<std::shared_ptr<File>> FilePool::Get(const std::string& path) {
  uint64_t forgotten = 0;
  {
    std::lock_guard lock(mutex_);
    if (auto file = FindLocked(path); file != nullptr) return file;
    forgotten = forgotten_;
  }
  // Without the lock: who wants another file does not wait for this disk.
  VARVE_ASSIGN_OR_RETURN(std::unique_ptr<File> opened, files_.Open(path, OpenMode::kReadWrite));
  std::lock_guard lock(mutex_);
  if (auto file = FindLocked(path); file != nullptr) return file;  // somebody was quicker
  std::shared_ptr<File> shared = std::move(opened);
  // It may be one that was forgotten meanwhile, and must not be kept.
  if (forgotten == forgotten_) PutLocked(path, shared);
  return shared;
}

std::shared_ptr<File> FilePool::FindLocked(const std::string& path) {
  const auto at = slots_.find(path);
  if (at == slots_.end()) return nullptr;
  ages_.splice(ages_.end(), ages_, at->second.age);
  return at->second.file;
}

void FilePool::Put(const std::string& path, std::shared_ptr<File> file) {
  std::lock_guard lock(mutex_);
  PutLocked(path, std::move(file));
}

void FilePool::PutLocked(const std::string& path, std::shared_ptr<File> file) {
  if (const auto at = slots_.find(path); at != slots_.end()) ages_.erase(at->second.age);
  slots_[path] = {std::move(file), ages_.insert(ages_.end(), path)};
  while (slots_.size() > capacity_) {
    slots_.erase(ages_.front());
    ages_.pop_front();
  }
}

void FilePool::Forget(const std::string& path) {
  std::lock_guard lock(mutex_);
  ++forgotten_;
  const auto at = slots_.find(path);
  if (at == slots_.end()) return;
  ages_.erase(at->second.age);
  slots_.erase(at);
}

size_t FilePool::size() const {
  std::lock_guard lock(mutex_);
  return slots_.size();
}

}  // namespace varve::storage
