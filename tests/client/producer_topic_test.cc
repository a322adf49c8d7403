#include "client/core/producer_topic.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "common/murmur2.h"

namespace varve::client {
namespace {

constexpr size_t kBatchBytes = 1'000;

class ProducerTopicTest : public ::testing::Test {
 protected:
  ProducerTopic::Added Add(const ProducerRecord& record, MonoTime deadline = MonoTime{100}) {
    DeliveryCallback none;
    return topic_.Add(record, MonoTime{1}, deadline, 10, none, kBatchBytes);
  }
  std::vector<ProducerPartition*> Resolve(uint32_t partitions) {
    return topic_.Resolve(partitions, {kBatchBytes, 10'000, 100, BatchOptions{}}, MonoTime{1},
                          &refused_);
  }
  uint32_t RecordsIn(uint32_t partition) {
    uint32_t records = 0;
    while (auto batch = topic_.partitions()[partition]->queue.Take()) records += batch->records;
    return records;
  }

  ProducerTopic topic_{"t", 0};
  std::vector<ProducerTopic::Refused> refused_;
};

TEST_F(ProducerTopicTest, TheFirstRecordAsksForResolvingAndTheOthersWait) {
  EXPECT_TRUE(Add({.topic = "t", .value = "a"}).resolve);
  EXPECT_FALSE(Add({.topic = "t", .value = "b"}).resolve);
  EXPECT_EQ(Resolve(1).size(), 1u);
  EXPECT_EQ(RecordsIn(0), 2u);
}

TEST_F(ProducerTopicTest, KeysGoWhereKafkasClientsPutThem) {
  Resolve(7);
  // Kafka's own test vectors of the default partitioner's hash.
  const std::map<std::string, int32_t> hashes = {
      {"21", -973932308}, {"foobar", -790332482}, {"a-little-bit-long-string", -985981536}};
  for (const auto& [key, hash] : hashes) {
    ASSERT_EQ(static_cast<int32_t>(Murmur2(key)), hash);
    const uint32_t expected = (static_cast<uint32_t>(hash) & 0x7fffffff) % 7;
    ASSERT_TRUE(Add({.topic = "t", .key = key}).status.ok());
    EXPECT_EQ(RecordsIn(expected), 1u) << key;
  }
}

TEST_F(ProducerTopicTest, RecordsWithoutKeyStayOnAPartitionForABatchAndThenMoveOn) {
  Resolve(3);
  // Each counts ten bytes: one hundred fill a batch.
  for (int i = 0; i < 250; ++i) ASSERT_TRUE(Add({.topic = "t", .value = "v"}).status.ok());
  EXPECT_EQ(RecordsIn(0), 100u);
  EXPECT_EQ(RecordsIn(1), 100u);
  EXPECT_EQ(RecordsIn(2), 50u);
}

TEST_F(ProducerTopicTest, ANamedPartitionIsTakenOrRefused) {
  Resolve(2);
  EXPECT_TRUE(Add({.topic = "t", .partition = 1, .key = "any"}).status.ok());
  EXPECT_EQ(RecordsIn(1), 1u);
  EXPECT_EQ(Add({.topic = "t", .partition = 2}).status.reason(), "UNKNOWN_PARTITION");
}

TEST_F(ProducerTopicTest, AWaitingRecordForAPartitionThatDoesNotExistIsRefusedWhenThatIsKnown) {
  ASSERT_TRUE(Add({.topic = "t", .partition = 5}).status.ok());
  ASSERT_TRUE(Add({.topic = "t", .partition = 1}).status.ok());
  EXPECT_EQ(Resolve(2).size(), 1u);
  ASSERT_EQ(refused_.size(), 1u);
  EXPECT_EQ(refused_[0].status.reason(), "UNKNOWN_PARTITION");
}

TEST_F(ProducerTopicTest, WaitingRecordsExpire) {
  Add({.topic = "t", .value = "a"}, MonoTime{100});
  Add({.topic = "t", .value = "b"}, MonoTime{200});
  EXPECT_EQ(topic_.OldestDeadline(), MonoTime{100});
  EXPECT_FALSE(topic_.GiveUpIfIdle());
  EXPECT_EQ(topic_.TakeExpired(MonoTime{150}).size(), 1u);
  EXPECT_EQ(topic_.TakeExpired(MonoTime{200}).size(), 1u);
  EXPECT_TRUE(topic_.GiveUpIfIdle());
  EXPECT_TRUE(Add({.topic = "t", .value = "c"}).resolve) << "asks again";
}

}  // namespace
}  // namespace varve::client
