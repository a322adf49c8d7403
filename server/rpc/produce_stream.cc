#include "server/rpc/produce_stream.h"

#include <cstring>
#include <utility>

#include "common/error.h"

namespace varve::server {

ProduceStream::ProduceStream(const DoorParts& parts, grpc::CallbackServerContext* call)
    : parts_(parts), outgoing_(*this), self_(std::make_shared<ProduceStream*>(this)) {
  parts_.streams.Insert(this);
  RequestContext context = ContextOf(*call, parts_.clock);
  auto session = parts_.service.OpenProduce(std::move(context), *this);
  if (!session.ok()) {
    outgoing_.End(ToGrpcStatus(session.status()));
    return;
  }
  session_ = std::move(*session);
  ArmWatch();
  StartRead(&request_);
}

void ProduceStream::ArmWatch() {
  parts_.timers.RunAt(parts_.clock.Now() + kWatchInterval, [weak = std::weak_ptr(self_)] {
    if (auto self = weak.lock()) (*self)->Watch();
  });
}

// On the timers' executor. Every acknowledgement that waits for its reader holds memory.
void ProduceStream::Watch() {
  if (!opened_.load())
    return outgoing_.Abort(
        ToGrpcStatus(MakeError(Reason::INVALID_REQUEST, "the stream opened no topic within 30 s")));
  if (outgoing_.Stuck())
    return outgoing_.Abort(ToGrpcStatus(
        MakeError(Reason::OUTCOME_UNKNOWN, "an acknowledgement was not read for ",
                  2 * kWatchInterval / kSecond, " s: batches without one may be in the log")));
  ArmWatch();
}

void ProduceStream::OnReadDone(bool ok) {
  if (!ok) return Release();
  Handle();
  if (outgoing_.MayRead()) StartRead(&request_);
}

void ProduceStream::Handle() {
  using varve::v1::ProduceStreamRequest;
  switch (request_.message_case()) {
    case ProduceStreamRequest::kOpen: {
      const auto& open = request_.open();
      const auto acks = FromProto(open.acks());
      opened_.store(true);
      under_way_.fetch_add(1);
      outgoing_.Expect();
      if (!acks.ok()) return OnOpened(open.handle(), acks.status());
      return session_->Open(open.handle(), open.topic(), *acks,
                            {open.required_features().begin(), open.required_features().end()});
    }
    case ProduceStreamRequest::kBatch: {
      const auto& batch = request_.batch();
      FrameBuffer frame(batch.batch().size());
      std::memcpy(frame.payload(), batch.batch().data(), batch.batch().size());
      under_way_.fetch_add(1);
      outgoing_.Expect();
      return session_->Append(batch.request_id(), batch.handle(), PartitionId(batch.partition()),
                              std::move(frame));
    }
    case ProduceStreamRequest::MESSAGE_NOT_SET:
      return outgoing_.End(ToGrpcStatus(
          MakeError(Reason::INVALID_REQUEST, "a message holds neither open nor batch")));
  }
}

void ProduceStream::Release() {
  if (under_way_.fetch_sub(1) == 1) outgoing_.End(grpc::Status::OK);
}

void ProduceStream::OnCancel() {
  outgoing_.Abort(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
}

void ProduceStream::OnDone() {
  parts_.streams.Erase(this);
  if (session_) session_->Close();
  // On the timers' executor, where the watch runs: nothing else touches this object any more.
  parts_.timers.Post([this] { delete this; });
}

void ProduceStream::OnOpened(uint32_t handle, absl::StatusOr<Opened> opened) {
  varve::v1::ProduceStreamReply reply;
  auto* out = reply.mutable_opened();
  out->set_handle(handle);
  if (opened.ok()) {
    out->set_topic_id(IdBytes(opened->topic));
    out->set_partitions(opened->partitions);
    out->set_max_batch_bytes(opened->max_batch_bytes);
  } else {
    EncodeStatus(opened.status(), out->mutable_error());
  }
  outgoing_.Answer(std::move(reply));
  Release();
}

void ProduceStream::OnAck(uint64_t request_id, const ProduceResult& result) {
  varve::v1::ProduceStreamReply reply;
  auto* out = reply.mutable_ack();
  out->set_request_id(request_id);
  out->set_partition(result.partition.value());
  if (result.status.ok()) {
    out->set_base_offset(result.base_offset.value());
    out->set_append_time_ms(result.append_time.value());
    out->set_leader_epoch(static_cast<uint32_t>(result.leader_epoch.value()));
  } else {
    EncodeStatus(result.status, out->mutable_error());
  }
  outgoing_.Answer(std::move(reply));
  Release();
}

void ProduceStream::OnCredit(SessionCredit more) {
  varve::v1::ProduceStreamReply reply;
  reply.mutable_credit()->set_bytes(more.bytes);
  reply.mutable_credit()->set_records(more.records);
  outgoing_.Send(std::move(reply));
}

void ProduceStream::OnMoved(const std::string& why) {
  varve::v1::ProduceStreamReply reply;
  reply.mutable_moved()->set_why(why);
  outgoing_.Send(std::move(reply));
}

}  // namespace varve::server
