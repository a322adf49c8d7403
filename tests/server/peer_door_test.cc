// Hello and Join over real sockets.
#include "server/rpc/peer_door.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "common/error.h"
#include "common/error_detail.h"
#include "common/executor.h"
#include "server/rpc/peer_client.h"

namespace varve::server {
namespace {

BrokerInfo BrokerOf(uint32_t node) {
  BrokerInfo broker;
  broker.node = NodeId(node);
  broker.directory.bytes.fill(static_cast<uint8_t>(node));
  broker.client_address = StrCat("host-", node, ":9640");
  broker.peer_address = StrCat("host-", node, ":9641");
  return broker;
}

// Answers on an executor, as a broker would; or keeps the question.
class FakePeerService final : public PeerService {
 public:
  void Hello(HelloRequest request, Reply<HelloReply> reply) override {
    executor_->Post([this, request, reply = std::move(reply)]() mutable {
      if (request.node == NodeId(99)) {
        kept_ = std::move(reply);
        return asked_.set_value();
      }
      HelloReply answer;
      answer.node = NodeId(2);
      answer.cluster = request.cluster;
      answer.directory.bytes.fill(5);
      answer.process_epoch = 12;
      answer.directory_empty = true;
      answer.controller = NodeId(3);
      answer.brokers = {BrokerOf(2), BrokerOf(3)};
      reply(std::move(answer));
    });
  }
  void Report(ReportRequest request, Reply<ReportReply> reply) override {
    executor_->Post([this, request = std::move(request), reply = std::move(reply)]() mutable {
      reported_.set_value(std::move(request.reports));
      reply(ReportReply{});
    });
  }
  void Transfer(TransferRequest request, Reply<TransferReply> reply) override {
    executor_->Post([request, reply = std::move(reply)]() mutable {
      if (request.group == GroupId(70000) && request.to == NodeId(3)) return reply(TransferReply{});
      reply(MakeError(Reason::OVERLOADED, "the broker drains"));
    });
  }
  std::vector<ReplicaReport> AwaitReports() { return reported_.get_future().get(); }
  void Join(JoinRequest request, Reply<JoinReply> reply) override {
    executor_->Post([request, reply = std::move(reply)]() mutable {
      if (request.broker.node == NodeId(7))
        return reply(MakeError(Reason::FOREIGN_DIRECTORY, "node 7 has another directory"));
      if (request.broker.node == NodeId(8)) {
        absl::Status elsewhere = MakeError(Reason::NOT_LEADER, "node 3 is the controller");
        SetErrorDetail("leader_address", "host-3:9641", &elsewhere);
        return reply(elsewhere);
      }
      JoinReply answer;
      answer.cluster.bytes.fill(4);
      answer.metadata_epoch = ReplicaEpoch(6);
      answer.brokers = {request.broker};
      reply(std::move(answer));
    });
  }
  void AnswerKept() {
    std::promise<void> done;
    executor_->Post([&] {
      kept_(HelloReply{});
      done.set_value();
    });
    done.get_future().wait();
  }
  std::future<void> asked() { return asked_.get_future(); }

