#include "client/core/partition_queue.h"

#include <gtest/gtest.h>

#include <string>

#include "common/record_batch.h"

namespace varve::client {
namespace {

constexpr size_t kBatchBytes = 2'000;
constexpr size_t kBatchMaxBytes = 10'000;

class PartitionQueueTest : public ::testing::Test {
 protected:
  PartitionQueue::Appended Append(std::string_view value, DeliveryCallback callback = {}) {
    return queue_.Append({.topic = "t", .value = value, .timestamp_ms = 5}, now_, value.size(),
                         callback);
  }

  MonoTime now_{1'000'000};
  PartitionQueue queue_{{kBatchBytes, kBatchMaxBytes, 100, BatchOptions{}}};
};

TEST_F(PartitionQueueTest, OnlyTheFirstRecordWakesTheSender) {
  EXPECT_TRUE(Append("a").wake);
  EXPECT_FALSE(Append("b").wake);
  ASSERT_TRUE(queue_.Look().any);
  EXPECT_FALSE(Append("c").wake);
  ASSERT_NE(queue_.Take(), nullptr);
  EXPECT_FALSE(Append("d").wake) << "the sender has not looked since";
  queue_.Take();
  EXPECT_FALSE(queue_.Look().any);
  EXPECT_TRUE(Append("e").wake);
}

TEST_F(PartitionQueueTest, ALingeringSenderIsWokenByAFullBatchOnly) {
  Append("a");
  ASSERT_TRUE(queue_.Look().any);
  ASSERT_TRUE(queue_.Linger());
  EXPECT_FALSE(Append(std::string(500, 'x')).wake);
  EXPECT_TRUE(Append(std::string(1'500, 'x')).wake);
  EXPECT_TRUE(queue_.Look().full);
  EXPECT_FALSE(queue_.Linger());
}

TEST_F(PartitionQueueTest, ABatchGrowsBeyondBatchBytesUpToTheMostWhileNobodyTakesIt) {
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(Append(std::string(1'000, 'x')).status.ok());
  size_t records = 0;
  size_t batches = 0;
  while (auto batch = queue_.Take()) {
    ASSERT_TRUE(batch->Build().ok());
    EXPECT_LE(batch->bytes->size(), kBatchMaxBytes);
    if (records + batch->records < 30) {
      EXPECT_GT(batch->bytes->size(), kBatchMaxBytes - 1'100);
    }
    records += batch->records;
    ++batches;
  }
  EXPECT_EQ(records, 30u);
  EXPECT_EQ(batches, 4u);
}

TEST_F(PartitionQueueTest, ARecordThatFitsNoBatchIsRefusedAndLeavesNoTrace) {
  const auto appended = Append(std::string(kBatchMaxBytes, 'x'));
  EXPECT_EQ(appended.status.reason(), "BATCH_TOO_LARGE");
  EXPECT_FALSE(appended.wake);
  EXPECT_FALSE(queue_.Look().any);
}

TEST_F(PartitionQueueTest, RecordsKeepKeyValueHeadersAndTimestamp) {
  const HeaderView headers[] = {{"trace", "1"}, {"empty", std::nullopt}};
  DeliveryCallback none;
  ASSERT_TRUE(
      queue_
          .Append(
              {.topic = "t", .key = "k", .value = "v", .headers = headers, .timestamp_ms = 1'234},
              now_, 1, none)
          .status.ok());
  auto batch = queue_.Take();
  ASSERT_TRUE(batch->Build().ok());
  const auto summary = ValidateRecordBatch(*batch->bytes, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  RecordBatchReader reader(*RecordBatchView::Parse(*batch->bytes));
  const RecordView* record = reader.Next();
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->key, "k");
  EXPECT_EQ(record->value, "v");
  EXPECT_EQ(record->timestamp, WallTime{1'234});
  ASSERT_EQ(record->headers.size(), 2u);
  EXPECT_EQ(record->headers.begin()->key, "trace");
}

TEST_F(PartitionQueueTest, CallbacksStandAtTheIndexOfTheirRecord) {
  int called = -1;
  Append("a");
  Append("b", [&](const DeliveryReport&) { called = 1; });
  Append("c");
  Append("d", [&](const DeliveryReport&) { called = 3; });
  auto batch = queue_.Take();
  ASSERT_EQ(batch->callbacks.size(), 4u);
  EXPECT_FALSE(batch->callbacks[0]);
  EXPECT_FALSE(batch->callbacks[2]);
  batch->callbacks[1]({});
  EXPECT_EQ(called, 1);
  batch->callbacks[3]({});
  EXPECT_EQ(called, 3);
  EXPECT_EQ(batch->charged, 4u);
}

TEST_F(PartitionQueueTest, BatchesExpireByTheirFirstRecord) {
  Append("a");
  now_ = now_ + 60;
  Append("b");  // joins the batch of "a"
  EXPECT_EQ(queue_.TakeExpired(now_), nullptr);
  now_ = now_ + 40;
  const auto expired = queue_.TakeExpired(now_);
  ASSERT_NE(expired, nullptr);
  EXPECT_EQ(expired->records, 2u);
}

TEST_F(PartitionQueueTest, AClosedQueueRefuses) {
  queue_.Close();
  EXPECT_EQ(Append("a").status.reason(), "SHUTTING_DOWN");
}

}  // namespace
}  // namespace varve::client
