// PeerLink: the connecting side of one lane to one other broker.
#ifndef VARVE_SERVER_RPC_PEER_LINK_H_
#define VARVE_SERVER_RPC_PEER_LINK_H_

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/clock.h"
#include "common/executor.h"
#include "common/random.h"
#include "server/rpc/listener_calls.h"
#include "server/rpc/peer_channel.h"
#include "server/rpc/peer_handshake.h"

namespace varve::server {

class PacketCall;

// Counts what must be gone before the transport is. Thread-safe.
class LiveCalls {
 public:
  void Add() {
    std::lock_guard lock(mutex_);
    ++count_;
  }
  void Remove() {
    std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }
  void WaitForNone() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  size_t count_ = 0;
};

// What all links of a transport share.
struct LinkParts {
  PeerKeepalive keepalive;
  const Clock& clock;
  Executor& loop;  // makes and destroys channels
  std::shared_ptr<ListenerCalls> calls;
  std::shared_ptr<LiveCalls> live;
  std::shared_ptr<Random> random;  // on the loop only
  // On the loop, when a lane came up (OK) or fails for another reason than the last time.
  std::shared_ptr<absl::AnyInvocable<void(NodeId, raft::Lane, const absl::Status&)>> report;
};

// Makes one attempt after the other, each on a channel of its own: so a failed call is news of this
// very attempt, never a remembered one, and addresses are resolved anew. Thread-safe.
class PeerLink : public std::enable_shared_from_this<PeerLink> {
 public:
  PeerLink(LinkParts parts, PeerHandshake handshake, std::string address);
  ~PeerLink();

  [[nodiscard]] const std::string& address() const { return address_; }
  void Start();
  // Dropped while the connection is not up.
  void Send(raft::OutgoingPacket packet);
  // For good. The listener is told that a connection which was up is down; on the loop, before
  // whatever is posted there later.
  void Close();

 private:
  friend class PacketCall;
  [[nodiscard]] ListenerCalls::Key key() const { return {handshake_.to, handshake_.lane}; }
  // On the loop.
  void Attempt();
  void HandleEnd(const absl::Status& status, bool refused);
  void Retry(bool was_up);
  void Report(const absl::Status& status);
  // From the call, on gRPC's threads.
  void OnAccepted();
  void OnWritten(bool ok);
  void OnBroken();
  // Under the lock.
  void Write(raft::OutgoingPacket packet);
  [[nodiscard]] bool PushReady();

  const LinkParts parts_;
  const PeerHandshake handshake_;
  const std::string address_;

  std::mutex mutex_;  // guards what both the loop and gRPC's threads touch: the next ones
  bool closed_ = false;
  bool up_ = false;       // accepted, and not known to be broken
  bool told_up_ = false;  // the listener got OnReady, and no OnDown since
  bool writing_ = false;  // one write is under way
  std::deque<raft::OutgoingPacket> waiting_;
  std::unique_ptr<PacketCall> call_;  // made and destroyed on the loop

  // On the loop only.
  Nanos backoff_ = 0;
  MonoTime up_since_;
  TimerId timeout_;
  absl::Status reported_ = absl::UnknownError("");
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_LINK_H_
