// The producer when brokers refuse, vanish, move or never answer.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/client/support/delivery_log.h"
#include "tests/client/support/fake_broker.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ProducerFaultTest : public ::testing::Test {
 protected:
  ProducerFaultTest() { broker_.AddTopic("t", 2); }
  Producer Make(ProducerOptions options = {}) { return Make(broker_.address(), options); }
  Producer Make(const std::string& bootstrap, ProducerOptions options) {
    return *Producer::Create(*Client::Create({.bootstrap = {bootstrap},
                                              .retry_backoff = milliseconds(1),
                                              .retry_backoff_max = milliseconds(20)}),
                             options);
  }
  void SendNumbered(Producer& producer, int count) {
    for (int i = 0; i < count; ++i) {
      const std::string value = std::to_string(i);
      ASSERT_TRUE(
          producer.Send({.topic = "t", .partition = 0, .value = value}, log_.Callback(value)).ok());
    }
  }
  // Each value once at least, first occurrences in order.
  static void ExpectInOrder(const std::vector<std::string>& values, int count) {
    int next = 0;
    for (const std::string& value : values) {
      ASSERT_LE(std::stoi(value), next) << "a record came before its predecessor";
      if (std::stoi(value) == next) ++next;
    }
    EXPECT_EQ(next, count);
  }

  FakeBroker broker_;
  DeliveryLog log_;
};

TEST_F(ProducerFaultTest, RetryableRefusalsAreSentAgainInOrderWithoutDuplicates) {
  for (const Reason reason : {Reason::OVERLOADED, Reason::LEADER_UNKNOWN, Reason::NO_SPACE,
                              Reason::SHUTTING_DOWN, Reason::PROPOSAL_LOST}) {
    FakeBroker broker;
    broker.AddTopic("t", 2);
    broker.NextBatches(3, {.reason = reason});
    Producer producer = Make(broker.address(), {.batch_bytes = 1'024, .batch_max_bytes = 1'024});
    SendNumbered(producer, 500);
    ASSERT_TRUE(producer.Flush(kPatience).ok());
    const std::vector<std::string> values = broker.Values("t", 0);
    EXPECT_EQ(values.size(), 500u);
    ExpectInOrder(values, 500);
    EXPECT_GE(producer.stats().batches_resent, 3u);
    EXPECT_EQ(producer.stats().possible_duplicates, 0u);
  }
  EXPECT_EQ(log_.failures(), 0u);
}

TEST_F(ProducerFaultTest, ARefusalForGoodFailsItsBatchAndNotTheNext) {
  broker_.NextBatches(1, {.reason = Reason::INVALID_TIMESTAMP});
  Producer producer = Make();
  const auto first = producer.SendSync({.topic = "t", .partition = 0, .value = "a"});
  EXPECT_EQ(first.status().reason(), "INVALID_TIMESTAMP");
  EXPECT_EQ(first.status().outcome(), RequestOutcome::kNotApplied);
  EXPECT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "b"}).ok());
  EXPECT_EQ(broker_.Values("t", 0), std::vector<std::string>{"b"});
}

TEST_F(ProducerFaultTest, ABrokenStreamIsResumedInOrderAndPossibleDuplicatesAreCounted) {
  Producer producer = Make({.batch_bytes = 1'024, .batch_max_bytes = 1'024});
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 1, .value = "warm"}).ok());
  broker_.NextBatches(2, {.kind = ProduceFault::Kind::kDropAfterAppend});
  SendNumbered(producer, 500);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
  const std::vector<std::string> values = broker_.Values("t", 0);
  ExpectInOrder(values, 500);
  EXPECT_GT(values.size(), 500u) << "the fault is there to append twice";
  EXPECT_LE(values.size() - 500, producer.stats().possible_duplicates);
  EXPECT_GE(producer.stats().reconnects, 2u);
}

TEST_F(ProducerFaultTest, AnUnknownFateIsReportedWhenRetryingItIsOff) {
  Producer producer = Make({.retry_unknown = false});
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "warm"}).ok());
  broker_.NextBatches(1, {.kind = ProduceFault::Kind::kDropAfterAppend});
  const auto lost = producer.SendSync({.topic = "t", .partition = 0, .value = "a"});
  EXPECT_EQ(lost.status().reason(), "OUTCOME_UNKNOWN");
  EXPECT_EQ(lost.status().outcome(), RequestOutcome::kUnknown);
  EXPECT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "b"}).ok());
  EXPECT_EQ(broker_.Values("t", 0), (std::vector<std::string>{"warm", "a", "b"}));
  EXPECT_EQ(producer.stats().possible_duplicates, 0u);
}

