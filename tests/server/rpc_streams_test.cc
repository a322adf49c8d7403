// Streams and calls over real gRPC on loopback, with raw stubs: clients that leave, flood or wait.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/executor.h"
#include "common/file_system.h"
#include "common/random.h"
#include "common/record_batch_builder.h"
#include "server/broker.h"
#include "server/rpc/grpc_server.h"
#include "storage/state_store.h"
#include "varve/v1/log.grpc.pb.h"
#include "varve/v1/topic.grpc.pb.h"

namespace varve::server {
namespace {

using Seconds = std::chrono::seconds;

class RpcStreamsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* base = std::getenv("TEST_TMPDIR");
    directory_ = std::string(base == nullptr ? "/tmp" : base) + "/rpc_streams_" +
                 std::to_string(::getpid()) + "_" +
                 ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(directory_);
    BrokerExecutors executors;
    executors.shards = {Make("shard-0"), Make("shard-1")};
    executors.storage.journal = Make("journal");
    executors.storage.segments = Make("segments");
    executors.storage.sync = Make("sync");
    executors.storage.reader = Make("reader");
    executors.background = Make("background");
    timers_ = Make("timers");
    BrokerOptions options;
    options.directory.path = directory_ + "/data";
    options.directory.node = NodeId(1);
    options.directory.journal.file_bytes = 8 << 20;
    auto opened = Broker::Open(RealFileSystem(), RealClock(), *random_,
                               storage::OpenMemoryStateStore(storage::NewMemoryStateDisk()),
                               options, executors);
    ASSERT_TRUE(opened.ok()) << opened.status();
    broker_ = std::move(*opened);
    std::promise<absl::Status> ready;
    broker_->Start([&](absl::Status status) { ready.set_value(std::move(status)); });
    ASSERT_TRUE(ready.get_future().get().ok());
    auto server =
        GrpcServer::Start({.address = "127.0.0.1:0"}, broker_->service(), RealClock(), *timers_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                   grpc::InsecureChannelCredentials());
    log_ = v1::LogService::NewStub(channel_);
    CreateTopic("t", 4);
  }
  void TearDown() override {
    server_->Shutdown(2 * kSecond);
    server_.reset();
    // Reactors are deleted there.
    std::promise<void> deleted;
    timers_->Post([&] { deleted.set_value(); });
    deleted.get_future().wait();
    std::promise<absl::Status> stopped;
    broker_->Stop([&](absl::Status status) { stopped.set_value(std::move(status)); });
    EXPECT_TRUE(stopped.get_future().get().ok());
    EXPECT_EQ(broker_->gate().memory_used(), 0u);
    EXPECT_EQ(broker_->metrics().produce_sessions.load(), 0);
    executors_.clear();
    broker_.reset();
    std::filesystem::remove_all(directory_);
  }

  Executor* Make(const char* name) {
    executors_.push_back(ThreadExecutor(name));
    return executors_.back().get();
  }
  void CreateTopic(const std::string& name, uint32_t partitions) {
    auto topics = v1::TopicService::NewStub(channel_);
    grpc::ClientContext context;
    v1::CreateTopicRequest request;
    request.set_name(name);
    request.set_partitions(partitions);
    v1::CreateTopicReply reply;
    const grpc::Status status = topics->CreateTopic(&context, request, &reply);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  static std::string Batch(const std::string& value) {
    RecordBatchBuilder builder;
    EXPECT_TRUE(builder.Add(RealClock().Wall(), {}, value, {}).ok());
    return *builder.Build();
  }
  static v1::ProduceStreamRequest OpenMessage(uint32_t handle) {
    v1::ProduceStreamRequest request;
    request.mutable_open()->set_handle(handle);
    request.mutable_open()->set_topic("t");
    return request;
  }
  static v1::ProduceStreamRequest BatchMessage(uint64_t id, uint32_t partition,
                                               const std::string& batch) {
    v1::ProduceStreamRequest request;
    request.mutable_batch()->set_request_id(id);
    request.mutable_batch()->set_handle(1);
    request.mutable_batch()->set_partition(partition);
    request.mutable_batch()->set_batch(batch);
    return request;
  }
  static v1::SubscribeRequest SubscribeMessage() {
    v1::SubscribeRequest request;
    for (uint32_t p = 0; p < 4; ++p) {
      auto* partition = request.mutable_open()->add_partitions();
      partition->set_handle(p);
      partition->set_topic("t");
      partition->set_partition(p);
      partition->mutable_from()->set_start(true);
    }
    request.mutable_open()->mutable_credit()->set_bytes(1 << 20);
    request.mutable_open()->mutable_credit()->set_records(1 << 20);
    return request;
  }
  static v1::FetchRequest LongFetch() {
    v1::FetchRequest request;
    auto* partition = request.add_partitions();
    partition->set_topic("t");
    partition->set_partition(3);
    request.set_min_bytes(1);
    request.set_max_wait_ms(50'000);
    return request;
  }

  std::string directory_;
  const std::unique_ptr<Random> random_ = SystemRandom();
  std::vector<std::unique_ptr<Executor>> executors_;
  Executor* timers_ = nullptr;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LogService::Stub> log_;
};

TEST_F(RpcStreamsTest, AfterHalfCloseEveryBatchIsAnsweredAndTheCallEnds) {
  const std::string batch = Batch("value");
  for (int round = 0; round < 20; ++round) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + Seconds(30));
    auto stream = log_->ProduceStream(&context);
    ASSERT_TRUE(stream->Write(OpenMessage(1)));
    for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(stream->Write(BatchMessage(i, i % 3, batch)));
    ASSERT_TRUE(stream->WritesDone());
    int acks = 0;
    int64_t last[3] = {-1, -1, -1};
    v1::ProduceStreamReply reply;
    while (stream->Read(&reply)) {
      if (!reply.has_ack()) continue;
      ++acks;
      EXPECT_FALSE(reply.ack().has_error());
      EXPECT_GT(reply.ack().base_offset(), last[reply.ack().partition()]);
      last[reply.ack().partition()] = reply.ack().base_offset();
    }
    EXPECT_TRUE(stream->Finish().ok());
    EXPECT_EQ(acks, 100);
  }
}

