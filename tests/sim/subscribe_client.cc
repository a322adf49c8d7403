#include <algorithm>
#include <utility>

#include "common/error.h"
#include "tests/sim/session_clients.h"

namespace varve::sim {
namespace {

constexpr size_t kMaxHandles = 5;

}  // namespace

void SubscribeClient::Act() {
  if (!session_) {
    server::SubscribeOptions options;
    options.max_message_bytes = world_.random->OneIn(2) ? 1 : 64 << 10;
    auto opened = world_.service->OpenSubscribe(world_.Context(3600 * kSecond), options, *this);
    world_.Note("open subscribe", opened.ok());
    if (!opened.ok()) return;
    session_ = *std::move(opened);
    credit_ = {};
    return;
  }
  if (world_.random->OneIn(300)) return Leave();
  switch (world_.random->Below(6)) {
    case 0:
      return Add();
    case 1:
      return Seek();
    case 2:
      if (handles_.empty() || !world_.random->OneIn(8)) return;
      world_.Note("remove", handles_.begin()->first);
      handles_.begin()->second.removed = true;
      return session_->Remove(handles_.begin()->first);
    case 3:
      return;  // a slow reader
    default:
      return Grant({1 + static_cast<int64_t>(world_.random->Below(20'000)),
                    1 + static_cast<int64_t>(world_.random->Below(100))});
  }
}

void SubscribeClient::Leave() {
  if (!session_) return;
  session_->Close();
  session_.reset();
  handles_.clear();
  world_.Note("close subscribe", last_handle_);
}

void SubscribeClient::Grant(server::SessionCredit more) {
  credit_.bytes += more.bytes;
  credit_.records += more.records;
  world_.Note("credit", static_cast<uint64_t>(more.bytes));
  session_->AddCredit(more);
}

void SubscribeClient::Add() {
  const auto target = world_.AnyTarget();
  if (!target || handles_.size() >= kMaxHandles) return;
  Handle& handle = handles_[++last_handle_];
  handle.target = *target;
  handle.high_watermark = world_.oracle.HighWatermark(target->topic, target->partition);
  server::Position from = server::StartPosition{};
  if (world_.random->OneIn(3)) from = server::EndPosition{};
  if (world_.random->OneIn(3))
    from = Offset(static_cast<int64_t>(world_.random->Below(handle.high_watermark.value() + 1)));
  world_.Note("add", last_handle_);
  session_->Add({last_handle_, target->topic, target->partition, from});
}

void SubscribeClient::Seek() {
  if (handles_.empty()) return;
  auto& [number, handle] =
      *std::next(handles_.begin(), static_cast<int64_t>(world_.random->Below(handles_.size())));
  if (handle.removed || !handle.next) return;
  handle.next.reset();
  handle.bad = world_.random->OneIn(world_.options.bad_one_in);
  handle.high_watermark = world_.oracle.HighWatermark(handle.target.topic, handle.target.partition);
  server::Position to =
      Offset(static_cast<int64_t>(world_.random->Below(handle.high_watermark.value() + 1)));
  if (world_.random->OneIn(4))
    to = server::TimePosition{world_.scheduler.clock().Wall() -
                              static_cast<int64_t>(world_.random->Below(2000))};
  if (handle.bad) to = Offset(int64_t{1} << 40);
  world_.Note("seek", ++handle.generation);
  session_->Seek(number, handle.generation, to);
}

SubscribeClient::Handle* SubscribeClient::Find(uint32_t handle, uint64_t generation) {
  const auto at = handles_.find(handle);
  if (at == handles_.end()) {
    world_.oracle.Violate("an event for handle ", handle, ", which had ended");
    return nullptr;
  }
  if (at->second.generation == generation) return &at->second;
  world_.oracle.Violate("an event for generation ", generation, " of handle ", handle,
                        ", which is at ", at->second.generation);
  return nullptr;
}

void SubscribeClient::OnOpened(uint32_t number, uint64_t generation, const Opened& opened) {
  world_.Note("opened", static_cast<uint64_t>(opened.next_offset.value()));
  Handle* handle = Find(number, generation);
  if (handle == nullptr) return;
  if (handle->bad) world_.oracle.Violate("a subscription to offset 2^40 was opened");
  // Where it stands is a promise too, also when nothing is read: what a crash left undecided may be
  // seen here first.
  world_.oracle.Read({handle->target.topic, handle->target.partition, opened.next_offset,
                      opened.next_offset, opened.bounds.high_watermark, handle->high_watermark},
                     {});
  handle->next = opened.next_offset;
  handle->high_watermark = opened.bounds.high_watermark;
}

void SubscribeClient::OnData(uint32_t number, uint64_t generation, Data data) {
  world_.Note("data", static_cast<uint64_t>(data.next_offset.value()));
  if (credit_.bytes <= 0 || credit_.records <= 0)
    world_.oracle.Violate("data without credit: ", credit_.bytes, " bytes, ", credit_.records,
                          " records");
  for (const Entry& entry : data.entries) credit_.bytes -= entry.header.payload_bytes;
  credit_.records -= data.records;
  Handle* handle = Find(number, generation);
  if (handle == nullptr) return;
  if (!handle->next) return world_.oracle.Violate("data before the subscription was opened");
  world_.oracle.Read({handle->target.topic, handle->target.partition, *handle->next,
                      data.next_offset, data.high_watermark, handle->high_watermark},
                     data.entries);
  handle->next = data.next_offset;
  handle->high_watermark = data.high_watermark;
}

void SubscribeClient::OnProgress(uint32_t number, uint64_t generation, Offset next_offset,
                                 const server::LogBounds& bounds) {
  world_.Note("progress", static_cast<uint64_t>(next_offset.value()));
  Handle* handle = Find(number, generation);
  if (handle == nullptr) return;
  if (handle->next != next_offset)
    world_.oracle.Violate("progress at ", next_offset, " of a subscription at ",
                          handle->next.value_or(Offset(-1)));
  handle->high_watermark = std::max(handle->high_watermark, bounds.high_watermark);
}

// Only a seek of a handle that the broker has just ended may be refused: its end came first.
void SubscribeClient::OnRefused(Request request, uint32_t number, uint64_t, absl::Status why) {
  world_.Note("refused", number);
  if (request != Request::kSeek || handles_.contains(number))
    world_.oracle.Violate("a request for handle ", number, " was refused: ", MessageOf(why));
}

void SubscribeClient::OnEnd(uint32_t number, uint64_t generation, Offset next_offset,
                            absl::Status why) {
  world_.Note("end", static_cast<uint64_t>(ReasonOf(why)));
  Handle* handle = Find(number, generation);
  if (handle == nullptr) return;
  const bool exists = world_.StateOf(handle->target.topic) == KnownTopic::State::kExists;
  const Reason reason = ReasonOf(why);
  const bool expected =
      (why.ok() && handle->removed) || (reason == Reason::UNKNOWN_TOPIC && !exists) ||
      (reason == Reason::OFFSET_OUT_OF_RANGE && handle->bad) || reason == Reason::SHUTTING_DOWN ||
      reason == Reason::DISK_FAILED || reason == Reason::OFFSET_NOT_AVAILABLE;
  if (!expected)
    world_.oracle.Violate("a subscription to ", handle->target.topic, "/", handle->target.partition,
                          " ended: ", MessageOf(why));
  handles_.erase(number);
}

void SubscribeClient::Settle() {
  if (session_) Grant({int64_t{1} << 38, int64_t{1} << 38});
}

void SubscribeClient::CheckSettled() {
  for (const auto& [number, handle] : handles_) {
    const Offset end = world_.oracle.HighWatermark(handle.target.topic, handle.target.partition);
    if (world_.StateOf(handle.target.topic) != KnownTopic::State::kExists) continue;
    if (handle.next != end)
      world_.oracle.Violate("a subscription with credit stays at ",
                            handle.next.value_or(Offset(-1)), " of ", handle.target.topic, "/",
                            handle.target.partition, ", which ends at ", end);
  }
}

}  // namespace varve::sim