TEST_F(ProducerFaultTest, ALaterRefusalDoesNotMakeAnUnknownFateKnown) {
  Producer producer = *Producer::Create(*Client::Create({.bootstrap = {broker_.address()},
                                                         .retry_backoff = milliseconds(300),
                                                         .retry_backoff_max = milliseconds(300)}));
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "warm"}).ok());
  broker_.NextBatches(1, {.kind = ProduceFault::Kind::kDropAfterAppend});
  SendNumbered(producer, 1);
  ASSERT_TRUE(broker_.Await(
      [](const FakeBroker::Counters& counters) { return counters.batches_received >= 2; }));
  broker_.NextBatches(1, {.reason = Reason::INVALID_TIMESTAMP});
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(broker_.Values("t", 0), (std::vector<std::string>{"warm", "0"}));
  ASSERT_EQ(log_.failures(), 1u);
  EXPECT_EQ(log_.StatusOf("0").outcome(), RequestOutcome::kUnknown)
      << log_.StatusOf("0").ToString();
}

TEST_F(ProducerFaultTest, ARedirectIsFollowed) {
  FakeBroker leader;
  leader.AddTopic("t", 2);
  broker_.NextBatches(1, {.reason = Reason::NOT_LEADER, .leader_address = leader.address()});
  Producer producer = Make();
  SendNumbered(producer, 100);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(leader.Values("t", 0).size(), 100u);
  EXPECT_EQ(broker_.Values("t", 0).size(), 0u);
}

TEST_F(ProducerFaultTest, AMovedStreamIsLeftForTheOneNamed) {
  FakeBroker other;
  other.AddTopic("t", 2);
  Producer producer = Make();
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "a"}).ok());
  broker_.Advertise(other.address());
  broker_.MoveProducers(other.address());
  int sent = 0;
  while (other.counters().batches_received == 0 && sent < 10'000) {
    ASSERT_TRUE(
        producer.SendSync({.topic = "t", .partition = 0, .value = std::to_string(sent++)}).ok());
    if (broker_.counters().batches_received > 1) {
      broker_.NextBatches(100, {.reason = Reason::NOT_LEADER});
    }
  }
  EXPECT_GT(other.Values("t", 0).size(), 0u);
}

TEST_F(ProducerFaultTest, ASilentBrokerIsLeftForTheLeaderThatTheClusterNames) {
  FakeBroker successor;
  successor.AddTopic("t", 2);
  Producer producer = Make();
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "warm"}).ok());
  broker_.HoldAcks(true);  // as a frozen process, or a leader without a majority, answers nothing
  SendNumbered(producer, 3);
  broker_.Advertise(successor.address());
  ASSERT_TRUE(producer.Flush(seconds(10)).ok());
  ExpectInOrder(successor.Values("t", 0), 3);
  EXPECT_EQ(log_.failures(), 0u);
  EXPECT_GE(producer.stats().possible_duplicates, 1u);
}

TEST_F(ProducerFaultTest, ABrokerThatKnowsOfNoLeaderIsNotAskedForEver) {
  FakeBroker connected;
  connected.AddTopic("t", 2);
  broker_.KnowNoLeader();
  Producer producer =
      *Producer::Create(*Client::Create({.bootstrap = {broker_.address(), connected.address()},
                                         .retry_backoff = milliseconds(1),
                                         .retry_backoff_max = milliseconds(20)}),
                        {.delivery_timeout = seconds(10)});
  EXPECT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "a"}).ok());
  EXPECT_EQ(connected.Values("t", 0), std::vector<std::string>{"a"});
}

TEST_F(ProducerFaultTest, ASilentBrokerThatStillLeadsIsWaitedFor) {
  Producer producer = Make();
  ASSERT_TRUE(producer.SendSync({.topic = "t", .partition = 0, .value = "warm"}).ok());
  const uint64_t before = broker_.counters().topic_calls;
  broker_.HoldAcks(true);
  SendNumbered(producer, 3);
  ASSERT_TRUE(broker_.Await(
      [&](const FakeBroker::Counters& now) { return now.topic_calls >= before + 2; }));
  broker_.HoldAcks(false);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(broker_.Values("t", 0).size(), 4u);
  EXPECT_EQ(producer.stats().batches_resent, 0u);
}

TEST_F(ProducerFaultTest, RecordsSentBeforeTheBrokerIsThereArriveWhenItIs) {
  int port = 0;
  {
    FakeBroker gone;
    port = gone.port();
  }
  Producer producer = Make("127.0.0.1:" + std::to_string(port), {});
  SendNumbered(producer, 100);
  FakeBroker late(port);
  late.AddTopic("t", 1);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
  ExpectInOrder(late.Values("t", 0), 100);
}

