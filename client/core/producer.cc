#include "varve/producer.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "client/core/producer_core.h"
#include "client/core/status_mapping.h"
#include "common/limits.h"

namespace varve {
inline namespace v0 {

using client::Error;
using client::ProducerCore;

Status ProducerOptions::Validate() const {
  const auto bad = [](const char* field, const char* what) {
    return Error(Reason::INVALID_CONFIG, field, ": ", what);
  };
  if (batch_bytes < 1024) return bad("batch_bytes", "at least 1024");
  if (batch_max_bytes < batch_bytes) return bad("batch_max_bytes", "at least batch_bytes");
  if (batch_max_bytes > limits::kMaxBatchBytes) return bad("batch_max_bytes", "at most 8 MiB");
  if (linger.count() < 0) return bad("linger", "not negative");
  if (buffer_bytes < batch_max_bytes) return bad("buffer_bytes", "at least batch_max_bytes");
  if (delivery_timeout.count() <= 0) return bad("delivery_timeout", "must be positive");
  if (delivery_timeout < linger) return bad("delivery_timeout", "at least linger");
  if (static_cast<int>(compression) < 0 || static_cast<int>(compression) >= kCodecCount) {
    return bad("compression", "not a codec");
  }
  if (max_in_flight != 1) return bad("max_in_flight", "must be 1 until producers are idempotent");
  return {};
}

Result<Producer> Producer::Create(const Client& client, ProducerOptions options) {
  if (Status status = options.Validate(); !status.ok()) return status;
  return Producer(std::make_shared<ProducerCore>(client.core_, std::move(options)));
}

Producer::Producer(std::shared_ptr<ProducerCore> core) : core_(std::move(core)) {}
Producer::Producer(Producer&&) noexcept = default;
Producer& Producer::operator=(Producer&& other) noexcept {
  if (this != &other) {
    Producer old(std::move(*this));
    core_ = std::move(other.core_);
  }
  return *this;
}
Producer::~Producer() {
  if (core_) core_->Close(std::chrono::seconds(5));
}

Status Producer::Send(const ProducerRecord& record, DeliveryCallback callback) {
  return core_->Send(record, std::move(callback));
}

Result<Delivery> Producer::SendSync(const ProducerRecord& record) {
  if (core_->InExecutor()) {
    return Error(Reason::INVALID_REQUEST, "SendSync waits; it cannot be called from a callback");
  }
  struct Waiter {
    std::mutex mutex;
    std::condition_variable done;
    std::optional<Result<Delivery>> result;
  };
  const auto waiter = std::make_shared<Waiter>();
  const Status accepted = core_->Send(record, [waiter](const DeliveryReport& report) {
    std::lock_guard lock(waiter->mutex);
    if (report.status.ok()) {
      waiter->result = Delivery{report.partition, report.offset, report.timestamp_ms};
    } else {
      waiter->result = report.status;
    }
    waiter->done.notify_one();
  });
  if (!accepted.ok()) return accepted;
  std::unique_lock lock(waiter->mutex);
  // The report comes within the delivery timeout, unless a callback blocks the client's thread.
  const auto bound = core_->delivery_timeout() + std::chrono::seconds(5);
  if (!waiter->done.wait_for(lock, bound, [&] { return waiter->result.has_value(); })) {
    return Error(Reason::DEADLINE_EXCEEDED, "no report within the delivery timeout");
  }
  return *std::move(waiter->result);
}

Status Producer::Flush(std::chrono::milliseconds timeout) { return core_->Flush(timeout); }
Status Producer::Close(std::chrono::milliseconds timeout) { return core_->Close(timeout); }
ProducerStats Producer::stats() const { return core_->stats(); }

}  // namespace v0
}  // namespace varve
