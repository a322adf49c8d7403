// PeerClient on gRPC.
#ifndef VARVE_SERVER_RPC_PEER_CLIENT_H_
#define VARVE_SERVER_RPC_PEER_CLIENT_H_

#include <memory>

#include "common/executor.h"
#include "server/service/peer_service.h"

namespace varve::server {

// Calls are rare: each has a connection of its own, and fails at once where nobody listens. Answers
// come on `loop`, which makes and destroys connections; it must outlive the client and must not be
// the thread that destroys it. The destructor cancels what is under way and returns when every
// answer was given.
std::unique_ptr<PeerClient> NewPeerClient(Executor& loop);

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PEER_CLIENT_H_
