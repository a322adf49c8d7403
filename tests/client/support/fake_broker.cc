#include "tests/client/support/fake_broker.h"

#include <utility>

#include "common/check.h"
#include "common/record_batch.h"
#include "tests/client/support/fake_services.h"

namespace varve::testing {

v1::Status WireError(Reason reason, const std::string& text, const std::string& leader) {
  const ErrorInfo& row = InfoOf(reason);
  v1::ErrorInfo info;
  info.set_reason(std::string(row.name));
  info.set_domain("varve");
  (*info.mutable_metadata())["outcome"] = row.outcome == Outcome::NOT_APPLIED ? "NOT_APPLIED"
                                          : row.outcome == Outcome::APPLIED   ? "APPLIED"
                                                                              : "UNKNOWN";
  (*info.mutable_metadata())["retryable"] = row.retryable ? "true" : "false";
  (*info.mutable_metadata())["advice"] = std::string(row.advice);
  if (!leader.empty()) (*info.mutable_metadata())["leader_address"] = leader;
  v1::Status status;
  status.set_code(static_cast<int>(row.code));
  status.set_message(text);
  google::protobuf::Any* detail = status.add_details();
  detail->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  detail->set_value(info.SerializeAsString());
  return status;
}

grpc::Status CallError(Reason reason, const std::string& text) {
  const v1::Status status = WireError(reason, text);
  return {static_cast<grpc::StatusCode>(status.code()), text, status.SerializeAsString()};
}

FakeBroker::FakeBroker(int port)
    : log_(std::make_unique<LogService>(*this)),
      topic_service_(std::make_unique<TopicService>(*this)),
      cluster_(std::make_unique<ClusterService>(*this)) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                           &port_);
  builder.SetMaxReceiveMessageSize(16 << 20);
  builder.RegisterService(log_.get());
  builder.RegisterService(topic_service_.get());
  builder.RegisterService(cluster_.get());
  server_ = builder.BuildAndStart();
  VARVE_CHECK(server_ != nullptr && port_ != 0, "cannot listen on port ", port);
  advertised_ = address();
}

FakeBroker::~FakeBroker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

void FakeBroker::AddTopic(const std::string& name, uint32_t partitions, uint32_t max_batch_bytes) {
  std::lock_guard lock(mutex_);
  topics_[name] = Topic{std::vector<Partition>(partitions), max_batch_bytes};
}

FakeBroker::Partition* FakeBroker::Find(const std::string& topic, uint32_t partition) {
  const auto at = topics_.find(topic);
  if (at == topics_.end() || partition >= at->second.partitions.size()) return nullptr;
  return &at->second.partitions[partition];
}

absl::StatusOr<int64_t> FakeBroker::AppendLocked(Partition& partition, const std::string& batch) {
  auto summary = ValidateRecordBatch(batch, BatchLimits{.max_batch_bytes = limits::kMaxBatchBytes});
  if (!summary.ok()) return summary.status();
  Batch stored;
  stored.base_offset = partition.next_offset;
  stored.next_offset = partition.next_offset + summary->last_offset_delta + 1;
  stored.records = static_cast<uint32_t>(summary->record_count);
  stored.bytes = batch;
  StampBatch(stored.bytes.data(), Offset{stored.base_offset}, 1);
  partition.next_offset = stored.next_offset;
  partition.batches.push_back(std::move(stored));
  changed_.notify_all();
  return partition.batches.back().base_offset;
}

int64_t FakeBroker::Append(const std::string& topic, uint32_t partition, std::string batch) {
  std::lock_guard lock(mutex_);
  Partition* to = Find(topic, partition);
  VARVE_CHECK(to != nullptr);
  const auto base = AppendLocked(*to, batch);
  VARVE_CHECK(base.ok(), base.status().message());
  return to->next_offset;
}

void FakeBroker::Trim(const std::string& topic, uint32_t partition, int64_t log_start) {
  std::lock_guard lock(mutex_);
  Find(topic, partition)->log_start = log_start;
}

void FakeBroker::Damage(const std::string& topic, uint32_t partition) {
  std::lock_guard lock(mutex_);
  Find(topic, partition)->batches.back().bytes.back() ^= 1;
}

std::vector<std::string> FakeBroker::Values(const std::string& topic, uint32_t partition) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> values;
  for (const Batch& batch : Find(topic, partition)->batches) {
    RecordBatchReader reader(*RecordBatchView::Parse(batch.bytes));
    while (const RecordView* record = reader.Next()) {
      values.emplace_back(record->value.value_or("(null)"));
    }
    VARVE_CHECK(reader.status().ok());
  }
  return values;
}

std::vector<size_t> FakeBroker::RecordsPerBatch(const std::string& topic, uint32_t partition) {
  std::lock_guard lock(mutex_);
  std::vector<size_t> out;
  for (const Batch& batch : Find(topic, partition)->batches) out.push_back(batch.records);
  return out;
}

void FakeBroker::NextBatches(size_t count, ProduceFault fault) {
  std::lock_guard lock(mutex_);
  faults_left_ = count;
  fault_ = std::move(fault);
}

void FakeBroker::HoldAcks(bool hold) {
  std::lock_guard lock(mutex_);
  hold_acks_ = hold;
  changed_.notify_all();
}

void FakeBroker::SetProduceCredit(int64_t bytes, int64_t records) {
  std::lock_guard lock(mutex_);
  produce_credit_bytes_ = bytes;
  produce_credit_records_ = records;
}

void FakeBroker::Advertise(const std::string& address) {
  std::lock_guard lock(mutex_);
  advertised_ = address;
}

void FakeBroker::KnowNoLeader() {
  std::lock_guard lock(mutex_);
  leader_known_ = false;
}

