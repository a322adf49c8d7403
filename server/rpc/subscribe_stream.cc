#include "server/rpc/subscribe_stream.h"

#include <algorithm>
#include <utility>

#include "common/error.h"

namespace varve::server {

SubscribeStream::SubscribeStream(const DoorParts& parts, grpc::CallbackServerContext* call)
    : parts_(parts),
      context_(ContextOf(*call, parts.clock)),
      outgoing_(*this),
      self_(std::make_shared<SubscribeStream*>(this)) {
  parts_.streams.Insert(this);
  ArmWatch();
  StartRead(&request_);
}

void SubscribeStream::OnReadDone(bool ok) {
  if (!ok) return outgoing_.End(grpc::Status::OK);
  if (Handle() && outgoing_.MayRead()) StartRead(&request_);
}

void SubscribeStream::OnWriteDone(bool ok) {
  if (outgoing_.Written(ok)) StartRead(&request_);
  if (ok && opened_.load()) PassCredit({});
}

void SubscribeStream::PassCredit(SessionCredit granted) {
  // A client that grants without end gains nothing: the sums stay far from overflow.
  constexpr int64_t kCeiling = int64_t{1} << 40;
  SessionCredit now;
  {
    std::lock_guard lock(credit_mutex_);
    granted_bytes_ =
        std::min(kCeiling, granted_bytes_ + std::clamp<int64_t>(granted.bytes, 0, kCeiling));
    const int64_t room =
        kWindowBytes - passed_on_bytes_ - static_cast<int64_t>(outgoing_.queued_bytes());
    now = {std::clamp<int64_t>(room, 0, granted_bytes_), granted.records};
    granted_bytes_ -= now.bytes;
    passed_on_bytes_ += now.bytes;
  }
  if (now.bytes > 0 || now.records > 0) session_->AddCredit(now);
}

bool SubscribeStream::Fail(const absl::Status& status) {
  outgoing_.End(ToGrpcStatus(status));
  return false;
}

bool SubscribeStream::Handle() {
  using varve::v1::SubscribeRequest;
  if (request_.message_case() == SubscribeRequest::kOpen) return HandleOpen(request_.open());
  if (!session_) return Fail(MakeError(Reason::INVALID_REQUEST, "the first message must be open"));
  switch (request_.message_case()) {
    case SubscribeRequest::kCredit:
      PassCredit({request_.credit().bytes(), request_.credit().records()});
      return true;
    case SubscribeRequest::kSeek: {
      auto to = FromProto(request_.seek().to());
      if (!to.ok()) return Fail(to.status());
      session_->Seek(request_.seek().handle(), request_.seek().generation(), std::move(*to));
      return true;
    }
    case SubscribeRequest::kAdd:
      return AddPartition(request_.add().partition());
    case SubscribeRequest::kRemove:
      session_->Remove(request_.remove().handle());
      return true;
    case SubscribeRequest::kOpen:
    case SubscribeRequest::MESSAGE_NOT_SET:
      break;
  }
  return Fail(MakeError(Reason::INVALID_REQUEST, "a message holds none of the known kinds"));
}

bool SubscribeStream::HandleOpen(const varve::v1::SubscribeOpen& open) {
  if (session_) return Fail(MakeError(Reason::INVALID_REQUEST, "the stream is open already"));
  const auto isolation = FromProto(open.isolation());
  if (!isolation.ok()) return Fail(isolation.status());
  SubscribeOptions options{open.max_message_bytes(),
                           *isolation,
                           {open.required_features().begin(), open.required_features().end()}};
  auto session = parts_.service.OpenSubscribe(std::move(context_), std::move(options), *this);
  if (!session.ok()) return Fail(session.status());
  session_ = std::move(*session);
  opened_.store(true);
  for (const auto& partition : open.partitions())
    if (!AddPartition(partition)) return false;
  PassCredit({open.credit().bytes(), open.credit().records()});
  return true;
}

bool SubscribeStream::AddPartition(const varve::v1::SubscribePartition& partition) {
  auto from = FromProto(partition.from());
  if (!from.ok()) return Fail(from.status());
  session_->Add({partition.handle(), partition.topic(), PartitionId(partition.partition()),
                 std::move(*from)});
  return true;
}

void SubscribeStream::OnCancel() {
  outgoing_.Abort(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
}

void SubscribeStream::OnDone() {
  parts_.streams.Erase(this);
  if (session_) session_->Close();
  // On the timers' executor, where the watch runs: nothing else touches this object any more.
  parts_.timers.Post([this] { delete this; });
}

void SubscribeStream::Move() {
  outgoing_.End(ToGrpcStatus(MakeError(Reason::SHUTTING_DOWN, "the broker is stopping")));
}

// --- Watching for clients that do nothing
// ---------------------------------------------------------

void SubscribeStream::ArmWatch() {
  parts_.timers.RunAt(parts_.clock.Now() + kWatchInterval, [weak = std::weak_ptr(self_)] {
    if (auto self = weak.lock()) (*self)->Watch();
  });
}

void SubscribeStream::Watch() {
  if (!opened_.load())
    return outgoing_.Abort(
        ToGrpcStatus(MakeError(Reason::INVALID_REQUEST, "the stream was not opened within 30 s")));
  if (outgoing_.Stuck())
    return outgoing_.Abort(
        ToGrpcStatus(MakeError(Reason::CONSUMER_TOO_SLOW, "a message was not read for ",
                               2 * kWatchInterval / kSecond, " s")));
  ArmWatch();
}

// --- Events
// ---------------------------------------------------------------------------------------

void SubscribeStream::OnOpened(uint32_t handle, uint64_t generation, const Opened& opened) {
  varve::v1::SubscribeReply reply;
  auto* out = reply.mutable_opened();
  out->set_handle(handle);
  out->set_generation(generation);
  out->set_topic_id(IdBytes(opened.topic));
  out->set_next_offset(opened.next_offset.value());
  out->set_high_watermark(opened.bounds.high_watermark.value());
  out->set_log_start(opened.bounds.log_start.value());
  outgoing_.Send(std::move(reply));
}

void SubscribeStream::OnData(uint32_t handle, uint64_t generation, Data data) {
  varve::v1::SubscribeReply reply;
  auto* out = reply.mutable_data();
  out->set_handle(handle);
  out->set_generation(generation);
  out->set_batches(JoinBatches(data.entries));
  out->set_records(data.records);
  out->set_next_offset(data.next_offset.value());
  out->set_high_watermark(data.high_watermark.value());
  out->set_leader_epoch(static_cast<uint32_t>(data.leader_epoch.value()));
  {
    std::lock_guard lock(credit_mutex_);
    passed_on_bytes_ -= static_cast<int64_t>(out->batches().size());
  }
  outgoing_.Send(std::move(reply));
}

void SubscribeStream::OnProgress(uint32_t handle, uint64_t generation, Offset next_offset,
                                 const LogBounds& bounds) {
  varve::v1::SubscribeReply reply;
  auto* out = reply.mutable_progress();
  out->set_handle(handle);
  out->set_generation(generation);
  out->set_next_offset(next_offset.value());
  out->set_high_watermark(bounds.high_watermark.value());
  out->set_log_start(bounds.log_start.value());
  outgoing_.Send(std::move(reply));
}

void SubscribeStream::OnRefused(Request request, uint32_t handle, uint64_t generation,
                                absl::Status why) {
  varve::v1::SubscribeReply reply;
  auto* out = reply.mutable_refused();
  out->set_request(request == Request::kAdd ? varve::v1::SubscribeRefused::REQUEST_ADD
                                            : varve::v1::SubscribeRefused::REQUEST_SEEK);
  out->set_handle(handle);
  out->set_generation(generation);
  EncodeStatus(why, out->mutable_error());
  outgoing_.Send(std::move(reply));
}

void SubscribeStream::OnEnd(uint32_t handle, uint64_t generation, Offset next_offset,
                            absl::Status why) {
  varve::v1::SubscribeReply reply;
  auto* out = reply.mutable_end();
  out->set_handle(handle);
  out->set_generation(generation);
  out->set_next_offset(next_offset.value());
  EncodeStatus(why, out->mutable_error());
  outgoing_.Send(std::move(reply));
}

}  // namespace varve::server
