#include "server/service/gate.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/check.h"
#include "common/error.h"

namespace varve::server {
namespace {

constexpr auto kRows = std::to_array<RpcRow>({
    {Rpc::kProduce, "varve.v1.LogService/Produce", Right::kWrite, false},
    {Rpc::kProduceStream, "varve.v1.LogService/ProduceStream", Right::kWrite, false},
    {Rpc::kFetch, "varve.v1.LogService/Fetch", Right::kRead, false},
    {Rpc::kSubscribe, "varve.v1.LogService/Subscribe", Right::kRead, false},
    {Rpc::kListOffsets, "varve.v1.LogService/ListOffsets", Right::kDescribe, false},
    {Rpc::kDeleteRecords, "varve.v1.LogService/DeleteRecords", Right::kDelete, false},
    {Rpc::kCreateTopic, "varve.v1.TopicService/CreateTopic", Right::kCreate, false},
    {Rpc::kGetTopic, "varve.v1.TopicService/GetTopic", Right::kDescribe, false},
    {Rpc::kListTopics, "varve.v1.TopicService/ListTopics", Right::kDescribe, false},
    {Rpc::kAlterTopic, "varve.v1.TopicService/AlterTopic", Right::kAlter, false},
    {Rpc::kDeleteTopic, "varve.v1.TopicService/DeleteTopic", Right::kDelete, false},
    {Rpc::kGetFeatures, "varve.v1.ClusterService/GetFeatures", Right::kNone, true},
    {Rpc::kGetCluster, "varve.v1.ClusterService/GetCluster", Right::kNone, true},
    {Rpc::kConfirmClock, "varve.v1.ClusterService/ConfirmClock", Right::kAlter, false},
    {Rpc::kDescribeBroker, "varve.v1.ClusterService/DescribeBroker", Right::kDescribe, true},
    {Rpc::kDescribePartitions, "varve.v1.ClusterService/DescribePartitions", Right::kDescribe,
     false},
    {Rpc::kAddPartitions, "varve.v1.TopicService/AddPartitions", Right::kAlter, false},
    {Rpc::kMovePartition, "varve.v1.TopicService/MovePartition", Right::kAlter, false},
    {Rpc::kTransferLeader, "varve.v1.TopicService/TransferLeader", Right::kAlter, false},
    {Rpc::kSetBrokerDuty, "varve.v1.ClusterService/SetBrokerDuty", Right::kAlter, false},
});

constexpr bool RowsAreInOrder() {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].rpc != static_cast<Rpc>(i)) return false;
  return true;
}
static_assert(kRows.size() == kRpcCount, "kRows has a row for each Rpc");
static_assert(RowsAreInOrder(), "kRows is indexed by Rpc");

constexpr std::array<std::string_view, 4> kFeatures = {"produce_stream", "subscribe",
                                                       "plain_records", "append_time_lookup"};

}  // namespace

std::span<const RpcRow> RpcRows() { return kRows; }
const RpcRow& RowOf(Rpc rpc) { return kRows[static_cast<size_t>(rpc)]; }

absl::Status CheckItemCount(size_t items) {
  if (items == 0) return MakeError(Reason::INVALID_REQUEST, "the request has no items");
  if (items <= limits::kMaxRequestItems) return absl::OkStatus();
  return MakeError(Reason::REQUEST_TOO_LARGE, "the request has ", items, " items, more than ",
                   limits::kMaxRequestItems);
}

MemoryPermit::MemoryPermit(std::shared_ptr<std::atomic<size_t>> used, size_t bytes)
    : used_(std::move(used)), bytes_(bytes) {}
MemoryPermit::MemoryPermit(MemoryPermit&& other) noexcept
    : used_(std::move(other.used_)), bytes_(std::exchange(other.bytes_, 0)) {}
MemoryPermit& MemoryPermit::operator=(MemoryPermit&& other) noexcept {
  std::swap(used_, other.used_);
  std::swap(bytes_, other.bytes_);
  return *this;
}
MemoryPermit::~MemoryPermit() {
  if (used_) used_->fetch_sub(bytes_, std::memory_order_relaxed);
}

Gate::Gate(const Clock& clock, size_t memory_bytes) : clock_(clock), memory_bytes_(memory_bytes) {}

void Gate::Open() { phase_.store(Phase::kOpen, std::memory_order_release); }
void Gate::Leave() {
  Phase open = Phase::kOpen;
  phase_.compare_exchange_strong(open, Phase::kLeft);
}
void Gate::Close() { phase_.store(Phase::kClosed, std::memory_order_release); }

absl::StatusOr<MemoryPermit> Gate::Admit(const RequestContext& context, Rpc rpc, size_t bytes) {
  const RpcRow& row = RowOf(rpc);
  const Phase phase = phase_.load(std::memory_order_acquire);
  if (phase == Phase::kStarting && !row.before_ready)
    return MakeError(Reason::STARTING, "the broker is starting");
  if (phase == Phase::kClosed && !row.before_ready)
    return MakeError(Reason::SHUTTING_DOWN, "the broker is stopping");
  if (phase == Phase::kLeft && rpc != Rpc::kDescribeBroker && rpc != Rpc::kGetFeatures)
    return MakeError(Reason::BROKER_LEFT, "the broker was taken out of the cluster");
  if (context.client_id.size() > limits::kMaxClientIdBytes)
    return MakeError(Reason::INVALID_REQUEST, "the client id has ", context.client_id.size(),
                     " bytes, more than ", limits::kMaxClientIdBytes);
  if (context.name_space != "default")
    return MakeError(Reason::UNSUPPORTED_FEATURE, "namespace \"", context.name_space,
                     "\": only \"default\" exists");
  if (context.principal.empty())
    return MakeError(Reason::UNAUTHENTICATED, "the request names no principal");
  if (clock_.Now() >= context.deadline)
    return MakeError(Reason::DEADLINE_EXCEEDED, "the deadline had passed when the request arrived");
  return Reserve(bytes);
}

absl::StatusOr<MemoryPermit> Gate::Reserve(size_t bytes) {
  const size_t before = used_->fetch_add(bytes, std::memory_order_relaxed);
  MemoryPermit permit(used_, bytes);
  // A request larger than what is left waits for nobody: the client retries after a pause.
  if (before > memory_bytes_ || bytes > memory_bytes_ - before)
    return MakeError(Reason::OVERLOADED, "requests hold ", before, " bytes, and ", bytes,
                     " more would exceed ", memory_bytes_);
  return permit;
}

std::span<const std::string_view> SupportedFeatures() { return kFeatures; }

absl::Status CheckFeatures(std::span<const std::string> required) {
  for (const std::string& feature : required)
    if (std::find(kFeatures.begin(), kFeatures.end(), feature) == kFeatures.end())
      return MakeError(Reason::UNSUPPORTED_FEATURE, "feature \"", feature, "\" is not known here");
  return absl::OkStatus();
}

}  // namespace varve::server
