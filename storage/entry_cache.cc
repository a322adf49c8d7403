#include "storage/entry_cache.h"

namespace varve::storage {

void EntryCache::Added(const std::shared_ptr<ReplicaFiles>& replica, Index last, size_t bytes) {
  {
    std::lock_guard lock(mutex_);
    items_.push_back({replica, last, bytes});
    bytes_ += bytes;
  }
  for (;;) {
    Item oldest;
    {
      std::lock_guard lock(mutex_);
      if (bytes_ <= budget_ || items_.empty()) return;
      oldest = items_.front();
      items_.pop_front();
      bytes_ -= oldest.bytes;
    }
    const std::shared_ptr<ReplicaFiles> owner = oldest.replica.lock();
    if (!owner) continue;
    std::deque<Entry> dropped;  // freed after the lock
    std::unique_lock owner_lock(owner->mutex);
    if (oldest.last > owner->written_index) {
      // Not in a file yet: it stays, and so does everything younger. The dirty budget bounds this.
      owner_lock.unlock();
      std::lock_guard lock(mutex_);
      items_.push_front(std::move(oldest));
      bytes_ += items_.front().bytes;
      return;
    }
    while (!owner->cache.empty() && owner->cache.front().header.last_index <= oldest.last) {
      dropped.push_back(std::move(owner->cache.front()));
      owner->cache.pop_front();
    }
  }
}

size_t EntryCache::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace varve::storage
