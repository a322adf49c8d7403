// SubscribeStream: one bidirectional LogService/Subscribe call on a SubscribeSession.
#ifndef VARVE_SERVER_RPC_SUBSCRIBE_STREAM_H_
#define VARVE_SERVER_RPC_SUBSCRIBE_STREAM_H_

#include <memory>
#include <mutex>

#include "server/rpc/call_context.h"
#include "server/rpc/outgoing.h"
#include "varve/v1/log.grpc.pb.h"

namespace varve::server {

// Deletes itself when the call is done. The call ends when the client half-closes, when it opens
// nothing in time, or when it leaves a message unread for a minute.
class SubscribeStream final
    : public grpc::ServerBidiReactor<varve::v1::SubscribeRequest, varve::v1::SubscribeReply>,
      public SubscribeEvents,
      public MovableStream {
 public:
  SubscribeStream(const DoorParts& parts, grpc::CallbackServerContext* call);

  // Data read from the log and not yet taken by the transport, and credit that lets more be read:
  // together at most so much, whatever the client grants.
  static constexpr int64_t kWindowBytes = 4 << 20;
  // How often it is looked whether the stream has been opened and is being read; the second look
  // ends it.
  static constexpr Nanos kWatchInterval = 30 * kSecond;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void OnOpened(uint32_t handle, uint64_t generation, const Opened& opened) override;
  void OnData(uint32_t handle, uint64_t generation, Data data) override;
  void OnProgress(uint32_t handle, uint64_t generation, Offset next_offset,
                  const LogBounds& bounds) override;
  void OnRefused(Request request, uint32_t handle, uint64_t generation, absl::Status why) override;
  void OnEnd(uint32_t handle, uint64_t generation, Offset next_offset, absl::Status why) override;
  void Move() override;

 private:
  // False: the stream has been ended.
  bool Handle();
  bool HandleOpen(const varve::v1::SubscribeOpen& open);
  bool AddPartition(const varve::v1::SubscribePartition& partition);
  bool Fail(const absl::Status& status);
  // Passes on what the client has granted as far as the window allows.
  void PassCredit(SessionCredit granted);
  void ArmWatch();
  void Watch();

  const DoorParts parts_;
  RequestContext context_;
  std::unique_ptr<SubscribeSession> session_;  // after open
  varve::v1::SubscribeRequest request_;
  Outgoing<SubscribeStream, varve::v1::SubscribeReply> outgoing_;
  std::mutex credit_mutex_;
  int64_t granted_bytes_ = 0;    // by the client, and not yet passed on to the session
  int64_t passed_on_bytes_ = 0;  // to the session, less what it has used
  std::atomic<bool> opened_{false};
  std::shared_ptr<SubscribeStream*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_RPC_SUBSCRIBE_STREAM_H_
