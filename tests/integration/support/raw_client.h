// RawClient: the gRPC API without the client library, so that a test may send what no library
// would.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_RAW_CLIENT_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_RAW_CLIENT_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "varve/v1/cluster.grpc.pb.h"
#include "varve/v1/error.pb.h"
#include "varve/v1/log.grpc.pb.h"
#include "varve/v1/topic.grpc.pb.h"

namespace varve::testing {

// What became of a request: its reason ("OK" for success) and text.
struct Answer {
  std::string reason;
  std::string message;
  std::string outcome;  // "NOT_APPLIED", ...
  std::string advice;
};
Answer AnswerOf(const v1::Status& status);
// From the details of a failed call; the reason is the gRPC code in words when there are none.
Answer AnswerOf(const grpc::Status& status);

// Blocking calls, each on a connection shared by the object. Thread-safe.
class RawClient {
 public:
  explicit RawClient(const std::string& address);

  // A context with a deadline.
  static std::unique_ptr<grpc::ClientContext> Context(
      std::chrono::milliseconds timeout = std::chrono::seconds(20));

  Answer CreateTopic(const std::string& name, uint32_t partitions);
  // One batch, as it is; `offset` gets where it went.
  Answer Produce(const std::string& topic, uint32_t partition, const std::string& batch,
                 int64_t* offset = nullptr);
  Answer Fetch(const std::string& topic, uint32_t partition, int64_t offset,
               v1::FetchResult* result = nullptr);

  v1::LogService::Stub& log() { return *log_; }
  v1::TopicService::Stub& topics() { return *topics_; }
  v1::ClusterService::Stub& cluster() { return *cluster_; }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LogService::Stub> log_;
  std::unique_ptr<v1::TopicService::Stub> topics_;
  std::unique_ptr<v1::ClusterService::Stub> cluster_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_RAW_CLIENT_H_
