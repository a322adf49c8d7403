#include "tests/integration/support/raw_client.h"

namespace varve::testing {
namespace {

constexpr int kLargestMessage = 64 << 20;  // far beyond what the broker takes

}  // namespace

Answer AnswerOf(const v1::Status& status) {
  if (status.code() == 0) return {.reason = "OK"};
  v1::ErrorInfo info;
  if (status.details_size() != 1 || !info.ParseFromString(status.details(0).value()))
    return {.reason = "WITHOUT_DETAILS", .message = status.message()};
  const auto& metadata = info.metadata();
  const auto get = [&](const char* key) {
    const auto at = metadata.find(key);
    return at == metadata.end() ? std::string() : at->second;
  };
  return {info.reason(), status.message(), get("outcome"), get("advice")};
}

Answer AnswerOf(const grpc::Status& status) {
  if (status.ok()) return {.reason = "OK"};
  v1::Status details;
  if (!status.error_details().empty() && details.ParseFromString(status.error_details()))
    return AnswerOf(details);
  return {.reason = "grpc " + std::to_string(status.error_code()),
          .message = status.error_message()};
}

RawClient::RawClient(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kLargestMessage);
  arguments.SetMaxSendMessageSize(kLargestMessage);
  // A connection of its own, whatever other clients of the process do.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  log_ = v1::LogService::NewStub(channel_);
  topics_ = v1::TopicService::NewStub(channel_);
  cluster_ = v1::ClusterService::NewStub(channel_);
}

std::unique_ptr<grpc::ClientContext> RawClient::Context(std::chrono::milliseconds timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + timeout);
  context->set_wait_for_ready(true);
  return context;
}

Answer RawClient::CreateTopic(const std::string& name, uint32_t partitions) {
  v1::CreateTopicRequest request;
  request.set_name(name);
  request.set_partitions(partitions);
  v1::CreateTopicReply reply;
  return AnswerOf(topics_->CreateTopic(Context().get(), request, &reply));
}

Answer RawClient::Produce(const std::string& topic, uint32_t partition, const std::string& batch,
                          int64_t* offset) {
  v1::ProduceRequest request;
  request.set_topic(topic);
  auto* item = request.add_items();
  item->set_partition(partition);
  item->set_batch(batch);
  v1::ProduceReply reply;
  const grpc::Status status = log_->Produce(Context().get(), request, &reply);
  if (!status.ok()) return AnswerOf(status);
  if (reply.results_size() != 1) return {.reason = "NO_RESULT"};
  if (offset != nullptr) *offset = reply.results(0).base_offset();
  return AnswerOf(reply.results(0).error());
}

Answer RawClient::Fetch(const std::string& topic, uint32_t partition, int64_t offset,
                        v1::FetchResult* result) {
  v1::FetchRequest request;
  request.set_plain_records(true);
  request.set_max_bytes(8 << 20);
  auto* asked = request.add_partitions();
  asked->set_topic(topic);
  asked->set_partition(partition);
  asked->set_offset(offset);
  v1::FetchReply reply;
  const grpc::Status status = log_->Fetch(Context().get(), request, &reply);
  if (!status.ok()) return AnswerOf(status);
  if (reply.results_size() != 1) return {.reason = "NO_RESULT"};
  if (result != nullptr) *result = reply.results(0);
  return AnswerOf(reply.results(0).error());
}

}  // namespace varve::testing
