#include "server/rpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <utility>

#include "common/error.h"
#include "common/limits.h"
#include "server/rpc/call_context.h"
#include "server/rpc/produce_stream.h"
#include "server/rpc/subscribe_stream.h"
#include "varve/v1/cluster.grpc.pb.h"
#include "varve/v1/log.grpc.pb.h"
#include "varve/v1/topic.grpc.pb.h"

namespace varve::server {

RequestContext ContextOf(const grpc::CallbackServerContext& call, const Clock& clock) {
  RequestContext context;
  context.listener = "grpc";
  context.cancellation = std::make_shared<Cancellation>();
  const auto left = call.deadline() - std::chrono::system_clock::now();
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
  // No deadline is one of centuries.
  context.deadline = clock.Now() + std::min<Nanos>(nanos, kDefaultDeadline);
  const auto& metadata = call.client_metadata();
  if (const auto at = metadata.find("varve-client-id"); at != metadata.end())
    context.client_id.assign(at->second.data(), at->second.size());
  if (const auto at = metadata.find("traceparent"); at != metadata.end())
    context.trace.assign(at->second.data(), at->second.size());
  return context;
}

namespace {

namespace v1 = varve::v1;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

class LogDoor final : public v1::LogService::CallbackService {
 public:
  explicit LogDoor(const DoorParts& parts) : parts_(parts) {}
  ServerUnaryReactor* Produce(CallbackServerContext* call, const v1::ProduceRequest* request,
                              v1::ProduceReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply, &BrokerService::Produce);
  }
  ServerUnaryReactor* Fetch(CallbackServerContext* call, const v1::FetchRequest* request,
                            v1::FetchReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply, &BrokerService::Fetch);
  }
  ServerUnaryReactor* ListOffsets(CallbackServerContext* call,
                                  const v1::ListOffsetsRequest* request,
                                  v1::ListOffsetsReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::ListOffsets);
  }
  ServerUnaryReactor* DeleteRecords(CallbackServerContext* call,
                                    const v1::DeleteRecordsRequest* request,
                                    v1::DeleteRecordsReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::DeleteRecords);
  }
  grpc::ServerBidiReactor<v1::ProduceStreamRequest, v1::ProduceStreamReply>* ProduceStream(
      CallbackServerContext* call) override {
    return new server::ProduceStream(parts_, call);
  }
  grpc::ServerBidiReactor<v1::SubscribeRequest, v1::SubscribeReply>* Subscribe(
      CallbackServerContext* call) override {
    return new SubscribeStream(parts_, call);
  }

 private:
  const DoorParts parts_;
};

class TopicDoor final : public v1::TopicService::CallbackService {
 public:
  explicit TopicDoor(const DoorParts& parts) : parts_(parts) {}
  ServerUnaryReactor* CreateTopic(CallbackServerContext* call,
                                  const v1::CreateTopicRequest* request,
                                  v1::CreateTopicReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::CreateTopic);
  }
  ServerUnaryReactor* GetTopic(CallbackServerContext* call, const v1::GetTopicRequest* request,
                               v1::GetTopicReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply, &BrokerService::GetTopic);
  }
  ServerUnaryReactor* ListTopics(CallbackServerContext* call, const v1::ListTopicsRequest* request,
                                 v1::ListTopicsReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::ListTopics);
  }
  ServerUnaryReactor* AlterTopic(CallbackServerContext* call, const v1::AlterTopicRequest* request,
                                 v1::AlterTopicReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::AlterTopic);
  }
  ServerUnaryReactor* AddPartitions(CallbackServerContext* call,
                                    const v1::AddPartitionsRequest* request,
                                    v1::AddPartitionsReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::AddPartitions);
  }
  ServerUnaryReactor* MovePartition(CallbackServerContext* call,
                                    const v1::MovePartitionRequest* request,
                                    v1::MovePartitionReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::MovePartition);
  }
  ServerUnaryReactor* TransferLeader(CallbackServerContext* call,
                                     const v1::TransferLeaderRequest* request,
                                     v1::TransferLeaderReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::TransferLeader);
  }
  ServerUnaryReactor* DeleteTopic(CallbackServerContext* call,
                                  const v1::DeleteTopicRequest* request,
                                  v1::DeleteTopicReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::DeleteTopic);
  }

 private:
  const DoorParts parts_;
};

