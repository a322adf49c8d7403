#include "server/rpc/inbound_streams.h"

#include <utility>
#include <vector>

#include "common/error.h"

namespace varve::server {
namespace {

ListenerCalls::Key KeyOf(const PeerHandshake& handshake) {
  return {handshake.from, handshake.lane};
}

}  // namespace

absl::Status InboundStreams::Judge(const PeerHandshake& handshake) const {
  if (closed_ || calls_->closed())
    return MakeError(Reason::SHUTTING_DOWN, "node ", self_, " is stopping");
  if (handshake.cluster != cluster_)
    return MakeError(Reason::FOREIGN_CLUSTER, "node ", handshake.from, " belongs to cluster ",
                     handshake.cluster.ToString(), ", node ", self_, " to ", cluster_.ToString());
  if (handshake.to != self_)
    return MakeError(Reason::PEER_REFUSED, "this is node ", self_, ", not node ", handshake.to,
                     ", which node ", handshake.from, " looks for");
  if (handshake.from == self_)
    return MakeError(Reason::PEER_REFUSED, "both sides say that they are node ", self_);
  if (!calls_->open()) return MakeError(Reason::STARTING, "node ", self_, " is starting");
  if (!peers_.contains(handshake.from))
    return MakeError(Reason::PEER_REFUSED, "node ", self_, " does not know node ", handshake.from,
                     " as part of its cluster");
  const auto at = current_.find(KeyOf(handshake));
  if (at != current_.end() && handshake.process_epoch < at->second.process_epoch)
    return MakeError(Reason::PEER_REFUSED, "a process of node ", handshake.from, " with epoch ",
                     at->second.process_epoch, " is connected; this one has ",
                     handshake.process_epoch);
  return absl::OkStatus();
}

absl::Status InboundStreams::Insert(const PeerHandshake& handshake,
                                    std::shared_ptr<InboundStream> stream) {
  Current before{std::move(stream), handshake.process_epoch};
  {
    std::lock_guard lock(mutex_);
    VARVE_RETURN_IF_ERROR(Judge(handshake));
    std::swap(current_[KeyOf(handshake)], before);
  }
  if (before.stream)
    before.stream->Close(MakeError(Reason::PEER_REFUSED, "node ", handshake.from,
                                   " has opened another stream of this lane"));
  return absl::OkStatus();
}

void InboundStreams::Remove(const PeerHandshake& handshake, const InboundStream* stream) {
  std::shared_ptr<InboundStream> removed;
  std::lock_guard lock(mutex_);
  const auto at = current_.find(KeyOf(handshake));
  if (at == current_.end() || at->second.stream.get() != stream) return;
  removed = std::move(at->second.stream);
  current_.erase(at);
}

void InboundStreams::Deliver(const PeerHandshake& handshake, const InboundStream* stream,
                             SharedBytes packet, Task next) {
  const ListenerCalls::Key key = KeyOf(handshake);
  bool drain = false;
  {
    // Pushed under the lock: a packet of a stream that was replaced never comes after one of its
    // successor.
    std::lock_guard lock(mutex_);
    const auto at = current_.find(key);
    if (at == current_.end() || at->second.stream.get() != stream) return;
    drain = calls_->Push(key, [key, packet = std::move(packet),
                               next = std::move(next)](raft::TransportListener& listener) mutable {
      listener.OnPacket(key.first, key.second, std::move(packet));
      next();
    });
  }
  if (drain) calls_->Drain(key);
}

void InboundStreams::SetPeers(std::set<NodeId> peers) {
  std::vector<Current> ended;
  {
    std::lock_guard lock(mutex_);
    peers_ = std::move(peers);
    for (auto at = current_.begin(); at != current_.end();) {
      if (peers_.contains(at->first.first)) {
        ++at;
        continue;
      }
      ended.push_back(std::move(at->second));
      at = current_.erase(at);
    }
  }
  for (const Current& one : ended)
    one.stream->Close(
        MakeError(Reason::PEER_REFUSED, "no longer part of the cluster of node ", self_));
}

void InboundStreams::Close() {
  std::map<ListenerCalls::Key, Current> ended;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    ended.swap(current_);
  }
  for (const auto& [key, one] : ended)
    one.stream->Close(MakeError(Reason::SHUTTING_DOWN, "node ", self_, " is stopping"));
}

}  // namespace varve::server
