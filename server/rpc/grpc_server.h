// GrpcServer: the gRPC door: varve.v1 on the in-process service, with health and reflection.
#ifndef VARVE_SERVER_RPC_GRPC_SERVER_H_
#define VARVE_SERVER_RPC_GRPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/executor.h"
#include "server/service/broker_service.h"

namespace varve::server {

struct GrpcServerOptions {
  std::string address;  // "127.0.0.1:9640"; port 0 takes a free one
};

// Everything here is gRPC's callback API: its threads parse, copy and hand over, and never wait.
// Limits that stand before parsing: message size, metadata size, concurrent streams per connection.
class GrpcServer {
 public:
  // Listens at once; the service's gate refuses what comes before the broker is ready.
  // ADDRESS_IN_USE, INVALID_CONFIG. All references must outlive the server; `timers` must not be
  // destroyed before it.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(GrpcServerOptions options,
                                                           BrokerService& service,
                                                           const Clock& clock, Executor& timers);
  virtual ~GrpcServer() = default;
  [[nodiscard]] virtual int port() const = 0;
  // What grpc.health.v1 answers: "" is the process, "varve.v1.LogService" and "ready" follow this.
  virtual void SetServing(bool serving) = 0;
  // Tells streams to move, refuses new calls, waits up to `grace` for those under way, then cancels
  // them. Blocks; returns when no call is left. Idempotent.
  virtual void Shutdown(Nanos grace) = 0;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_GRPC_SERVER_H_
