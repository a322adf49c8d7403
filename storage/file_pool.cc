#include "storage/file_pool.h"

#include <utility>

#include "common/error.h"

namespace varve::storage {

absl::StatusOr<std::shared_ptr<File>> FilePool::Get(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (const auto at = slots_.find(path); at != slots_.end()) {
    ages_.splice(ages_.end(), ages_, at->second.age);
    return at->second.file;
  }
  VARVE_ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(path, OpenMode::kReadWrite));
  std::shared_ptr<File> shared = std::move(file);
  PutLocked(path, shared);
  return shared;
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
