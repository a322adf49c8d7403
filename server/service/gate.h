// Gate: the one place where requests are authorised and admitted, whatever door they came through.
#ifndef VARVE_SERVER_SERVICE_GATE_H_
#define VARVE_SERVER_SERVICE_GATE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "server/service/request_context.h"

namespace varve::server {

// Every request there is. A test fails when an RPC of varve.v1 has no value here, or a value no
// row.
enum class Rpc : uint8_t {
  kProduce,
  kProduceStream,
  kFetch,
  kSubscribe,
  kListOffsets,
  kDeleteRecords,
  kCreateTopic,
  kGetTopic,
  kListTopics,
  kAlterTopic,
  kDeleteTopic,
  kGetFeatures,
  kGetCluster,
  kConfirmClock,
  kDescribeBroker,
  kDescribePartitions,
  kAddPartitions,
  kMovePartition,
  kTransferLeader,
  kSetBrokerDuty,  // the last one
};
inline constexpr size_t kRpcCount = static_cast<size_t>(Rpc::kSetBrokerDuty) + 1;

// What a principal must be allowed. Resources come with authentication; until then everybody who
// reaches a door is "anonymous", and doors open on loopback only unless the configuration says
// otherwise.
enum class Right : uint8_t { kNone, kRead, kWrite, kDescribe, kCreate, kAlter, kDelete };

struct RpcRow {
  Rpc rpc;
  std::string_view method;  // "varve.v1.LogService/Produce"
  Right right;
  bool before_ready;  // answered also while the broker starts or drains
};
std::span<const RpcRow> RpcRows();
const RpcRow& RowOf(Rpc rpc);

// Of a request that names several things: at least one, at most limits::kMaxRequestItems.
// INVALID_REQUEST, REQUEST_TOO_LARGE.
absl::Status CheckItemCount(size_t items);

// Memory that a request holds; given back when destroyed. Movable.
class MemoryPermit {
 public:
  MemoryPermit() = default;
  MemoryPermit(std::shared_ptr<std::atomic<size_t>> used, size_t bytes);
  MemoryPermit(MemoryPermit&& other) noexcept;
  MemoryPermit& operator=(MemoryPermit&& other) noexcept;
  ~MemoryPermit();

 private:
  std::shared_ptr<std::atomic<size_t>> used_;
  size_t bytes_ = 0;
};

// Thread-safe.
class Gate {
 public:
  explicit Gate(const Clock& clock, size_t memory_bytes = limits::kRequestMemoryBytes);

  // Refusals: STARTING before Open, SHUTTING_DOWN after Close, BROKER_LEFT after Leave,
  // PERMISSION_DENIED, DEADLINE_EXCEEDED for a deadline that has passed, INVALID_REQUEST for a
  // context beyond the limits, OVERLOADED when `bytes` more would exceed the memory for requests.
  // The permit lives as long as the request's bytes.
  absl::StatusOr<MemoryPermit> Admit(const RequestContext& context, Rpc rpc, size_t bytes);

  // Memory for what a request that was admitted needs later on: what it reads, or the batches of a
  // stream. OVERLOADED as above.
  absl::StatusOr<MemoryPermit> Reserve(size_t bytes);

  void Open();
  void Close();
  // The broker is in its cluster no more; only what it says of itself is answered.
  void Leave();
  [[nodiscard]] bool open() const { return phase_.load() == Phase::kOpen; }
  [[nodiscard]] bool closed() const { return phase_.load() == Phase::kClosed; }
  [[nodiscard]] size_t memory_used() const { return used_->load(std::memory_order_relaxed); }
  [[nodiscard]] size_t memory_limit() const { return memory_bytes_; }

 private:
  enum class Phase : uint8_t { kStarting, kOpen, kLeft, kClosed };
  const Clock& clock_;
  const size_t memory_bytes_;
  std::atomic<Phase> phase_{Phase::kStarting};
  std::shared_ptr<std::atomic<size_t>> used_ = std::make_shared<std::atomic<size_t>>(0);
};

// Refuses the first feature of `required` that this version does not have: UNSUPPORTED_FEATURE.
absl::Status CheckFeatures(std::span<const std::string> required);
// What required_features may name, and GetFeatures answers.
std::span<const std::string_view> SupportedFeatures();

}  // namespace varve::server

#endif  // VARVE_SERVER_SERVICE_GATE_H_