TEST_F(ProducerFaultTest, ABrokerThatComesBackIsUsedAgain) {
  auto broker = std::make_unique<FakeBroker>();
  broker->AddTopic("t", 1);
  const int port = broker->port();
  Producer producer = Make(broker->address(), {});
  ASSERT_TRUE(producer.SendSync({.topic = "t", .value = "a"}).ok());
  broker.reset();
  SendNumbered(producer, 100);
  broker = std::make_unique<FakeBroker>(port);
  broker->AddTopic("t", 1);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
  ExpectInOrder(broker->Values("t", 0), 100);
}

TEST_F(ProducerFaultTest, AnUnknownTopicFailsItsRecordsAtOnce) {
  Producer producer = Make();
  const auto sent = producer.SendSync({.topic = "nowhere", .value = "v"});
  EXPECT_EQ(sent.status().reason(), "UNKNOWN_TOPIC");
  EXPECT_EQ(sent.status().outcome(), RequestOutcome::kNotApplied);
  broker_.AddTopic("nowhere", 1);
  EXPECT_TRUE(producer.SendSync({.topic = "nowhere", .value = "v"}).ok()) << "it is asked for anew";
}

TEST_F(ProducerFaultTest, TheDeliveryTimeoutCoversAllWaiting) {
  const ProducerOptions options{.linger = milliseconds(0), .delivery_timeout = milliseconds(100)};
  Producer no_broker = Make("127.0.0.1:1", options);
  auto sent = no_broker.SendSync({.topic = "t", .value = "v"});
  EXPECT_EQ(sent.status().reason(), "DEADLINE_EXCEEDED");
  EXPECT_EQ(sent.status().outcome(), RequestOutcome::kNotApplied) << "it was never sent";

  Producer no_answer = Make(options);
  ASSERT_TRUE(no_answer.SendSync({.topic = "t", .partition = 0, .value = "warm"}).ok());
  broker_.HoldAcks(true);
  ASSERT_TRUE(
      no_answer.Send({.topic = "t", .partition = 0, .value = "sent"}, log_.Callback("sent")).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 2; }));
  ASSERT_TRUE(
      no_answer.Send({.topic = "t", .partition = 0, .value = "queued"}, log_.Callback("queued"))
          .ok());
  ASSERT_TRUE(log_.AwaitSize(2));
  EXPECT_EQ(log_.StatusOf("sent").reason(), "DEADLINE_EXCEEDED");
  EXPECT_EQ(log_.StatusOf("sent").outcome(), RequestOutcome::kUnknown);
  EXPECT_EQ(log_.StatusOf("queued").reason(), "DEADLINE_EXCEEDED");
  ASSERT_TRUE(no_answer.Flush(kPatience).ok());
  EXPECT_EQ(no_answer.stats().buffered_bytes, 0u);

  broker_.NextBatches(1'000'000, {.reason = Reason::OVERLOADED});
  broker_.HoldAcks(false);
  sent = no_answer.SendSync({.topic = "t", .partition = 1, .value = "refused"});
  EXPECT_EQ(sent.status().reason(), "DEADLINE_EXCEEDED");
}

TEST_F(ProducerFaultTest, CloseIsBoundedAndReportsEveryRecord) {
  broker_.HoldAcks(true);
  Producer producer = Make();
  SendNumbered(producer, 100);
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 1; }));
  SendNumbered(producer, 100);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(producer.Close(milliseconds(50)).reason(), "DEADLINE_EXCEEDED");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  EXPECT_TRUE(log_.AwaitSize(200));
  EXPECT_EQ(log_.failures(), 200u);
}

TEST_F(ProducerFaultTest, CloseIsBoundedWithoutBroker) {
  Producer producer = Make("127.0.0.1:1", {});
  SendNumbered(producer, 10);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(producer.Close(milliseconds(50)).reason(), "DEADLINE_EXCEEDED");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  EXPECT_TRUE(log_.AwaitSize(10));
}

TEST_F(ProducerFaultTest, AProducerMayBeClosedByItsOwnCallback) {
  Producer producer = Make();
  ASSERT_TRUE(producer
                  .Send({.topic = "t", .value = "a"},
                        [&](const DeliveryReport&) {
                          EXPECT_TRUE(producer.Close(seconds(100)).ok());
                          log_.Callback("a")(DeliveryReport{});
                        })
                  .ok());
  ASSERT_TRUE(log_.AwaitSize(1));
  EXPECT_EQ(producer.Send({.topic = "t", .value = "b"}).reason(), "SHUTTING_DOWN");
}

TEST_F(ProducerFaultTest, TopicCallsThatFailForAWhileOnlyDelay) {
  broker_.FailTopicCalls(Reason::STARTING);
  Producer producer = Make();
  SendNumbered(producer, 10);
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.topic_calls >= 3; }));
  EXPECT_EQ(log_.size(), 0u);
  broker_.FailTopicCalls(Reason::OK);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
}

}  // namespace
}  // namespace varve::testing
