// One node's transport and door on free ports, and a listener that remembers, for tests.
#ifndef VARVE_TESTS_SERVER_PEER_NODE_H_
#define VARVE_TESTS_SERVER_PEER_NODE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/executor.h"
#include "server/rpc/peer_door.h"
#include "server/rpc/peer_transport.h"

namespace varve::server {

inline ClusterId ClusterOf(uint8_t n) {
  ClusterId id;
  id.bytes.fill(n);
  return id;
}

// Remembers everything, and says when two calls about one (node, lane) overlap.
class RecordingListener final : public raft::TransportListener {
 public:
  using Key = std::pair<NodeId, raft::Lane>;
  struct Seen {
    std::vector<SharedBytes> packets;
    int ready = 0, down = 0, refused = 0;
    std::vector<char> order;  // 'R' ready, 'D' down, in the order of the calls
  };

  void OnPacket(NodeId from, raft::Lane lane, SharedBytes bytes) override {
    Call({from, lane}, [&](Seen& seen) { seen.packets.push_back(std::move(bytes)); });
    std::function<void()> block;
    {
      std::lock_guard lock(mutex_);
      block = on_packet_;
    }
    if (block) block();
  }
  void OnReady(NodeId to, raft::Lane lane) override {
    Call({to, lane}, [](Seen& seen) {
      ++seen.ready;
      seen.order.push_back('R');
    });
    std::function<void(Key)> then;
    {
      std::lock_guard lock(mutex_);
      then = on_ready_;
    }
    if (then) then({to, lane});
  }
  void OnDown(NodeId to, raft::Lane lane, bool refused) override {
    Call({to, lane}, [refused](Seen& seen) {
      ++seen.down;
      seen.refused += refused ? 1 : 0;
      seen.order.push_back('D');
    });
  }

  // Waits until `holds` of what was seen of the key; false after a minute.
  [[nodiscard]] bool Wait(Key key, const std::function<bool(const Seen&)>& holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return holds(seen_[key]); });
  }
  [[nodiscard]] Seen Of(Key key) {
    std::lock_guard lock(mutex_);
    return seen_[key];
  }
  void OnEachPacket(std::function<void()> block) {
    std::lock_guard lock(mutex_);
    on_packet_ = std::move(block);
  }
  void OnEachReady(std::function<void(Key)> then) {
    std::lock_guard lock(mutex_);
    on_ready_ = std::move(then);
  }
  [[nodiscard]] int overlaps() {
    std::lock_guard lock(mutex_);
    return overlaps_;
  }

 private:
  template <class Change>
  void Call(Key key, Change change) {
    {
      std::lock_guard lock(mutex_);
      if (++running_[key] > 1) ++overlaps_;
    }
    {
      std::lock_guard lock(mutex_);
      change(seen_[key]);
      --running_[key];
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Seen> seen_;
  std::map<Key, int> running_;
  int overlaps_ = 0;
  std::function<void()> on_packet_;
  std::function<void(Key)> on_ready_;
};

// What a broker would have of these parts. The door can go and come back on its port.
class PeerNode {
 public:
  PeerNode(uint32_t node, ClusterId cluster, uint64_t epoch = 1, PeerKeepalive keepalive = {})
      : loop_(ThreadExecutor("links")), keepalive_(keepalive) {
    PeerTransportOptions options;
    options.cluster = cluster;
    options.node = NodeId(node);
    options.process_epoch = epoch;
    options.keepalive = keepalive;
    options.report = [this](NodeId to, raft::Lane lane, const absl::Status& status) {
      std::lock_guard lock(mutex_);
      reports_[{to, lane}].push_back(status);
      changed_.notify_all();
    };
    transport = std::make_unique<PeerTransport>(std::move(options), RealClock(), *loop_);
    transport->SetListener(&listener);
    OpenDoor();
  }
  ~PeerNode() {
    transport.reset();
    door.reset();
  }
  PeerNode(const PeerNode&) = delete;
  PeerNode& operator=(const PeerNode&) = delete;

  void OpenDoor() {
    auto opened =
        PeerDoor::Start({.address = StrCat("127.0.0.1:", port_), .keepalive = keepalive_});
    ASSERT_TRUE(opened.ok()) << opened.status();
    door = std::move(*opened);
    port_ = door->port();
    door->SetInbound(transport->inbound());
  }
  [[nodiscard]] std::string address() const { return StrCat("127.0.0.1:", port_); }
  // Waits until the lane's attempts fail for this reason.
  [[nodiscard]] bool WaitForReport(NodeId to, raft::Lane lane, Reason reason) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      for (const absl::Status& status : reports_[{to, lane}])
        if (ReasonOf(status) == reason) return true;
      return false;
    });
  }

  RecordingListener listener;
  std::unique_ptr<PeerTransport> transport;
  std::unique_ptr<PeerDoor> door;

 private:
  std::unique_ptr<Executor> loop_;
  const PeerKeepalive keepalive_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RecordingListener::Key, std::vector<absl::Status>> reports_;
};

}  // namespace varve::server

#endif  // VARVE_TESTS_SERVER_PEER_NODE_H_
