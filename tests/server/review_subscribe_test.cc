#include <gtest/gtest.h>

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
  void OnEnd(uint32_t, uint64_t, Offset, absl::Status) override { ++ends; }

  TopicId topic;
  int opens = 0;
  int ends = 0;
  int data_before_open = 0;
  std::string read;
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

}  // namespace
}  // namespace varve::server
