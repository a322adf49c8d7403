// InboundStreams: the streams of packets that other brokers opened to this one.
#ifndef VARVE_SERVER_RPC_INBOUND_STREAMS_H_
#define VARVE_SERVER_RPC_INBOUND_STREAMS_H_

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/executor.h"
#include "server/rpc/listener_calls.h"
#include "server/rpc/peer_handshake.h"

namespace varve::server {

// One stream, as the door implements it. Thread-safe.
class InboundStream {
 public:
  virtual ~InboundStream() = default;
  // Ends the stream with this status; nothing of it is delivered afterwards.
  virtual void Close(const absl::Status& why) = 0;
};

// Shared by the transport, which says who may connect, and the door, where connections arrive;
// either may go first. Thread-safe.
class InboundStreams {
 public:
  InboundStreams(ClusterId cluster, NodeId self, std::shared_ptr<ListenerCalls> calls)
      : cluster_(cluster), self_(self), calls_(std::move(calls)) {}

  [[nodiscard]] NodeId self() const { return self_; }
  // Makes `stream` the one of its node and lane; the one before is closed. Refuses with
  // FOREIGN_CLUSTER, PEER_REFUSED (not a peer now, an address that leads to another node, an older
  // process than the one connected), STARTING, SHUTTING_DOWN.
  absl::Status Insert(const PeerHandshake& handshake, std::shared_ptr<InboundStream> stream);
  // Nothing happens when another stream took its place.
  void Remove(const PeerHandshake& handshake, const InboundStream* stream);
  // Gives a packet to the listener, on this thread or another one, then runs `next` there. Both are
  // dropped when the stream is not the one of its node and lane any more.
  void Deliver(const PeerHandshake& handshake, const InboundStream* stream, SharedBytes packet,
               Task next);

  // Streams of nodes that are not named are closed.
  void SetPeers(std::set<NodeId> peers);
  // For good: closes all streams and refuses new ones.
  void Close();

 private:
  struct Current {
    std::shared_ptr<InboundStream> stream;
    uint64_t process_epoch = 0;
  };
  [[nodiscard]] absl::Status Judge(const PeerHandshake& handshake) const;

  const ClusterId cluster_;
  const NodeId self_;
  const std::shared_ptr<ListenerCalls> calls_;
  std::mutex mutex_;  // guards the rest; not held while a stream is closed
  bool closed_ = false;
  std::set<NodeId> peers_;
  std::map<ListenerCalls::Key, Current> current_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_INBOUND_STREAMS_H_
