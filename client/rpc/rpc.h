// Calls to brokers, without a word of gRPC: what the core of the client needs of a transport.
#ifndef VARVE_CLIENT_RPC_RPC_H_
#define VARVE_CLIENT_RPC_RPC_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/clock.h"

namespace google::protobuf {
class MessageLite;
}

namespace varve::client {

// How a call ended: a gRPC code, its text and its binary details (a serialised Status).
struct RpcStatus {
  int code = 0;
  std::string message;
  std::string details;
};

// One message to write: `head`, then the bytes of `tail`, which are not copied.
struct OutgoingMessage {
  std::string head;
  std::shared_ptr<const std::string> tail;
};

// Hears of one stream, on threads of the transport, one call at a time. OnClosed comes exactly once
// and last.
class RpcStreamListener {
 public:
  virtual ~RpcStreamListener() = default;
  // An empty message to parse the next one into.
  virtual std::unique_ptr<google::protobuf::MessageLite> NewMessage() = 0;
  virtual void OnMessage(std::unique_ptr<google::protobuf::MessageLite> message) = 0;
  virtual void OnClosed(RpcStatus status) = 0;
};

// A bidirectional stream under way. Thread-safe. Dropping the last reference does not end it.
class RpcStream {
 public:
  virtual ~RpcStream() = default;
  // Queues; dropped when the stream has ended. The caller bounds what is queued (credits).
  virtual void Write(OutgoingMessage message) = 0;
  // Half-closes behind what is queued: nothing may be written any more, messages still come in.
  virtual void FinishWrites() = 0;
  // Ends the stream soon; OnClosed follows.
  virtual void Cancel() = 0;
};

// Thread-safe. Connections are made on first use, kept, and shared by address.
class RpcConnector {
 public:
  virtual ~RpcConnector() = default;
  // `done` runs on a thread of the transport; `reply` is filled by then if the code is 0.
  virtual void Call(const std::string& address, const std::string& method,
                    const google::protobuf::MessageLite& request,
                    std::shared_ptr<google::protobuf::MessageLite> reply, Nanos timeout,
                    std::function<void(RpcStatus)> done) = 0;
  virtual std::shared_ptr<RpcStream> OpenStream(const std::string& address,
                                                const std::string& method,
                                                std::shared_ptr<RpcStreamListener> listener) = 0;
};

// `client_id` travels with every call. `backoff` bounds the pauses between attempts to connect.
std::unique_ptr<RpcConnector> GrpcConnector(std::string client_id, Nanos first_backoff,
                                            Nanos most_backoff);

}  // namespace varve::client

#endif  // VARVE_CLIENT_RPC_RPC_H_
