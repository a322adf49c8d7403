// The producer against a broker in memory: batching, partitions, codecs, limits, flush and close.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
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

class ProducerTest : public ::testing::Test {
 protected:
  ProducerTest() { broker_.AddTopic("t", 4); }
  Client MakeClient() { return *Client::Create({.bootstrap = {broker_.address()}}); }
  Producer Make(ProducerOptions options = {}) { return *Producer::Create(MakeClient(), options); }

  FakeBroker broker_;
  DeliveryLog log_;
};

TEST_F(ProducerTest, ARecordIsReportedWithPartitionOffsetAndTime) {
  Producer producer = Make();
  for (int64_t i = 0; i < 3; ++i) {
    const auto delivery = producer.SendSync({.topic = "t", .partition = 2, .value = "v"});
    ASSERT_TRUE(delivery.ok()) << delivery.status().ToString();
    EXPECT_EQ(delivery->partition, 2u);
    EXPECT_EQ(delivery->offset, i);
    EXPECT_EQ(delivery->timestamp_ms, 1'000 + i);
  }
}

TEST_F(ProducerTest, EveryRecordIsReportedOnceAndInOrderOfItsPartition) {
  Producer producer = Make();
  for (int i = 0; i < 20'000; ++i) {
    const std::string value = std::to_string(i);
    ASSERT_TRUE(producer
                    .Send({.topic = "t", .key = std::to_string(i % 17), .value = value},
                          log_.Callback(value))
                    .ok());
  }
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.size(), 20'000u);
  EXPECT_EQ(log_.failures(), 0u);
  size_t stored = 0;
  for (uint32_t partition = 0; partition < 4; ++partition) {
    const std::vector<std::string> values = broker_.Values("t", partition);
    EXPECT_EQ(values, log_.ValuesOf(partition)) << "order of reports is order of the log";
    for (size_t i = 1; i < values.size(); ++i) {
      ASSERT_LT(std::stoi(values[i - 1]), std::stoi(values[i])) << "order of sending";
    }
    stored += values.size();
  }
  EXPECT_EQ(stored, 20'000u);
  EXPECT_EQ(broker_.counters().most_in_flight_of_a_partition, 1u);
  EXPECT_EQ(producer.stats().records_delivered, 20'000u);
  EXPECT_EQ(producer.stats().buffered_bytes, 0u);
}

TEST_F(ProducerTest, WhatQueuesWhileABatchIsUnderWayGoesOutTogether) {
  broker_.HoldAcks(true);
  Producer producer = Make();
  ASSERT_TRUE(
      producer.Send({.topic = "t", .partition = 0, .value = "first"}, log_.Callback("")).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 1; }));
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(producer
                    .Send({.topic = "t", .partition = 0, .value = std::string(1'000, 'x')},
                          log_.Callback(""))
                    .ok());
  }
  broker_.HoldAcks(false);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(broker_.RecordsPerBatch("t", 0), (std::vector<size_t>{1, 500}));
}

TEST_F(ProducerTest, BatchesKeepToTheTopicsLimitAndTooLargeRecordsAreRefused) {
  broker_.AddTopic("small", 1, 20'000);
  Producer producer = Make();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(
        producer.Send({.topic = "small", .value = std::string(3'000, 'x')}, log_.Callback(""))
            .ok());
  }
  ASSERT_TRUE(
      producer.Send({.topic = "small", .value = std::string(30'000, 'x')}, log_.Callback("large"))
          .ok())
      << "not known before the topic is";
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.size(), 101u);
  EXPECT_EQ(log_.StatusOf("large").reason(), "BATCH_TOO_LARGE");
  EXPECT_EQ(producer.Send({.topic = "small", .value = std::string(30'000, 'x')}).reason(),
            "BATCH_TOO_LARGE");
  EXPECT_EQ(producer.Send({.topic = "t", .value = std::string(2'000'000, 'x')}).reason(),
            "BATCH_TOO_LARGE");
  for (const size_t records : broker_.RecordsPerBatch("small", 0)) EXPECT_LE(records, 6u);
}

TEST_F(ProducerTest, EveryCodecArrives) {
  for (const Compression codec : {Compression::kNone, Compression::kGzip, Compression::kSnappy,
                                  Compression::kLz4, Compression::kZstd}) {
    Producer producer = Make({.compression = codec});
    ASSERT_TRUE(
        producer.SendSync({.topic = "t", .partition = 0, .value = std::string(9'999, 'z')}).ok());
  }
  EXPECT_EQ(broker_.Values("t", 0), std::vector<std::string>(5, std::string(9'999, 'z')));
}

TEST_F(ProducerTest, ALingeringRecordLeavesAfterTheLingerEvenIfNothingFollows) {
  broker_.HoldAcks(true);
  Producer producer = Make({.batch_bytes = 128 * 1024, .linger = milliseconds(20)});
  // Busy: more than the idle limit is under way on another partition.
  ASSERT_TRUE(
      producer.Send({.topic = "t", .partition = 0, .value = std::string(200'000, 'x')}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 1; }));
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(producer.Send({.topic = "t", .partition = 1, .value = "v"}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 2; }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, milliseconds(20));
  broker_.HoldAcks(false);
}

TEST_F(ProducerTest, AnIdleProducerDoesNotLinger) {
  Producer producer = Make({.linger = seconds(100)});
  ASSERT_TRUE(producer.SendSync({.topic = "t", .value = "v"}).ok());
}

TEST_F(ProducerTest, FlushSendsWhatLingers) {
  broker_.HoldAcks(true);
  Producer producer = Make({.linger = seconds(100)});
  ASSERT_TRUE(
      producer.Send({.topic = "t", .partition = 0, .value = std::string(100'000, 'x')}).ok());
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received == 1; }));
  ASSERT_TRUE(producer.Send({.topic = "t", .partition = 1, .value = "v"}).ok());
  EXPECT_EQ(producer.Flush(milliseconds(1)).reason(), "DEADLINE_EXCEEDED");
  broker_.HoldAcks(false);
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(broker_.Values("t", 1).size(), 1u);
}

TEST_F(ProducerTest, CreditIsNeverOverdrawnByMoreThanOneBatch) {
  broker_.SetProduceCredit(10'000, 3);
  Producer producer = Make({.batch_bytes = 4'096, .batch_max_bytes = 8'192});
  for (int i = 0; i < 2'000; ++i) {
    ASSERT_TRUE(producer
                    .Send({.topic = "t", .key = std::to_string(i), .value = std::string(500, 'x')},
                          log_.Callback(""))
                    .ok());
  }
  ASSERT_TRUE(producer.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
  EXPECT_EQ(broker_.counters().sent_without_credit, 0u);
}

TEST_F(ProducerTest, AFullBufferFailsOrBlocksAsAsked) {
  broker_.HoldAcks(true);
  ProducerOptions options{
      .batch_max_bytes = 128 * 1024, .buffer_bytes = 256 * 1024, .when_full = WhenFull::kFail};
  Producer failing = Make(options);
  const std::string value(10'000, 'x');
  Status status;
  int accepted = 0;
  for (; status.ok() && accepted < 100; ++accepted) {
    status = failing.Send({.topic = "t", .value = value}, log_.Callback(""));
  }
  EXPECT_EQ(status.reason(), "OVERLOADED");
  EXPECT_EQ(status.outcome(), RequestOutcome::kNotApplied);
  EXPECT_LE(failing.stats().buffered_bytes, options.buffer_bytes);

  options.when_full = WhenFull::kBlock;
  Producer blocking = Make(options);
  std::thread sender([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_TRUE(blocking.Send({.topic = "t", .value = value}, log_.Callback("")).ok());
    }
  });
  ASSERT_TRUE(broker_.Await([](const auto& counters) { return counters.batches_received >= 2; }));
  broker_.HoldAcks(false);
  sender.join();
  EXPECT_TRUE(blocking.Flush(kPatience).ok());
  EXPECT_TRUE(failing.Flush(kPatience).ok());
  EXPECT_EQ(log_.failures(), 0u);
}

TEST_F(ProducerTest, ACallbackMaySendAndSyncCallsInItAreRefused) {
  Producer producer = Make();
  std::string inside;
  ASSERT_TRUE(
      producer
          .Send({.topic = "t", .value = "1"},
                [&](const DeliveryReport&) {
                  inside = producer.SendSync({.topic = "t", .value = "x"}).status().reason();
                  EXPECT_TRUE(producer.Send({.topic = "t", .value = "2"}, log_.Callback("2")).ok());
                })
          .ok());
  ASSERT_TRUE(log_.AwaitSize(1));
  EXPECT_EQ(inside, "INVALID_REQUEST");
}

TEST_F(ProducerTest, AClosedProducerRefusesAndHasDeliveredEverything) {
  Producer producer = Make();
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_TRUE(producer.Send({.topic = "t", .value = "v"}, log_.Callback("")).ok());
  }
  ASSERT_TRUE(producer.Close(kPatience).ok());
  EXPECT_EQ(log_.size(), 1'000u);
  EXPECT_EQ(log_.failures(), 0u);
  EXPECT_EQ(producer.Send({.topic = "t", .value = "v"}).reason(), "SHUTTING_DOWN");
  EXPECT_TRUE(producer.Close(kPatience).ok());
}

TEST_F(ProducerTest, OptionsThatMakeNoSenseNameTheirField) {
  const std::pair<ProducerOptions, const char*> rows[] = {
      {{.batch_bytes = 1}, "batch_bytes"},
      {{.batch_max_bytes = 1'024}, "batch_max_bytes"},
      {{.batch_max_bytes = 9 << 20}, "batch_max_bytes"},
      {{.linger = milliseconds(-1)}, "linger"},
      {{.buffer_bytes = 1}, "buffer_bytes"},
      {{.delivery_timeout = milliseconds(0)}, "delivery_timeout"},
      {{.max_in_flight = 5}, "max_in_flight"},
  };
  for (const auto& [options, field] : rows) {
    const Status status = Producer::Create(MakeClient(), options).status();
    EXPECT_EQ(status.reason(), "INVALID_CONFIG");
    EXPECT_EQ(status.message().find(field), 0u) << status.ToString();
  }
  EXPECT_EQ(Client::Create({.bootstrap = {}}).status().reason(), "INVALID_CONFIG");
  EXPECT_EQ(Client::Create({.bootstrap = {"nowhere"}}).status().reason(), "INVALID_CONFIG");
}

}  // namespace
}  // namespace varve::testing
