// EntryCache: the memory budget of recently written entries over all logs.
#ifndef VARVE_STORAGE_ENTRY_CACHE_H_
#define VARVE_STORAGE_ENTRY_CACHE_H_

#include <deque>
#include <memory>
#include <mutex>

#include "storage/replica_files.h"

namespace varve::storage {

// Entries live in ReplicaFiles::cache; this remembers their order over all logs and drops the
// oldest when the budget is exceeded, but never one that is not yet in a file. Thread-safe; never
// holds its lock while taking a replica's.
class EntryCache {
 public:
  explicit EntryCache(size_t budget) : budget_(budget) {}

  // `replica` has put an entry ending at `last` of so many bytes into its cache. Its mutex is not
  // held.
  void Added(const std::shared_ptr<ReplicaFiles>& replica, Index last, size_t bytes);
  [[nodiscard]] size_t bytes() const;

 private:
  struct Item {
    std::weak_ptr<ReplicaFiles> replica;
    Index last;
    size_t bytes;
  };
  const size_t budget_;
  mutable std::mutex mutex_;
  std::deque<Item> items_;
  size_t bytes_ = 0;
};

}  // namespace varve::storage

#endif  // VARVE_STORAGE_ENTRY_CACHE_H_
