#include <gtest/gtest.h>

#include "common/error.h"
#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

FetchRequest AllOf(const std::string& topic, uint32_t partitions, uint32_t max_bytes) {
  FetchRequest request;
  request.max_bytes = max_bytes;
  for (uint32_t i = 0; i < partitions; ++i)
    request.partitions.push_back({topic, PartitionId(i), Offset(0), max_bytes});
  return request;
}

TEST(FetchTest, AnAnswerStaysWithinItsLimitWhateverThePartitionsAskFor) {
  SimBroker broker(1);
  broker.CreateTopic("t", 8);
  for (uint32_t p = 0; p < 8; ++p)
    for (int i = 0; i < 4; ++i) broker.Append("t", p, std::string(10'000, 'x'));
  const auto reply = broker.Ask(&BrokerService::Fetch, AllOf("t", 8, 50'000));
  ASSERT_TRUE(reply.ok());
  size_t bytes = 0;
  ASSERT_EQ(reply->results.size(), 8u);
  for (const FetchResult& result : reply->results) {
    EXPECT_TRUE(result.status.ok()) << result.status;
    EXPECT_EQ(result.bounds.high_watermark, Offset(4));
    EXPECT_EQ(result.next_offset, Offset(static_cast<int64_t>(result.entries.size())));
    for (const Entry& entry : result.entries) bytes += entry.header.payload_bytes;
  }
  EXPECT_GT(bytes, 30'000u);
  EXPECT_LE(bytes, 50'000u);
  EXPECT_EQ(broker.broker().gate().memory_used(), 0u);
}

TEST(FetchTest, ABatchLargerThanTheLimitIsSentOnce) {
  SimBroker broker(1);
  broker.CreateTopic("t", 3);
  for (uint32_t p = 0; p < 3; ++p) broker.Append("t", p, std::string(10'000, 'x'));
  const auto reply = broker.Ask(&BrokerService::Fetch, AllOf("t", 3, 100));
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->results[0].entries.size(), 1u);
  EXPECT_EQ(reply->results[1].entries.size(), 0u);
  EXPECT_EQ(reply->results[1].next_offset, Offset(0));
}

TEST(FetchTest, AFetchThatWasWokenLeavesNothingBehind) {
  SimBroker broker(1);
  broker.CreateTopic("t", 2);
  broker.scheduler.RunFor(10 * kSecond);
  for (int i = 0; i < 50; ++i) {
    FetchRequest request = AllOf("t", 2, 1000);
    for (FetchPartition& partition : request.partitions) partition.offset = Offset(0);
    request.partitions[0].offset = Offset(i);
    request.min_bytes = 1;
    request.max_wait_ms = 25'000;
    std::optional<absl::StatusOr<FetchReply>> answer;
    broker.service().Fetch(broker.Context(), request,
                           [&](absl::StatusOr<FetchReply> got) { answer = std::move(got); });
    broker.scheduler.RunFor(kMillisecond);
    EXPECT_FALSE(answer.has_value());
    EXPECT_EQ(broker.broker().gate().memory_used(), 0u) << "waiting holds no memory";
    broker.Append("t", 0, "x");
    ASSERT_TRUE(broker.scheduler.RunUntil([&] { return answer.has_value(); }, kSecond));
    ASSERT_TRUE(answer->ok());
    EXPECT_EQ((*answer)->results[0].entries.size(), 1u);
  }
  broker.scheduler.RunFor(5 * kSecond);
  EXPECT_LT(broker.scheduler.events_waiting(), 20u);
}

TEST(FetchTest, WaitsUntilMinBytesAreThereHoweverOftenItWakes) {
  SimBroker broker(1);
  broker.CreateTopic("t", 2);
  FetchRequest request = AllOf("t", 2, 100'000);
  request.min_bytes = 25'000;
  request.max_wait_ms = 20'000;
  std::optional<absl::StatusOr<FetchReply>> answer;
  broker.service().Fetch(broker.Context(), request,
                         [&](absl::StatusOr<FetchReply> got) { answer = std::move(got); });
  for (int i = 0; i < 2; ++i) {
    broker.Append("t", static_cast<uint32_t>(i), std::string(10'000, 'x'));
    broker.scheduler.RunFor(kSecond);
    ASSERT_FALSE(answer.has_value()) << "after " << i + 1 << " of 3 batches";
    EXPECT_EQ(broker.broker().gate().memory_used(), 0u) << "waiting holds no memory";
  }
  broker.Append("t", 0, std::string(10'000, 'x'));
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return answer.has_value(); }, kSecond));
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ((*answer)->results[0].entries.size(), 2u);
  EXPECT_EQ((*answer)->results[1].entries.size(), 1u);
}

// Waiting would never bring more than a partition's own limit.
TEST(FetchTest, ALimitBelowMinBytesIsAnsweredAtOnce) {
  SimBroker broker(1);
  broker.CreateTopic("t", 1);
  for (int i = 0; i < 3; ++i) broker.Append("t", 0, std::string(10'000, 'x'));
  FetchRequest request = AllOf("t", 1, 100'000);
  request.partitions[0].max_bytes = 1;
  request.min_bytes = 25'000;
  request.max_wait_ms = 20'000;
  const MonoTime began = broker.scheduler.Now();
  const auto reply = broker.Ask(&BrokerService::Fetch, request);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->results[0].entries.size(), 1u);
  EXPECT_LT(broker.scheduler.Now() - began, kSecond);
}

TEST(FetchTest, ACallerThatGoesAwayIsAnsweredAtOnceAndLeavesNothingBehind) {
  SimBroker broker(1);
  broker.CreateTopic("t", 2);
  broker.scheduler.RunFor(10 * kSecond);
  const size_t before = broker.scheduler.events_waiting();
  for (int i = 0; i < 50; ++i) {
    FetchRequest request = AllOf("t", 2, 1000);
    request.min_bytes = 1;
    request.max_wait_ms = 25'000;
    RequestContext context = broker.Context();
    int answers = 0;
    absl::Status status;
    broker.service().Fetch(context, request, [&](absl::StatusOr<FetchReply> got) {
      ++answers;
      status = got.status();
    });
    broker.scheduler.RunFor((i % 5) * 20 * kMicrosecond);
    context.cancellation->Cancel();
    EXPECT_EQ(answers, 1);
    EXPECT_EQ(ReasonOf(status), Reason::CANCELLED);
    broker.scheduler.RunFor(10 * kMillisecond);
    EXPECT_EQ(answers, 1);
  }
  EXPECT_LE(broker.scheduler.events_waiting(), before + 2);
  EXPECT_EQ(broker.broker().gate().memory_used(), 0u);
}

TEST(FetchTest, ManyUnknownPartitionsAreAnsweredEachWithItsError) {
  SimBroker broker(1);
  broker.CreateTopic("t", 1);
  const auto reply = broker.Ask(&BrokerService::Fetch, AllOf("t", 10'000, 1000));
  ASSERT_TRUE(reply.ok());
  EXPECT_TRUE(reply->results[0].status.ok());
  EXPECT_EQ(ReasonOf(reply->results[9999].status), Reason::UNKNOWN_PARTITION);
}

}  // namespace
}  // namespace varve::server
