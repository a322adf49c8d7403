#include <gtest/gtest.h>

#include "common/error.h"
#include "common/limits.h"
#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

TEST(TopicRaceTest, OfTwoCollidingNamesCreatedAtOnceOnlyOneIsThere) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    SimBroker broker(seed);
    int created = 0;
    int answers = 0;
    for (const char* name : {"a.b", "a_b"}) {
      CreateTopicRequest request;
      request.name = name;
      broker.service().CreateTopic(broker.Context(), request, [&](absl::StatusOr<TopicInfo> got) {
        ++answers;
        created += got.ok() ? 1 : 0;
        if (!got.ok()) {
          EXPECT_EQ(ReasonOf(got.status()), Reason::INVALID_TOPIC_NAME);
        }
      });
    }
    ASSERT_TRUE(broker.scheduler.RunUntil([&] { return answers == 2; }, 60 * kSecond));
    EXPECT_EQ(created, 1);
  }
}

// The catalogue shows a topic before its logs exist.
TEST(TopicRaceTest, ATopicDeletedWhileItIsCreatedLeavesNoPartition) {
  int deleted_early = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    SimBroker broker(seed);
    int answers = 0;
    bool created = false;
    CreateTopicRequest request;
    request.name = "t";
    request.partitions = 8;
    broker.service().CreateTopic(broker.Context(), request, [&](absl::StatusOr<TopicInfo> got) {
      ++answers;
      created = got.ok();
    });
    broker.scheduler.RunUntil([&] { return broker.broker().catalogue().Find("t") != nullptr; },
                              kSecond);
    broker.service().DeleteTopic(broker.Context(), {"t", {}, {}},
                                 [&](absl::StatusOr<DeleteTopicReply> got) {
                                   ++answers;
                                   deleted_early += !created;
                                   EXPECT_TRUE(got.ok()) << got.status();
                                 });
    ASSERT_TRUE(broker.scheduler.RunUntil([&] { return answers == 2; }, 60 * kSecond));
    broker.scheduler.RunFor(5 * kSecond);
    EXPECT_EQ(broker.broker().partitions().size(), 1u) << "the metadata partition alone";
    EXPECT_EQ(broker.broker().directory().groups().size(), 1u);
  }
  EXPECT_GT(deleted_early, 0);
}

TEST(ProduceSessionTest, AllStreamsTogetherStayWithinTheMemoryForRequests) {
  struct Events final : ProduceEvents {
    void OnOpened(uint32_t, absl::StatusOr<Opened> opened) override { open += opened.ok(); }
    void OnAck(uint64_t, const ProduceResult& result) override {
      ++(result.status.ok() ? accepted : refused);
      if (!result.status.ok()) {
        EXPECT_EQ(ReasonOf(result.status), Reason::OVERLOADED);
      }
    }
    void OnCredit(SessionCredit) override {}
    void OnMoved(const std::string&) override {}
    int open = 0, accepted = 0, refused = 0;
  };
  SimBroker broker(1);
  broker.CreateTopic("t", 4);
  RecordBatchBuilder builder;
  ASSERT_TRUE(builder.Add(broker.scheduler.clock().Wall(), {}, std::string(900'000, 'x'), {}).ok());
  const auto batch = builder.Build();
  ASSERT_TRUE(batch.ok());
  Events events;
  std::vector<std::unique_ptr<ProduceSession>> sessions;
  int sent = 0;
  for (int i = 0; i < 40; ++i) {
    auto session = broker.service().OpenProduce(broker.Context(), events);
    ASSERT_TRUE(session.ok());
    (*session)->Open(1, "t", Acks::kAll, {});
    for (int k = 0; k < 5; ++k, ++sent)
      (*session)->Append(k, 1, PartitionId(i % 4), FrameBuffer::Copy(*batch));
    sessions.push_back(std::move(*session));
    EXPECT_LE(broker.broker().gate().memory_used(), limits::kRequestMemoryBytes);
  }
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return events.accepted + events.refused == sent; },
                                        60 * kSecond));
  EXPECT_GT(events.refused, 0);
  EXPECT_GT(events.accepted, 0);
  EXPECT_EQ(broker.broker().gate().memory_used(), 0u);
  for (auto& session : sessions) session->Close();
}

}  // namespace
}  // namespace varve::server