void FakeBroker::FailTopicCalls(Reason reason) {
  std::lock_guard lock(mutex_);
  topic_failure_ = reason;
}

void FakeBroker::MoveProducers(const std::string& address) {
  std::lock_guard lock(mutex_);
  moved_to_ = address;
  ++producer_era_;
  changed_.notify_all();
}

void FakeBroker::DropSubscribers() {
  std::lock_guard lock(mutex_);
  ++subscriber_era_;
  changed_.notify_all();
}

void FakeBroker::SendStaleDataAfterSeek() {
  std::lock_guard lock(mutex_);
  stale_after_seek_ = true;
}

void FakeBroker::PauseDataAfter(int64_t messages) {
  std::lock_guard lock(mutex_);
  data_allowance_ = messages;
  changed_.notify_all();
}

FakeBroker::Counters FakeBroker::counters() {
  std::lock_guard lock(mutex_);
  return counters_;
}

bool FakeBroker::Await(const std::function<bool(const Counters&)>& condition) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return condition(counters_); });
}

int64_t FakeBroker::Resolve(const Partition& partition, const v1::Position& position) const {
  switch (position.at_case()) {
    case v1::Position::kOffset:
      return position.offset();
    case v1::Position::kEnd:
      return partition.next_offset;
    default:
      return partition.log_start;
  }
}

void FakeBroker::Describe(const std::string& name, const Topic& topic, v1::Topic* out) const {
  out->set_name(name);
  out->set_id(std::string(16, '\x5a'));
  out->set_replication_factor(1);
  out->mutable_config()->set_max_batch_bytes(topic.max_batch_bytes);
  out->set_partition_count(static_cast<uint32_t>(topic.partitions.size()));
  out->set_state("ready");
  for (uint32_t i = 0; i < topic.partitions.size(); ++i) {
    v1::Partition* partition = out->add_partitions();
    partition->set_partition(i);
    partition->set_leader_node(leader_known_ ? 1 : 0);
    partition->set_high_watermark(topic.partitions[i].next_offset);
    partition->set_log_start(topic.partitions[i].log_start);
  }
}

grpc::Status FakeBroker::TopicService::CreateTopic(grpc::ServerContext*,
                                                   const v1::CreateTopicRequest* request,
                                                   v1::CreateTopicReply* reply) {
  std::lock_guard lock(broker_.mutex_);
  if (broker_.topics_.count(request->name()) != 0) {
    return CallError(Reason::TOPIC_EXISTS, "topic \"" + request->name() + "\" exists");
  }
  Topic& topic = broker_.topics_[request->name()];
  topic.partitions.resize(std::max(1u, request->partitions()));
  topic.max_batch_bytes = request->config().max_batch_bytes();
  broker_.Describe(request->name(), topic, reply->mutable_topic());
  return grpc::Status::OK;
}

grpc::Status FakeBroker::TopicService::GetTopic(grpc::ServerContext*,
                                                const v1::GetTopicRequest* request,
                                                v1::GetTopicReply* reply) {
  std::lock_guard lock(broker_.mutex_);
  ++broker_.counters_.topic_calls;
  broker_.changed_.notify_all();
  if (broker_.topic_failure_ != Reason::OK)
    return CallError(broker_.topic_failure_, "as the test asks");
  const auto at = broker_.topics_.find(request->name());
  if (at == broker_.topics_.end()) {
    return CallError(Reason::UNKNOWN_TOPIC, "topic \"" + request->name() + "\" does not exist");
  }
  broker_.Describe(at->first, at->second, reply->mutable_topic());
  return grpc::Status::OK;
}

// Pages of two, so that clients must turn them.
grpc::Status FakeBroker::TopicService::ListTopics(grpc::ServerContext*,
                                                  const v1::ListTopicsRequest* request,
                                                  v1::ListTopicsReply* reply) {
  std::lock_guard lock(broker_.mutex_);
  auto at = broker_.topics_.upper_bound(request->page_token());
  for (int i = 0; i < 2 && at != broker_.topics_.end(); ++i, ++at) {
    broker_.Describe(at->first, at->second, reply->add_topics());
    reply->set_next_page_token(at->first);
  }
  if (at == broker_.topics_.end()) reply->clear_next_page_token();
  return grpc::Status::OK;
}

grpc::Status FakeBroker::TopicService::DeleteTopic(grpc::ServerContext*,
                                                   const v1::DeleteTopicRequest* request,
                                                   v1::DeleteTopicReply*) {
  std::lock_guard lock(broker_.mutex_);
  if (broker_.topics_.erase(request->name()) == 0) {
    return CallError(Reason::UNKNOWN_TOPIC, "topic \"" + request->name() + "\" does not exist");
  }
  return grpc::Status::OK;
}

grpc::Status FakeBroker::ClusterService::GetFeatures(grpc::ServerContext*,
                                                     const v1::GetFeaturesRequest*,
                                                     v1::GetFeaturesReply* reply) {
  reply->set_version("fake");
  reply->add_features("streams");
  reply->set_max_batch_bytes(8 << 20);
  return grpc::Status::OK;
}

grpc::Status FakeBroker::ClusterService::GetCluster(grpc::ServerContext*,
                                                    const v1::GetClusterRequest*,
                                                    v1::GetClusterReply* reply) {
  std::lock_guard lock(broker_.mutex_);
  reply->set_cluster_id(std::string(16, '\x21'));
  reply->set_answering_node(1);
  v1::Broker* broker = reply->add_brokers();
  broker->set_node(1);
  broker->set_address(broker_.advertised_);
  return grpc::Status::OK;
}

}  // namespace varve::testing