TEST_F(RpcStreamsTest, ClientsThatLeaveAtAnyMomentLeaveNothingBehind) {
  const std::string batch = Batch(std::string(5000, 'x'));
  std::vector<std::thread> clients;
  clients.reserve(4);
  for (int worker = 0; worker < 4; ++worker)
    clients.emplace_back([&, worker] {
      for (int i = 0; i < 60; ++i) {
        grpc::ClientContext produce, subscribe, fetch;
        auto out = log_->ProduceStream(&produce);
        auto in = log_->Subscribe(&subscribe);
        out->Write(OpenMessage(1));
        in->Write(SubscribeMessage());
        for (int k = 0; k < (i + worker) % 8; ++k)
          out->Write(BatchMessage(static_cast<uint64_t>(k), static_cast<uint32_t>(k % 3), batch));
        v1::SubscribeReply seen;
        if (i % 3 != 0) in->Read(&seen);
        std::thread unary([&] {
          v1::FetchReply reply;
          const grpc::Status status = log_->Fetch(&fetch, LongFetch(), &reply);
          EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
        });
        produce.TryCancel();
        subscribe.TryCancel();
        fetch.TryCancel();
        out->Finish();
        in->Finish();
        unary.join();
      }
    });
  for (std::thread& client : clients) client.join();
}

// A client that asks without reading: the broker stops taking its requests, and goes on when it
// reads; every request has its answer.
TEST_F(RpcStreamsTest, AFloodOfRequestsIsHeldBackAndAnsweredInFull) {
  constexpr int kOpens = 60'000;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Seconds(120));
  auto stream = log_->ProduceStream(&context);
  std::atomic<int> sent{0};
  std::thread writer([&] {
    for (int i = 0; i < kOpens && stream->Write(OpenMessage(static_cast<uint32_t>(i))); ++i) ++sent;
    stream->WritesDone();
  });
  int opened = 0;
  v1::ProduceStreamReply reply;
  while (stream->Read(&reply)) opened += reply.has_opened() ? 1 : 0;
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(sent.load(), kOpens);
  EXPECT_EQ(opened, kOpens);
}

TEST_F(RpcStreamsTest, ADrainDoesNotWaitForThePatienceOfAFetch) {
  constexpr int kCalls = 8;
  std::vector<grpc::ClientContext> contexts(kCalls);
  std::vector<v1::FetchReply> replies(kCalls);
  std::vector<std::promise<grpc::Status>> ends(kCalls);
  const v1::FetchRequest request = LongFetch();
  for (int i = 0; i < kCalls; ++i)
    log_->async()->Fetch(&contexts[i], &request, &replies[i],
                         [&ends, i](grpc::Status status) { ends[i].set_value(std::move(status)); });
  // One connection carries them in order: what it answers now came after them.
  grpc::ClientContext context;
  v1::FetchRequest quick = LongFetch();
  quick.set_max_wait_ms(0);
  v1::FetchReply reply;
  ASSERT_TRUE(log_->Fetch(&context, quick, &reply).ok());
  const auto began = std::chrono::steady_clock::now();
  server_->Shutdown(kSecond);
  const auto took = std::chrono::steady_clock::now() - began;
  EXPECT_GE(took, std::chrono::milliseconds(900)) << "no fetch was under way";
  EXPECT_LT(took, Seconds(20));
  for (auto& end : ends) EXPECT_FALSE(end.get_future().get().ok());
}

}  // namespace
}  // namespace varve::server
