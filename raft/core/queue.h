// Queue: first in, first out over one block of memory that an empty queue does not have. A core has
// many queues that are nearly always empty, and std::deque takes half a KiB for each.
#ifndef VARVE_RAFT_CORE_QUEUE_H_
#define VARVE_RAFT_CORE_QUEUE_H_

#include <cstddef>
#include <utility>
#include <vector>

namespace varve::raft {

// Each operation is constant in time on average. Elements move when the queue grows or shrinks: no
// reference survives a push or a pop. T is default-constructible and movable.
template <class T>
class Queue {
 public:
  using iterator = typename std::vector<T>::iterator;
  using const_iterator = typename std::vector<T>::const_iterator;

  [[nodiscard]] bool empty() const { return head_ == items_.size(); }
  [[nodiscard]] size_t size() const { return items_.size() - head_; }
  [[nodiscard]] T& front() { return items_[head_]; }
  [[nodiscard]] const T& front() const { return items_[head_]; }
  [[nodiscard]] T& back() { return items_.back(); }
  [[nodiscard]] const T& back() const { return items_.back(); }
  [[nodiscard]] T& operator[](size_t i) { return items_[head_ + i]; }
  [[nodiscard]] const T& operator[](size_t i) const { return items_[head_ + i]; }
  iterator begin() { return items_.begin() + static_cast<std::ptrdiff_t>(head_); }
  iterator end() { return items_.end(); }
  [[nodiscard]] const_iterator begin() const {
    return items_.begin() + static_cast<std::ptrdiff_t>(head_);
  }
  [[nodiscard]] const_iterator end() const { return items_.end(); }

  void push_back(T item) { items_.push_back(std::move(item)); }
  T& emplace_back() { return items_.emplace_back(); }
  void pop_back() {
    items_.pop_back();
    if (empty()) clear();
  }
  void pop_front() {
    items_[head_++] = T{};  // gives back what it holds
    if (empty()) {
      clear();
    } else if (head_ >= kCompactFrom && 2 * head_ >= items_.size()) {
      items_.erase(items_.begin(), begin());
      head_ = 0;
    }
  }
  // A queue that was long gives its memory back.
  void clear() {
    head_ = 0;
    items_.clear();
    if (items_.capacity() > kKeptCapacity) std::vector<T>().swap(items_);
  }

 private:
  static constexpr size_t kCompactFrom = 16;
  static constexpr size_t kKeptCapacity = 16;

  std::vector<T> items_;
  size_t head_ = 0;  // of what was popped
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_CORE_QUEUE_H_