class ClusterDoor final : public v1::ClusterService::CallbackService {
 public:
  explicit ClusterDoor(const DoorParts& parts) : parts_(parts) {}
  ServerUnaryReactor* GetFeatures(CallbackServerContext* call,
                                  const v1::GetFeaturesRequest* request,
                                  v1::GetFeaturesReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::GetFeatures);
  }
  ServerUnaryReactor* GetCluster(CallbackServerContext* call, const v1::GetClusterRequest* request,
                                 v1::GetClusterReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::GetCluster);
  }
  ServerUnaryReactor* SetBrokerDuty(CallbackServerContext* call,
                                    const v1::SetBrokerDutyRequest* request,
                                    v1::SetBrokerDutyReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::SetBrokerDuty);
  }
  ServerUnaryReactor* ConfirmClock(CallbackServerContext* call,
                                   const v1::ConfirmClockRequest* request,
                                   v1::ConfirmClockReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::ConfirmClock);
  }
  ServerUnaryReactor* DescribeBroker(CallbackServerContext* call,
                                     const v1::DescribeBrokerRequest* request,
                                     v1::DescribeBrokerReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::DescribeBroker);
  }
  ServerUnaryReactor* DescribePartitions(CallbackServerContext* call,
                                         const v1::DescribePartitionsRequest* request,
                                         v1::DescribePartitionsReply* reply) override {
    return CallUnary(parts_.service, parts_.clock, call, request, reply,
                     &BrokerService::DescribePartitions);
  }

 private:
  const DoorParts parts_;
};

class GrpcServerImpl final : public GrpcServer {
 public:
  GrpcServerImpl(BrokerService& service, const Clock& clock, Executor& timers)
      : parts_{service, clock, timers, streams_}, log_(parts_), topics_(parts_), cluster_(parts_) {}
  ~GrpcServerImpl() override { Shutdown(0); }

  absl::Status Listen(const GrpcServerOptions& options);
  [[nodiscard]] int port() const override { return port_; }
  void SetServing(bool serving) override {
    auto* health = server_->GetHealthCheckService();
    health->SetServingStatus("varve.v1.LogService", serving);
    health->SetServingStatus("ready", serving);
  }
  void Shutdown(Nanos grace) override {
    if (!server_ || std::exchange(down_, true)) return;
    SetServing(false);
    streams_.MoveAll();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::nanoseconds(grace));
    server_->Wait();
  }

 private:
  OpenStreams streams_;
  const DoorParts parts_;
  LogDoor log_;
  TopicDoor topics_;
  ClusterDoor cluster_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool down_ = false;
};

absl::Status GrpcServerImpl::Listen(const GrpcServerOptions& options) {
  // Process-wide registrations of the library; repeating them is harmless.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&log_);
  builder.RegisterService(&topics_);
  builder.RegisterService(&cluster_);
  builder.SetMaxReceiveMessageSize(static_cast<int>(limits::kMaxRequestBytes));
  builder.SetMaxSendMessageSize(static_cast<int>(limits::kMaxRequestBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(limits::kMaxMetadataBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 1000);
  // Two brokers must never share a port, and clients may ping (the library's default punishes
  // that).
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0)
    return MakeError(Reason::ADDRESS_IN_USE, "cannot listen on ", options.address,
                     " (in use, or not an address of this machine)");
  SetServing(false);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(GrpcServerOptions options,
                                                              BrokerService& service,
                                                              const Clock& clock,
                                                              Executor& timers) {
  auto server = std::make_unique<GrpcServerImpl>(service, clock, timers);
  VARVE_RETURN_IF_ERROR(server->Listen(options));
  return std::unique_ptr<GrpcServer>(std::move(server));
}

}  // namespace varve::server
