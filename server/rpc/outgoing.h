// Outgoing: what a stream has yet to send, and how the stream ends.
#ifndef VARVE_SERVER_RPC_OUTGOING_H_
#define VARVE_SERVER_RPC_OUTGOING_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace varve::server {

// gRPC allows one write under way per stream. Thread-safe. A client that does not read, or asks
// faster than shards answer, must not make queues grow: the stream reads no further requests while
// MayRead says so, and takes what it sends unasked from queued_bytes(). After End nothing more is
// queued; the stream finishes when what was queued is written, or at once after Abort.
template <class Reactor, class Message>
class Outgoing {
 public:
  explicit Outgoing(Reactor& reactor) : reactor_(reactor) {}

  // A request was read that one Answer will follow.
  void Expect() {
    std::lock_guard lock(mutex_);
    ++expected_;
  }
  void Answer(Message message) {
    std::lock_guard lock(mutex_);
    --expected_;
    Queue(std::move(message));
  }
  void Send(Message message) {
    std::lock_guard lock(mutex_);
    Queue(std::move(message));
  }
  void End(grpc::Status status) {
    std::lock_guard lock(mutex_);
    if (!end_) end_ = std::move(status);
    Advance();
  }
  // Drops what waits: the client does not read, or is gone.
  void Abort(grpc::Status status) {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    end_ = std::move(status);
    while (queue_.size() > (writing_ ? 1u : 0u)) {
      queued_bytes_ -= queue_.back().bytes;
      queue_.pop_back();
    }
    // A write that hangs ends with the call: finish does not wait for it.
    finished_ = true;
    reactor_.Finish(*end_);
  }
  // From OnReadDone: whether the next request may be read now. If not, Written says when.
  bool MayRead() {
    std::lock_guard lock(mutex_);
    read_waits_ = !finished_ && queue_.size() + expected_ > kMostWaiting;
    return !read_waits_;
  }
  // From OnWriteDone. True when a read that MayRead held back is due.
  [[nodiscard]] bool Written(bool ok) {
    std::lock_guard lock(mutex_);
    queued_bytes_ -= queue_.front().bytes;
    queue_.pop_front();
    writing_ = false;
    ++written_;
    if (!ok && !finished_) {
      queue_.clear();
      queued_bytes_ = 0;
      if (!end_) end_ = grpc::Status(grpc::StatusCode::CANCELLED, "the client went away");
    }
    Advance();
    if (finished_ || queue_.size() + expected_ > kMostWaiting) return false;
    return std::exchange(read_waits_, false);
  }
  // What waits, the message being written included.
  [[nodiscard]] size_t queued_bytes() const {
    std::lock_guard lock(mutex_);
    return queued_bytes_;
  }
  // To be asked at regular intervals: whether one write has been under way at the last three looks,
  // because the client does not read.
  [[nodiscard]] bool Stuck() {
    std::lock_guard lock(mutex_);
    const bool same = writing_ && written_ == written_at_look_;
    stuck_looks_ = same ? stuck_looks_ + 1 : 0;
    written_at_look_ = written_;
    return stuck_looks_ >= 2;
  }

 private:
  struct Queued {
    Message message;
    size_t bytes = 0;
  };
  static constexpr size_t kMostWaiting = 8192;

  void Queue(Message message) {
    if (end_ || finished_) return;
    const size_t bytes = message.ByteSizeLong();
    queue_.push_back({std::move(message), bytes});
    queued_bytes_ += bytes;
    Advance();
  }
  void Advance() {
    if (finished_ || writing_) return;
    if (!queue_.empty()) {
      writing_ = true;
      reactor_.StartWrite(&queue_.front().message);
    } else if (end_) {
      finished_ = true;
      reactor_.Finish(*end_);
    }
  }

  Reactor& reactor_;
  mutable std::mutex mutex_;
  std::deque<Queued> queue_;
  size_t queued_bytes_ = 0;
  size_t expected_ = 0;
  bool read_waits_ = false;
  std::optional<grpc::Status> end_;
  bool writing_ = false;
  bool finished_ = false;
  uint64_t written_ = 0;
  uint64_t written_at_look_ = 0;
  int stuck_looks_ = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_OUTGOING_H_