 private:
  std::unique_ptr<Executor> executor_ = ThreadExecutor("service");
  Reply<HelloReply> kept_;
  std::promise<void> asked_;
  std::promise<std::vector<ReplicaReport>> reported_;
};

class PeerDoorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto door = PeerDoor::Start({.address = "127.0.0.1:0"});
    ASSERT_TRUE(door.ok()) << door.status();
    door_ = std::move(*door);
    address_ = StrCat("127.0.0.1:", door_->port());
  }
  absl::StatusOr<HelloReply> Hello(HelloRequest request, Nanos timeout = 30 * kSecond) {
    std::promise<absl::StatusOr<HelloReply>> answer;
    client_->Hello(address_, request, timeout,
                   [&](absl::StatusOr<HelloReply> got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }
  absl::StatusOr<JoinReply> Join(JoinRequest request) {
    std::promise<absl::StatusOr<JoinReply>> answer;
    client_->Join(address_, std::move(request), 30 * kSecond,
                  [&](absl::StatusOr<JoinReply> got) { answer.set_value(std::move(got)); });
    return answer.get_future().get();
  }

  absl::Status Transfer(uint64_t group, uint32_t node) {
    std::promise<absl::Status> answer;
    client_->Transfer(
        address_, {.group = GroupId(group), .to = NodeId(node)}, 30 * kSecond,
        [&](const absl::StatusOr<TransferReply>& got) { answer.set_value(got.status()); });
    return answer.get_future().get();
  }
  absl::Status Report(std::vector<ReplicaReport> reports) {
    std::promise<absl::Status> answer;
    client_->Report(
        address_, {.reports = std::move(reports)}, 30 * kSecond,
        [&](const absl::StatusOr<ReportReply>& got) { answer.set_value(got.status()); });
    return answer.get_future().get();
  }

  std::unique_ptr<Executor> loop_ = ThreadExecutor("links");
  FakePeerService service_;
  std::unique_ptr<PeerDoor> door_;
  std::unique_ptr<PeerClient> client_ = NewPeerClient(*loop_);
  std::string address_;
};

TEST_F(PeerDoorTest, AnswersStartingUntilThereIsAService) {
  EXPECT_EQ(ReasonOf(Hello({.node = NodeId(1)}).status()), Reason::STARTING);
  EXPECT_EQ(ReasonOf(Join({.broker = BrokerOf(1)}).status()), Reason::STARTING);
  door_->SetService(&service_);
  EXPECT_TRUE(Hello({.node = NodeId(1)}).ok());
  door_->SetService(nullptr);
  EXPECT_EQ(ReasonOf(Hello({.node = NodeId(1)}).status()), Reason::STARTING);
}

TEST_F(PeerDoorTest, EveryFieldArrives) {
  door_->SetService(&service_);
  HelloRequest request{.node = NodeId(1)};
  request.cluster.bytes.fill(4);
  const auto hello = Hello(request);
  ASSERT_TRUE(hello.ok()) << hello.status();
  EXPECT_EQ(hello->node, NodeId(2));
  EXPECT_EQ(hello->cluster, request.cluster);
  EXPECT_EQ(hello->directory.bytes[15], 5);
  EXPECT_EQ(hello->process_epoch, 12u);
  EXPECT_TRUE(hello->directory_empty);
  EXPECT_EQ(hello->controller, NodeId(3));
  EXPECT_EQ(hello->brokers, (std::vector<BrokerInfo>{BrokerOf(2), BrokerOf(3)}));
  EXPECT_TRUE(Hello({.node = NodeId(1)})->cluster.empty()) << "empty stays empty";
  const auto join = Join({.broker = BrokerOf(1)});
  ASSERT_TRUE(join.ok()) << join.status();
  EXPECT_EQ(join->cluster, request.cluster);
  EXPECT_EQ(join->metadata_epoch, ReplicaEpoch(6));
  EXPECT_EQ(join->brokers, std::vector<BrokerInfo>{BrokerOf(1)});
}

TEST_F(PeerDoorTest, ReportsArriveWhole) {
  door_->SetService(&service_);
  using Kind = ReplicaReport::Kind;
  const ReplicaId first{NodeId(1), ReplicaEpoch(4)};
  const ReplicaId second{NodeId(2), ReplicaEpoch(1)};
  const std::vector<ReplicaReport> told = {{Kind::kGoalReached, GroupId(70000), {first, second}},
                                           {Kind::kSuspect, GroupId(70001), {second}},
                                           {Kind::kRemoved, GroupId(70002), {first}}};
  EXPECT_TRUE(Report(told).ok());
  EXPECT_EQ(service_.AwaitReports(), told);
}

TEST_F(PeerDoorTest, ReportsThatSayNothingAreRefused) {
  door_->SetService(&service_);
  using Kind = ReplicaReport::Kind;
  const ReplicaId replica{NodeId(1), ReplicaEpoch(4)};
  EXPECT_EQ(ReasonOf(Report({{Kind::kGoalReached, GroupId(), {replica}}})),
            Reason::INVALID_REQUEST);
  EXPECT_EQ(ReasonOf(Report({{Kind{9}, GroupId(70000), {replica}}})), Reason::INVALID_REQUEST);
  EXPECT_EQ(ReasonOf(Report({{Kind::kSuspect, GroupId(70000), {ReplicaId{}}}})),
            Reason::INVALID_REQUEST);
}

TEST_F(PeerDoorTest, AHandOverIsAskedForByGroupAndNode) {
  door_->SetService(&service_);
  EXPECT_TRUE(Transfer(70000, 3).ok());
  EXPECT_EQ(ReasonOf(Transfer(70000, 4)), Reason::OVERLOADED);
  EXPECT_EQ(ReasonOf(Transfer(70000, 0)), Reason::INVALID_REQUEST);
}

TEST_F(PeerDoorTest, AnErrorKeepsItsReasonAndText) {
  door_->SetService(&service_);
  const absl::Status refused = Join({.broker = BrokerOf(7)}).status();
  EXPECT_EQ(ReasonOf(refused), Reason::FOREIGN_DIRECTORY);
  EXPECT_NE(MessageOf(refused).find("node 7 has another directory"), std::string_view::npos);
  const absl::Status elsewhere = Join({.broker = BrokerOf(8)}).status();
  EXPECT_EQ(ReasonOf(elsewhere), Reason::NOT_LEADER);
  EXPECT_EQ(ErrorDetail("leader_address", elsewhere), "host-3:9641");
  EXPECT_EQ(ErrorDetails(elsewhere).size(), 1u);
  EXPECT_EQ(ReasonOf(Join({}).status()), Reason::INVALID_REQUEST) << "no node";
  JoinRequest long_address{.broker = BrokerOf(1)};
  long_address.broker.peer_address.assign(5000, 'x');
  EXPECT_EQ(ReasonOf(Join(long_address).status()), Reason::INVALID_REQUEST);
}

TEST_F(PeerDoorTest, ALateAnswerFindsNobody) {
  door_->SetService(&service_);
  EXPECT_EQ(ReasonOf(Hello({.node = NodeId(99)}, 200 * kMillisecond).status()),
            Reason::DEADLINE_EXCEEDED);
  service_.asked().wait();
  service_.AnswerKept();
  EXPECT_TRUE(Hello({.node = NodeId(1)}).ok());
}

TEST_F(PeerDoorTest, NobodyThereIsUnavailableAtOnce) {
  door_->Shutdown();
  EXPECT_EQ(ReasonOf(Hello({.node = NodeId(1)}).status()), Reason::UNAVAILABLE);
}

TEST_F(PeerDoorTest, ShutdownAndDestructionEndWhatIsUnderWay) {
  door_->SetService(&service_);
  std::promise<absl::Status> answer;
  client_->Hello(address_, {.node = NodeId(99)}, 600 * kSecond,
                 [&](const absl::StatusOr<HelloReply>& got) { answer.set_value(got.status()); });
  service_.asked().wait();
  client_.reset();
  EXPECT_EQ(ReasonOf(answer.get_future().get()), Reason::CANCELLED);
  door_.reset();
  service_.AnswerKept();
}

TEST_F(PeerDoorTest, TwoDoorsNeverShareAPort) {
  EXPECT_EQ(ReasonOf(PeerDoor::Start({.address = address_}).status()), Reason::ADDRESS_IN_USE);
}

}  // namespace
}  // namespace varve::server
