// The services of FakeBroker.
#ifndef VARVE_TESTS_CLIENT_SUPPORT_FAKE_SERVICES_H_
#define VARVE_TESTS_CLIENT_SUPPORT_FAKE_SERVICES_H_

#include <map>
#include <string>

#include "tests/client/support/fake_broker.h"

namespace varve::testing {

class FakeBroker::LogService : public v1::LogService::Service {
 public:
  explicit LogService(FakeBroker& broker) : broker_(broker) {}
  grpc::Status ProduceStream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::ProduceStreamReply, v1::ProduceStreamRequest>* stream) override;
  grpc::Status Subscribe(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::SubscribeReply, v1::SubscribeRequest>* stream) override;
  grpc::Status ListOffsets(grpc::ServerContext* context, const v1::ListOffsetsRequest* request,
                           v1::ListOffsetsReply* reply) override;

 private:
  class ProduceSession;
  class SubscribeSession;
  FakeBroker& broker_;
};

class FakeBroker::TopicService : public v1::TopicService::Service {
 public:
  explicit TopicService(FakeBroker& broker) : broker_(broker) {}
  grpc::Status CreateTopic(grpc::ServerContext* context, const v1::CreateTopicRequest* request,
                           v1::CreateTopicReply* reply) override;
  grpc::Status GetTopic(grpc::ServerContext* context, const v1::GetTopicRequest* request,
                        v1::GetTopicReply* reply) override;
  grpc::Status ListTopics(grpc::ServerContext* context, const v1::ListTopicsRequest* request,
                          v1::ListTopicsReply* reply) override;
  grpc::Status DeleteTopic(grpc::ServerContext* context, const v1::DeleteTopicRequest* request,
                           v1::DeleteTopicReply* reply) override;

 private:
  FakeBroker& broker_;
};

class FakeBroker::ClusterService : public v1::ClusterService::Service {
 public:
  explicit ClusterService(FakeBroker& broker) : broker_(broker) {}
  grpc::Status GetFeatures(grpc::ServerContext* context, const v1::GetFeaturesRequest* request,
                           v1::GetFeaturesReply* reply) override;
  grpc::Status GetCluster(grpc::ServerContext* context, const v1::GetClusterRequest* request,
                          v1::GetClusterReply* reply) override;

 private:
  FakeBroker& broker_;
};

}  // namespace varve::testing

#endif  // VARVE_TESTS_CLIENT_SUPPORT_FAKE_SERVICES_H_
