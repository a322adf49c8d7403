// ListenerCalls: calls of a TransportListener, one at a time for each (node, lane).
#ifndef VARVE_SERVER_RPC_LISTENER_CALLS_H_
#define VARVE_SERVER_RPC_LISTENER_CALLS_H_

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "raft/transport.h"

namespace varve::server {

// Thread-safe. Calls of one key run in the order of their Push, each on the thread of some Drain,
// never two at once, and with no lock held. What waits is bounded by the callers: one packet for
// each stream, one ready and one down for each link.
class ListenerCalls {
 public:
  using Key = std::pair<NodeId, raft::Lane>;
  using Call = absl::AnyInvocable<void(raft::TransportListener&)>;

  // Null: drops what waits and returns when no call runs; must not come from within one. After that
  // no listener is taken.
  void SetListener(raft::TransportListener* listener);
  // Whether calls are made: there is a listener.
  [[nodiscard]] bool open() const;
  [[nodiscard]] bool closed() const;

  // May be called with locks of the caller held, so that its order is theirs. True: the caller is
  // to call Drain once it holds none. A call is dropped, unrun, when there is no listener.
  [[nodiscard]] bool Push(Key key, Call call);
  void Drain(Key key);

 private:
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  raft::TransportListener* listener_ = nullptr;
  bool closed_ = false;
  size_t draining_ = 0;
  std::map<Key, std::deque<Call>> waiting_;  // a key is there while somebody drains it
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_LISTENER_CALLS_H_
