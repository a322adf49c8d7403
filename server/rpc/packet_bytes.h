// Packets as gRPC's buffers.
#ifndef VARVE_SERVER_RPC_PACKET_BYTES_H_
#define VARVE_SERVER_RPC_PACKET_BYTES_H_

#include <grpcpp/support/byte_buffer.h>

#include "common/bytes.h"
#include "raft/transport.h"

namespace varve::server {

// Large parts are shared until gRPC has written them, on whichever thread that is; small ones are
// copied into one run with their neighbours, which costs less than a slice for each.
grpc::ByteBuffer ToByteBuffer(raft::OutgoingPacket packet);

// Shares gRPC's memory where the message lies in one piece and fills most of it; else one copy.
SharedBytes ToSharedBytes(const grpc::ByteBuffer& buffer);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PACKET_BYTES_H_
