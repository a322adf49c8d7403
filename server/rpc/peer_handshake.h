// The first words of a connection between brokers, in the metadata of its stream.
#ifndef VARVE_SERVER_RPC_PEER_HANDSHAKE_H_
#define VARVE_SERVER_RPC_PEER_HANDSHAKE_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/types.h"
#include "raft/transport.h"

namespace varve::server {

// docs/peer_protocol.md, "Connections". Another one is refused.
inline constexpr uint32_t kPeerProtocolVersion = 1;
// The stream of packets: a method without protobuf messages.
inline constexpr char kPacketsMethod[] = "/varve.internal.v1.PeerLink/Packets";

// What the side that connects says. `to` is the node that it means to reach: an address may have
// gone to another one.
struct PeerHandshake {
  ClusterId cluster;
  NodeId from;
  NodeId to;
  uint64_t process_epoch = 0;  // of `from`
  raft::Lane lane = raft::Lane::kControl;
};

void WriteHandshake(const PeerHandshake& handshake, grpc::ClientContext* context);
// From metadata that may be anything. UNSUPPORTED_FEATURE for another version, INVALID_REQUEST.
absl::StatusOr<PeerHandshake> ReadHandshake(
    const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

// The answer of the side that accepts, in its initial metadata. Without it the stream is not up.
void WriteAccepted(NodeId node, grpc::CallbackServerContext* context);
bool ReadAccepted(NodeId node, const std::multimap<grpc::string_ref, grpc::string_ref>& metadata);

std::string_view NameOf(raft::Lane lane);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_HANDSHAKE_H_
