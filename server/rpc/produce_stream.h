// ProduceStream: one bidirectional LogService/ProduceStream call on a ProduceSession.
#ifndef VARVE_SERVER_RPC_PRODUCE_STREAM_H_
#define VARVE_SERVER_RPC_PRODUCE_STREAM_H_

#include <memory>

#include "server/rpc/call_context.h"
#include "server/rpc/outgoing.h"
#include "varve/v1/log.grpc.pb.h"

namespace varve::server {

// Reads on gRPC's threads, answers from the partitions' shards. Deletes itself when the call is
// done. The call ends when the client has half-closed and every batch is answered (on Move after
// the same), when it opens nothing in time, or when it leaves a message unread for a minute.
class ProduceStream final : public grpc::ServerBidiReactor<varve::v1::ProduceStreamRequest,
                                                           varve::v1::ProduceStreamReply>,
                            public ProduceEvents,
                            public MovableStream {
 public:
  ProduceStream(const DoorParts& parts, grpc::CallbackServerContext* call);

  // How often it is looked whether the stream has opened a topic and is being read.
  static constexpr Nanos kWatchInterval = 30 * kSecond;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override {
    if (outgoing_.Written(ok)) StartRead(&request_);
  }
  void OnCancel() override;
  void OnDone() override;

  void OnOpened(uint32_t handle, absl::StatusOr<Opened> opened) override;
  void OnAck(uint64_t request_id, const ProduceResult& result) override;
  void OnCredit(SessionCredit more) override;
  void OnMoved(const std::string& why) override;
  void Move() override { OnMoved("the broker is stopping"); }

 private:
  void Handle();
  void ArmWatch();
  void Watch();
  // One of: the client's half, or a batch or topic under way. The call ends when none is left.
  void Release();

  const DoorParts parts_;
  std::unique_ptr<ProduceSession> session_;
  varve::v1::ProduceStreamRequest request_;
  Outgoing<ProduceStream, varve::v1::ProduceStreamReply> outgoing_;
  std::atomic<uint64_t> under_way_{1};
  std::atomic<bool> opened_{false};
  std::shared_ptr<ProduceStream*> self_;  // for the watch
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_PRODUCE_STREAM_H_
