// StateStore: the folds of keyed partitions, a derived cache of committed and durable log entries.
#ifndef VARVE_STORAGE_STATE_STORE_H_
#define VARVE_STORAGE_STATE_STORE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/types.h"

namespace varve::storage {

// A set of changes applied as one. Keys are made by FoldKey; values are opaque.
class StateBatch {
 public:
  void Put(std::string key, std::string value) {
    changes_.push_back({std::move(key), std::move(value)});
  }
  void Delete(std::string key) { changes_.push_back({std::move(key), std::nullopt}); }
  struct Change {
    std::string key;
    std::optional<std::string> value;
  };
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }

 private:
  std::vector<Change> changes_;
};

// Position of a fold: everything up to `applied` of the group is in it.
struct FoldPosition {
  Index applied;
  Term term;  // of that entry
  bool operator==(const FoldPosition&) const = default;
};

// Thread-safe. All keys of a group's fold live under (group, generation); a rebuilt fold gets the
// next generation and the former one is dropped. Keys are ordered bytewise.
//
// Durability: none per write. Flush makes everything applied so far durable, atomically: after a
// crash the store is exactly as of some moment at or after the last Flush that returned OK, never a
// mixture (position and values always agree). It is a cache: deleting it while the broker is
// stopped is safe. Errors: DISK_FAILED or DATA_LOSS with the path; after one the fold is rebuilt.
class StateStore {
 public:
  virtual ~StateStore() = default;
  // The group's fold: current generation and position; nullopt when it has none.
  struct Fold {
    uint64_t generation = 0;
    FoldPosition position;
  };
  virtual absl::StatusOr<std::optional<Fold>> FindFold(GroupId group) = 0;
  // Drops the group's fold, if any, and begins an empty one in a new generation, at position 0.
  virtual absl::StatusOr<uint64_t> BeginFold(GroupId group) = 0;
  virtual absl::Status DropFold(GroupId group) = 0;
  // Applies the changes and the new position in one atomic step. FailedPrecondition, and nothing
  // changed, when `generation` is not the current one or the position would go back.
  virtual absl::Status Apply(GroupId group, uint64_t generation, const StateBatch& batch,
                             FoldPosition position) = 0;
  virtual absl::StatusOr<std::optional<std::string>> Get(GroupId group, uint64_t generation,
                                                         std::string_view key) = 0;
  // Calls `visit` for every key that begins with `prefix`, ascending, until it returns false.
  virtual absl::Status Scan(
      GroupId group, uint64_t generation, std::string_view prefix,
      absl::FunctionRef<bool(std::string_view key, std::string_view value)> visit) = 0;
  virtual absl::Status Flush() = 0;
  // Hash over all keys and values of the group's current fold, and its position; equal folds have
  // equal hashes in every implementation. For tests and operators. kContent leaves the position
  // out: every start of a broker adds an entry that changes no value, so only content can be
  // compared across starts.
  enum class Hashed { kContentAndPosition, kContent };
  absl::StatusOr<uint64_t> HashFold(GroupId group, Hashed what = Hashed::kContentAndPosition);
};

// RocksDB without its own log, atomic flush over all column families. Creates the directory when
// missing.
absl::StatusOr<std::unique_ptr<StateStore>> OpenRocksDbStateStore(const std::string& path);

// What an in-memory store keeps across its own destruction, like a disk: the state as of the last
// Flush.
class MemoryStateDisk;
std::shared_ptr<MemoryStateDisk> NewMemoryStateDisk();
// An ordered map that loses everything since its last Flush when destroyed. For the simulator.
std::unique_ptr<StateStore> OpenMemoryStateStore(std::shared_ptr<MemoryStateDisk> disk);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_STATE_STORE_H_
