#include "storage/overlay_file_system.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "common/error.h"
#include "common/file_error.h"

namespace varve::storage {
namespace {

constexpr uint64_t kBlock = 64 << 10;
constexpr uint64_t kMaxFileBytes = INT64_MAX;  // as of the system's files

// The bytes of a file, shared by all that have it open.
struct Content {
  std::unique_ptr<File> below;  // null: made here
  uint64_t below_size = 0;      // bytes below that still show
  uint64_t size = 0;
  std::map<uint64_t, std::string> blocks;  // by number; what was written to, whole
};

}  // namespace

// A file or a directory, wherever it is by now.
struct OverlayNode {
  bool directory = false;
  std::string origin;  // its path below; empty: made here
  bool locked = false;
  // Of a directory: what was asked for so far, null what is gone. The rest is as below.
  std::map<std::string, std::shared_ptr<OverlayNode>> children;
  // Of a file. It needs to be kept only when it differs from what is below: many may be looked at.
  uint64_t below_size = 0;
  std::shared_ptr<Content> changed;
  std::weak_ptr<Content> opened;

  [[nodiscard]] uint64_t size() const {
    const auto content = opened.lock();
    return content == nullptr ? below_size : content->size;
  }
};

namespace {

class OverlayFile final : public File {
 public:
  OverlayFile(std::string path, std::shared_ptr<OverlayNode> node, std::shared_ptr<Content> content,
              bool writes)
      : path_(std::move(path)),
        node_(std::move(node)),
        content_(std::move(content)),
        writes_(writes) {}

  absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override {
    VARVE_RETURN_IF_ERROR(Change("pwritev"));
    for (std::string_view piece : pieces) {
      if (!piece.empty() && (position > kMaxFileBytes || piece.size() > kMaxFileBytes - position))
        return FileError("pwritev", path_, EINVAL);
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
    if (position > kMaxFileBytes) return FileError("pread", path_, EINVAL);
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
    VARVE_RETURN_IF_ERROR(Change("ftruncate"));
    if (size > kMaxFileBytes) return FileError("ftruncate", path_, EINVAL);
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
    VARVE_RETURN_IF_ERROR(Change("fallocate"));
    if (size > kMaxFileBytes) return FileError("fallocate", path_, EINVAL);
    content_->size = std::max(content_->size, size);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size() override { return content_->size; }

 private:
  // From here on it differs from what is below.
  absl::Status Change(std::string_view call) {
    if (!writes_) return FileError(call, path_, EBADF);
    node_->changed = content_;
    return absl::OkStatus();
  }
  // Zeros where the file below has nothing.
  absl::Status ReadBelow(uint64_t position, size_t length, char* out) {
    std::fill_n(out, length, '\0');
    if (content_->below == nullptr || position >= content_->below_size) return absl::OkStatus();
    const size_t wanted = std::min<uint64_t>(length, content_->below_size - position);
    return content_->below->ReadAt(position, wanted, out).status();
  }
  absl::StatusOr<std::string*> BlockAt(uint64_t number) {
    const auto known = content_->blocks.find(number);
    if (known != content_->blocks.end()) return &known->second;
    std::string block(kBlock, '\0');
    VARVE_RETURN_IF_ERROR(ReadBelow(number * kBlock, kBlock, block.data()));
    return &content_->blocks.emplace(number, std::move(block)).first->second;
  }

  const std::string path_;
  const std::shared_ptr<OverlayNode> node_;
  const std::shared_ptr<Content> content_;
  const bool writes_;
};

class OverlayLock final : public FileLock {
 public:
  explicit OverlayLock(std::shared_ptr<OverlayNode> node) : node_(std::move(node)) {
    node_->locked = true;
  }
  ~OverlayLock() override { node_->locked = false; }

 private:
  const std::shared_ptr<OverlayNode> node_;
};

std::shared_ptr<OverlayNode> RootAt(std::string origin) {
  auto node = std::make_shared<OverlayNode>();
  node->directory = true;
  node->origin = std::move(origin);
  return node;
}

// Of nothing below.
std::shared_ptr<OverlayNode> NewNode(bool directory) {
  auto node = std::make_shared<OverlayNode>();
  node->directory = directory;
  if (!directory) {
    node->changed = std::make_shared<Content>();
    node->opened = node->changed;
  }
  return node;
}

DirectoryEntry EntryOf(const std::string& name, const OverlayNode& node) {
  return {name, node.directory, node.directory ? 0 : node.size()};
}

}  // namespace

OverlayFileSystem::OverlayFileSystem(FileSystem& below)
    : below_(below), absolute_(RootAt("/")), relative_(RootAt(".")) {}

OverlayFileSystem::~OverlayFileSystem() = default;

absl::StatusOr<std::shared_ptr<OverlayNode>> OverlayFileSystem::Child(OverlayNode& directory,
                                                                      const std::string& name) {
  const auto known = directory.children.find(name);
  if (known != directory.children.end()) return known->second;
  if (directory.origin.empty()) return nullptr;
  const std::string path = directory.origin == "." ? name : JoinPath(directory.origin, name);
  const auto below = below_.Stat(path);
  if (absl::IsNotFound(below.status())) return nullptr;
  VARVE_RETURN_IF_ERROR(below.status());
  auto node = std::make_shared<OverlayNode>();
  node->directory = below->is_directory;
  node->origin = path;
  node->below_size = below->size;
  directory.children.emplace(name, node);
  return node;
}

absl::StatusOr<OverlayFileSystem::Place> OverlayFileSystem::Find(std::string_view call,
                                                                 const std::string& path) {
  if (path.empty()) return FileError(call, path, ENOENT);
  Place place;
  place.node = path.front() == '/' ? absolute_ : relative_;
  for (std::string_view rest = path; !rest.empty();) {
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string name(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (name.empty()) continue;
    if (place.node == nullptr) return FileError(call, path, ENOENT);
    if (!place.node->directory) return FileError(call, path, ENOTDIR);
    place.parent = std::move(place.node);
    place.name = name;
    VARVE_ASSIGN_OR_RETURN(place.node, Child(*place.parent, name));
  }
  return place;
}

absl::StatusOr<OverlayFileSystem::Place> OverlayFileSystem::FindNode(std::string_view call,
                                                                     const std::string& path,
                                                                     bool directory) {
  VARVE_ASSIGN_OR_RETURN(Place place, Find(call, path));
  if (place.node == nullptr) return FileError(call, path, ENOENT);
  if (place.node->directory != directory)
    return FileError(call, path, directory ? ENOTDIR : EISDIR);
  return place;
}

absl::StatusOr<std::unique_ptr<File>> OverlayFileSystem::Open(const std::string& path,
                                                              OpenMode mode) {
  if (mode == OpenMode::kCreate) {
    VARVE_ASSIGN_OR_RETURN(const Place place, Find("open", path));
    if (place.node != nullptr) return FileError("open", path, EEXIST);
    const auto node = NewNode(/*directory=*/false);
    place.parent->children[place.name] = node;
    return std::make_unique<OverlayFile>(path, node, node->changed, true);
  }
  VARVE_ASSIGN_OR_RETURN(const Place place, FindNode("open", path, /*directory=*/false));
  OverlayNode& node = *place.node;
  auto content = node.opened.lock();
  if (content == nullptr) {
    content = std::make_shared<Content>();
    VARVE_ASSIGN_OR_RETURN(content->below, below_.Open(node.origin, OpenMode::kRead));
    VARVE_ASSIGN_OR_RETURN(content->below_size, content->below->Size());
    content->size = content->below_size;
    node.opened = content;
  }
  return std::make_unique<OverlayFile>(path, place.node, std::move(content),
                                       mode == OpenMode::kReadWrite);
}

absl::Status OverlayFileSystem::CreateDirectory(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, Find("mkdir", path));
  if (place.node == nullptr) {
    place.parent->children[place.name] = NewNode(/*directory=*/true);
  } else if (!place.node->directory) {
    return FileError("mkdir", path, EEXIST);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DirectoryEntry>> OverlayFileSystem::List(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, FindNode("opendir", path, /*directory=*/true));
  std::map<std::string, DirectoryEntry> entries;
  if (!place.node->origin.empty()) {
    VARVE_ASSIGN_OR_RETURN(auto below, below_.List(place.node->origin));
    for (DirectoryEntry& entry : below) entries[entry.name] = std::move(entry);
  }
  for (const auto& [name, node] : place.node->children) {
    if (node == nullptr) {
      entries.erase(name);
    } else {
      entries[name] = EntryOf(name, *node);
    }
  }
  std::vector<DirectoryEntry> out;
  out.reserve(entries.size());
  for (auto& [name, entry] : entries) out.push_back(std::move(entry));
  return out;
}

absl::StatusOr<DirectoryEntry> OverlayFileSystem::Stat(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, Find("stat", path));
  if (place.node == nullptr) return FileError("stat", path, ENOENT);
  return EntryOf(place.name, *place.node);
}

absl::StatusOr<bool> OverlayFileSystem::Empty(const OverlayNode& directory) {
  const auto there = [](const auto& child) { return child.second != nullptr; };
  if (std::any_of(directory.children.begin(), directory.children.end(), there)) return false;
  if (directory.origin.empty()) return true;
  VARVE_ASSIGN_OR_RETURN(const auto below, below_.List(directory.origin));
  return std::all_of(below.begin(), below.end(), [&](const DirectoryEntry& entry) {
    return directory.children.contains(entry.name);
  });
}

absl::Status OverlayFileSystem::Rename(const std::string& from, const std::string& to) {
  VARVE_ASSIGN_OR_RETURN(const Place old, Find("rename", from));
  if (old.node == nullptr) return FileError("rename", from, ENOENT);
  if (old.parent == nullptr) return FileError("rename", from, EBUSY);
  VARVE_ASSIGN_OR_RETURN(const Place target, Find("rename", to));
  if (to.starts_with(from + "/")) return FileError("rename", from, EINVAL);  // into itself
  if (target.node == old.node) return absl::OkStatus();
  if (target.parent == nullptr) return FileError("rename", to, EBUSY);
  if (target.node != nullptr) {
    if (target.node->directory != old.node->directory)
      return FileError("rename", to, target.node->directory ? EISDIR : ENOTDIR);
    if (target.node->directory) {
      VARVE_ASSIGN_OR_RETURN(const bool empty, Empty(*target.node));
      if (!empty) return FileError("rename", to, ENOTEMPTY);
    }
  }
  target.parent->children[target.name] = old.node;
  old.parent->children[old.name] = nullptr;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::RemoveFile(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, FindNode("unlink", path, /*directory=*/false));
  place.parent->children[place.name] = nullptr;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::RemoveDirectory(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, FindNode("rmdir", path, /*directory=*/true));
  if (place.parent == nullptr) return FileError("rmdir", path, EBUSY);
  VARVE_ASSIGN_OR_RETURN(const bool empty, Empty(*place.node));
  if (!empty) return FileError("rmdir", path, ENOTEMPTY);
  place.parent->children[place.name] = nullptr;
  return absl::OkStatus();
}

absl::Status OverlayFileSystem::SyncDirectory(const std::string& path) {
  return FindNode("open", path, /*directory=*/true).status();
}

absl::StatusOr<std::unique_ptr<FileLock>> OverlayFileSystem::Lock(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(Place place, Find("open lock", path));
  if (place.node == nullptr) {
    place.node = NewNode(/*directory=*/false);
    place.parent->children[place.name] = place.node;
  }
  if (place.node->directory) return FileError("open lock", path, EISDIR);
  if (place.node->locked)
    return MakeError(Reason::DIRECTORY_IN_USE, "lock \"", path, "\": somebody here holds it");
  return std::make_unique<OverlayLock>(std::move(place.node));
}

absl::StatusOr<SpaceInfo> OverlayFileSystem::Space(const std::string& path) {
  VARVE_ASSIGN_OR_RETURN(const Place place, Find("statvfs", path));
  if (place.node == nullptr) return FileError("statvfs", path, ENOENT);
  if (!place.node->origin.empty()) return below_.Space(place.node->origin);
  const std::string_view made(path);
  const size_t slash = made.substr(0, made.find_last_not_of('/')).rfind('/');
  if (slash == std::string_view::npos) return below_.Space(".");
  return Space(std::string(made.substr(0, std::max<size_t>(slash, 1))));
}

}  // namespace varve::storage
