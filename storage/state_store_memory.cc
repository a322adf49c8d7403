// The in-memory StateStore: ordered maps, and a "disk" that holds them as of the last Flush.
#include <map>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/check.h"
#include "storage/state_store.h"
#include "storage/state_store_errors.h"

namespace varve::storage {
namespace {

struct MemoryFold {
  uint64_t generation = 0;
  FoldPosition position;
  std::map<std::string, std::string, std::less<>> values;
};

}  // namespace

// Thread-safe. One store at a time may use it, like a directory.
class MemoryStateDisk {
 public:
  std::map<GroupId, std::shared_ptr<const MemoryFold>> Attach() {
    const absl::MutexLock lock(&mutex_);
    VARVE_CHECK(!attached_);
    attached_ = true;
    return folds_;
  }
  void Detach() {
    const absl::MutexLock lock(&mutex_);
    attached_ = false;
  }
  // Replaces everything at once: a crash finds the former state or this one.
  void Replace(std::map<GroupId, std::shared_ptr<const MemoryFold>> folds) {
    const absl::MutexLock lock(&mutex_);
    folds_ = std::move(folds);
  }

 private:
  absl::Mutex mutex_;
  bool attached_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<GroupId, std::shared_ptr<const MemoryFold>> folds_ ABSL_GUARDED_BY(mutex_);
};

namespace {

class MemoryStateStore final : public StateStore {
 public:
  explicit MemoryStateStore(std::shared_ptr<MemoryStateDisk> disk)
      : disk_(std::move(disk)), flushed_(disk_->Attach()) {
    for (const auto& [group, fold] : flushed_) {
      folds_.emplace(group, *fold);
      last_generation_ = std::max(last_generation_, fold->generation);
    }
  }
  ~MemoryStateStore() override { disk_->Detach(); }

  absl::StatusOr<std::optional<Fold>> FindFold(GroupId group) override {
    const absl::MutexLock lock(&mutex_);
    const auto found = folds_.find(group);
    if (found == folds_.end()) return std::optional<Fold>();
    return std::optional<Fold>(Fold{found->second.generation, found->second.position});
  }

  absl::StatusOr<uint64_t> BeginFold(GroupId group) override {
    const absl::MutexLock lock(&mutex_);
    folds_.insert_or_assign(group, MemoryFold{++last_generation_, {}, {}});
    unflushed_.insert(group);
    return last_generation_;
  }

  absl::Status DropFold(GroupId group) override {
    const absl::MutexLock lock(&mutex_);
    folds_.erase(group);
    unflushed_.insert(group);
    return absl::OkStatus();
  }

  absl::Status Apply(GroupId group, uint64_t generation, const StateBatch& batch,
                     FoldPosition position) override {
    const absl::MutexLock lock(&mutex_);
    const auto found = folds_.find(group);
    if (found == folds_.end() || found->second.generation != generation)
      return StaleGeneration(group, generation);
    MemoryFold& fold = found->second;
    if (position.applied < fold.position.applied)
      return PositionWentBack(group, fold.position, position);
    for (const StateBatch::Change& change : batch.changes()) {
      if (change.value) {
        fold.values.insert_or_assign(change.key, *change.value);
      } else {
        fold.values.erase(change.key);
      }
    }
    fold.position = position;
    unflushed_.insert(group);
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<std::string>> Get(GroupId group, uint64_t generation,
                                                 std::string_view key) override {
    const absl::MutexLock lock(&mutex_);
    const auto found = folds_.find(group);
    if (found == folds_.end() || found->second.generation != generation)
      return std::optional<std::string>();
    const auto value = found->second.values.find(key);
    if (value == found->second.values.end()) return std::optional<std::string>();
    return std::optional<std::string>(value->second);
  }

  absl::Status Scan(GroupId group, uint64_t generation, std::string_view prefix,
                    absl::FunctionRef<bool(std::string_view, std::string_view)> visit) override {
    // Copied first: `visit` may call the store, and sees one moment whatever it changes.
    for (const auto& [key, value] : CopyRange(group, generation, prefix))
      if (!visit(key, value)) break;
    return absl::OkStatus();
  }

  absl::Status Flush() override {
    const absl::MutexLock lock(&mutex_);
    for (const GroupId group : unflushed_) {
      const auto found = folds_.find(group);
      if (found == folds_.end()) {
        flushed_.erase(group);
      } else {
        flushed_[group] = std::make_shared<const MemoryFold>(found->second);
      }
    }
    unflushed_.clear();
    disk_->Replace(flushed_);
    return absl::OkStatus();
  }

 private:
  std::vector<std::pair<std::string, std::string>> CopyRange(GroupId group, uint64_t generation,
                                                             std::string_view prefix) {
    std::vector<std::pair<std::string, std::string>> range;
    const absl::MutexLock lock(&mutex_);
    const auto found = folds_.find(group);
    if (found == folds_.end() || found->second.generation != generation) return range;
    const auto& values = found->second.values;
    for (auto at = values.lower_bound(prefix); at != values.end(); ++at) {
      if (!at->first.starts_with(prefix)) break;
      range.emplace_back(at->first, at->second);
    }
    return range;
  }

  const std::shared_ptr<MemoryStateDisk> disk_;
  absl::Mutex mutex_;
  std::map<GroupId, MemoryFold> folds_ ABSL_GUARDED_BY(mutex_);
  // What the disk holds; folds that did not change since the last Flush are shared with it.
  std::map<GroupId, std::shared_ptr<const MemoryFold>> flushed_ ABSL_GUARDED_BY(mutex_);
  std::set<GroupId> unflushed_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_generation_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::shared_ptr<MemoryStateDisk> NewMemoryStateDisk() {
  return std::make_shared<MemoryStateDisk>();
}

std::unique_ptr<StateStore> OpenMemoryStateStore(std::shared_ptr<MemoryStateDisk> disk) {
  return std::make_unique<MemoryStateStore>(std::move(disk));
}

}  // namespace varve::storage
