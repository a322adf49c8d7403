#include "server/rpc/listener_calls.h"

#include "common/check.h"

namespace varve::server {

void ListenerCalls::SetListener(raft::TransportListener* listener) {
  std::deque<Call> dropped;  // destroyed without the lock: a call owns what it would deliver
  std::unique_lock lock(mutex_);
  VARVE_CHECK(listener == nullptr || (listener_ == nullptr && !closed_),
              "a transport takes one listener");
  listener_ = listener;
  if (listener != nullptr) return;
  closed_ = true;
  for (auto& [key, calls] : waiting_)
    for (Call& call : calls) dropped.push_back(std::move(call));
  for (auto& [key, calls] : waiting_) calls.clear();
  idle_.wait(lock, [this] { return draining_ == 0; });
}

bool ListenerCalls::open() const {
  std::lock_guard lock(mutex_);
  return listener_ != nullptr;
}

bool ListenerCalls::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

bool ListenerCalls::Push(Key key, Call call) {
  std::lock_guard lock(mutex_);
  if (listener_ == nullptr) return false;
  const auto [at, first] = waiting_.try_emplace(key);
  at->second.push_back(std::move(call));
  if (first) ++draining_;
  return first;
}

void ListenerCalls::Drain(Key key) {
  std::unique_lock lock(mutex_);
  const auto at = waiting_.find(key);
  VARVE_CHECK(at != waiting_.end(), "Drain without Push");
  while (listener_ != nullptr && !at->second.empty()) {
    raft::TransportListener& listener = *listener_;
    Call call = std::move(at->second.front());
    at->second.pop_front();
    lock.unlock();
    call(listener);
    call = nullptr;
    lock.lock();
  }
  waiting_.erase(at);
  if (--draining_ == 0) idle_.notify_all();
}

}  // namespace varve::server
