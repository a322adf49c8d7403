#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

struct Log final : SubscribeEvents {
  void OnOpened(uint32_t, uint64_t, const Opened& opened) override {
    topic = opened.topic, ++opens;
  }
  void OnData(uint32_t, uint64_t, Data data) override {
    if (opens == 0) ++data_before_open;
    for (const Entry& entry : data.entries) read += std::string(entry.payload());
  }
  void OnProgress(uint32_t, uint64_t, Offset, const LogBounds&) override {}
  void OnRefused(Request request, uint32_t handle, uint64_t generation, absl::Status) override {
    refused.push_back({request, handle, generation});
  }
  void OnEnd(uint32_t, uint64_t, Offset, absl::Status) override { ++ends; }

  TopicId topic;
  int opens = 0;
  int ends = 0;
  int data_before_open = 0;
  std::string read;
  std::vector<std::tuple<Request, uint32_t, uint64_t>> refused;
};

// The read of the partition that had the handle before may still be under way.
TEST(SubscribeSessionTest, AHandleGivenToAnotherPartitionShowsThatPartitionOnly) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    SimBroker broker(seed);
    broker.CreateTopic("first", 4);
    broker.CreateTopic("second", 4);
    for (uint32_t p = 0; p < 4; ++p) {
      broker.Append("first", p, "of the first topic");
      broker.Append("second", p, "of the second topic");
    }
    Log log;
    auto session = broker.service().OpenSubscribe(broker.Context(), {}, log);
    ASSERT_TRUE(session.ok());
    (*session)->AddCredit({1 << 20, 1000});
    for (int round = 0; round < 8; ++round) {
      const PartitionId partition(round % 4);
      log = {};
      (*session)->Add({7, "first", partition, StartPosition{}});
      ASSERT_TRUE(broker.scheduler.RunUntil([&] { return log.opens == 1; }, kSecond));
      (*session)->Remove(7);
      ASSERT_TRUE(broker.scheduler.RunUntil([&] { return log.ends == 1; }, kSecond));
      log = {};
      (*session)->Add({7, "second", partition, StartPosition{}});
      ASSERT_TRUE(broker.scheduler.RunUntil([&] { return !log.read.empty(); }, kSecond));
      broker.scheduler.RunFor(kMillisecond);
      EXPECT_EQ(log.data_before_open, 0);
      EXPECT_EQ(log.read.find("of the first topic"), std::string::npos);
      (*session)->Remove(7);
      ASSERT_TRUE(broker.scheduler.RunUntil([&] { return log.ends == 1; }, kSecond));
    }
    (*session)->Close();
  }
}

TEST(SubscribeSessionTest, ARefusedRequestNamesItselfAndTheLivingHandleGoesOn) {
  SimBroker broker(1);
  broker.CreateTopic("t", 2);
  Log log;
  auto session = broker.service().OpenSubscribe(broker.Context(), {}, log);
  ASSERT_TRUE(session.ok());
  (*session)->AddCredit({1 << 20, 1000});
  (*session)->Add({7, "t", PartitionId(0), StartPosition{}});
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return log.opens == 1; }, kSecond));
  (*session)->Seek(7, 5, StartPosition{});
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return log.opens == 2; }, kSecond));
  (*session)->Add({7, "t", PartitionId(1), StartPosition{}});
  (*session)->Seek(7, 5, EndPosition{});
  (*session)->Seek(8, 1, EndPosition{});
  broker.scheduler.RunFor(kSecond);
  using Request = SubscribeEvents::Request;
  const std::vector<std::tuple<Request, uint32_t, uint64_t>> expected = {
      {Request::kAdd, 7, 0}, {Request::kSeek, 7, 5}, {Request::kSeek, 8, 1}};
  EXPECT_EQ(log.refused, expected);
  EXPECT_EQ(log.ends, 0);
  broker.Append("t", 0, "still read");
  EXPECT_TRUE(broker.scheduler.RunUntil(
      [&] { return log.read.find("still read") != std::string::npos; }, kSecond));
  (*session)->Close();
}

}  // namespace
}  // namespace varve::server
