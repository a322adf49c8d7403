// Channels to other brokers.
#ifndef VARVE_SERVER_RPC_PEER_CHANNEL_H_
#define VARVE_SERVER_RPC_PEER_CHANNEL_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/clock.h"

namespace varve::server {

// Reconnecting: the first attempt after a connection broke follows at once, the next ones double
// from here up to there, each with 20 % of jitter.
inline constexpr Nanos kFirstBackoff = 50 * kMillisecond;
inline constexpr Nanos kLastBackoff = 1 * kSecond;
// From the beginning of an attempt to the accepted handshake.
inline constexpr Nanos kAttemptTimeout = 3 * kSecond;
// A connection on which nothing arrives is asked after `time`, and given up after `timeout` more.
// (Heartbeats notice a silent node long before; this ends the half-open connection.)
struct PeerKeepalive {
  Nanos time = 2 * kSecond;
  Nanos timeout = 5 * kSecond;
};

// A connection of its own, never shared with another channel of the process. It must be destroyed
// on a thread that is none of gRPC's.
std::shared_ptr<grpc::Channel> OpenPeerChannel(const std::string& address,
                                               const std::string& purpose,
                                               const PeerKeepalive& keepalive);

// Whether a call on a fresh channel failed because nothing listens there (ECONNREFUSED). gRPC says
// so only in words.
bool WasRefusedByHost(const grpc::Status& status);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_CHANNEL_H_
