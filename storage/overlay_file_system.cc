#include "storage/overlay_file_system.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve::storage {
namespace {

constexpr uint64_t kBlock = 64 << 10;

class OverlayFile final : public File {
 public:
  explicit OverlayFile(std::shared_ptr<OverlayFileSystem::Content> content)
      : content_(std::move(content)) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override {
    for (std::string_view piece : pieces) {
      while (!piece.empty()) {
        VARVE_ASSIGN_OR_RETURN(std::string * block, BlockAt(position / kBlock));
        const uint64_t at = position % kBlock;
        const size_t count = std::min<uint64_t>(piece.size(), kBlock - at);
        std::copy_n(piece.data(), count, block->data() + at);
        piece.remove_prefix(count);
        position += count;
        content_->size = std::max(content_->size, position);
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override {
    if (position >= content_->size) return 0;
    length = std::min<uint64_t>(length, content_->size - position);
    for (size_t done = 0; done < length;) {
      const uint64_t at = (position + done) % kBlock;
      const size_t count = std::min<uint64_t>(length - done, kBlock - at);
      const auto written = content_->blocks.find((position + done) / kBlock);
      if (written != content_->blocks.end()) {
        std::copy_n(written->second.data() + at, count, out + done);
      } else {
        VARVE_RETURN_IF_ERROR(ReadBelow(position + done, count, out + done));
      }
      done += count;
    }
    return length;
  }
  absl::Status SyncData() override { return absl::OkStatus(); }
  absl::Status StartWriteBack(uint64_t /*position*/, uint64_t /*length*/) override {
    return absl::OkStatus();
  }
  absl::Status Truncate(uint64_t size) override {
    if (size < content_->size) {
      if (size % kBlock != 0) {
        VARVE_ASSIGN_OR_RETURN(std::string * block, BlockAt(size / kBlock));
        std::fill(block->begin() + static_cast<ptrdiff_t>(size % kBlock), block->end(), '\0');
      }
      content_->blocks.erase(content_->blocks.lower_bound((size + kBlock - 1) / kBlock),
                             content_->blocks.end());
      content_->below_size = std::min(content_->below_size, size);
    }
    content_->size = size;
    return absl::OkStatus();
  }
  absl::Status Allocate(uint64_t size, bool /*zero_fill*/) override {
    content_->size = std::max(content_->size, size);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() override { return content_->size; }

 private:
  // Zeros where the file below has nothing.
  absl::Status ReadBelow(uint64_t position, size_t length, char* out) {
    std::fill_n(out, length, '\0');
    if (content_->below == nullptr || position >= content_->below_size) return absl::OkStatus();
    const size_t wanted = std::min<uint64_t>(length, content_->below_size - position);
    return content_->below->ReadAt(position, wanted, out).status();
  }
  absl::StatusOr<std::string*> BlockAt(uint64_t number) {
    const auto [at, made] = content_->blocks.try_emplace(number);
    if (made) {
      at->second.resize(kBlock);
      VARVE_RETURN_IF_ERROR(ReadBelow(number * kBlock, kBlock, at->second.data()));
    }
    return &at->second;
  }

  const std::shared_ptr<OverlayFileSystem::Content> content_;
};

class NoLock final : public FileLock {};

absl::Status NothingAt(const std::string& path) {
  return absl::NotFoundError(ToAbsl(StrCat("\"", path, "\": no such file or directory")));
}

std::string_view ParentOf(std::string_view path) { return path.substr(0, path.rfind('/')); }

}  // namespace

bool OverlayFileSystem::Hidden(const std::string& path) const {
  return std::any_of(hidden_.begin(), hidden_.end(), [&](const std::string& gone) {
    return path == gone || path.starts_with(gone + "/");
  });
}

absl::StatusOr<std::unique_ptr<File>> OverlayFileSystem::Open(const std::string& path,
                                                              OpenMode mode) {
  const auto known = files_.find(path);
  if (mode == OpenMode::kCreate) {
    if (Stat(path).ok()) return absl::AlreadyExistsError(ToAbsl(StrCat("\"", path, "\" exists")));
    auto& content = files_[path];
    content = std::make_shared<Content>();
    return std::make_unique<OverlayFile>(content);
  }
  if (known != files_.end()) return std::make_unique<OverlayFile>(known->second);
  if (Hidden(path)) return NothingAt(path);
  auto content = std::make_shared<Content>();
  VARVE_ASSIGN_OR_RETURN(content->below, below_.Open(path, OpenMode::kRead));
  VARVE_ASSIGN_OR_RETURN(content->below_size, content->below->Size());
  content->size = content->below_size;
  // What is only read need not be kept: many files may be looked at.
  if (mode == OpenMode::kReadWrite) files_.emplace(path, content);
  return std::make_unique<OverlayFile>(std::move(content));
}

absl::Status OverlayFileSystem::CreateDirectory(const std::string& path) {
  if (!Stat(path).ok()) directories_.insert(path);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DirectoryEntry>> OverlayFileSystem::List(const std::string& path) {
  std::map<std::string, DirectoryEntry> entries;
  if (!Hidden(path)) {
    auto below = below_.List(path);
    if (!below.ok() && !(absl::IsNotFound(below.status()) && directories_.contains(path)))
      return below.status();
    for (DirectoryEntry& entry : below.value_or(std::vector<DirectoryEntry>()))
      if (!Hidden(JoinPath(path, entry.name))) entries[entry.name] = std::move(entry);
  } else if (!directories_.contains(path)) {
    return NothingAt(path);
  }
  for (const auto& [name, content] : files_) {
    if (ParentOf(name) != path) continue;
    const std::string last = name.substr(path.size() + 1);
    entries[last] = {last, false, content->size};
  }
  for (const std::string& made : directories_) {
    if (ParentOf(made) != path) continue;
    const std::string last = made.substr(path.size() + 1);
    entries[last] = {last, true, 0};
  }
  std::vector<DirectoryEntry> out;
  out.reserve(entries.size());
  for (auto& [name, entry] : entries) out.push_back(std::move(entry));
  return out;
}

absl::StatusOr<DirectoryEntry> OverlayFileSystem::Stat(const std::string& path) {
  const std::string name = path.substr(path.rfind('/') + 1);
  if (const auto at = files_.find(path); at != files_.end())
    return DirectoryEntry{name, false, at->second->size};
  if (directories_.contains(path)) return DirectoryEntry{name, true, 0};
  if (Hidden(path)) return NothingAt(path);
  return below_.Stat(path);
}

absl::Status OverlayFileSystem::Rename(const std::string& from, const std::string& /*to*/) {
  VARVE_RETURN_IF_ERROR(Stat(from).status());
  const auto inside = [&](const std::string& path) {
    return path == from || path.starts_with(from + "/");
  };
  std::erase_if(files_, [&](const auto& file) { return inside(file.first); });
  std::erase_if(directories_, inside);
  hidden_.insert(from);
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::RemoveFile(const std::string& path) { return Rename(path, ""); }

absl::Status OverlayFileSystem::RemoveDirectory(const std::string& path) {
  return Rename(path, "");
}

absl::Status OverlayFileSystem::SyncDirectory(const std::string& path) {
  return Stat(path).status();
}

absl::StatusOr<std::unique_ptr<FileLock>> OverlayFileSystem::Lock(const std::string& /*path*/) {
  return std::make_unique<NoLock>();
}

}  // namespace varve::storage
