// Admin against a broker in memory, and without any.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/client/support/fake_broker.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

using std::chrono::milliseconds;

class AdminTest : public ::testing::Test {
 protected:
  static Admin Make(std::vector<std::string> bootstrap) {
    return Admin(*Client::Create({.bootstrap = std::move(bootstrap),
                                  .retry_backoff = milliseconds(1),
                                  .retry_backoff_max = milliseconds(5)}));
  }
  FakeBroker broker_;
};

TEST_F(AdminTest, TopicsAreCreatedDescribedListedAndDeleted) {
  Admin admin = Make({broker_.address()});
  for (const char* name : {"e", "c", "a", "d", "b"}) {
    const auto created = admin.CreateTopic({.name = name, .partitions = 3});
    ASSERT_TRUE(created.ok()) << created.status().ToString();
    EXPECT_EQ(created->partition_count, 3u);
    EXPECT_EQ(created->id, "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a");
  }
  const auto again = admin.CreateTopic({.name = "a"});
  EXPECT_EQ(again.status().reason(), "TOPIC_EXISTS");
  EXPECT_EQ(again.status().outcome(), RequestOutcome::kNotApplied);
  const auto listed = admin.ListTopics();
  ASSERT_TRUE(listed.ok());
  std::string names;
  for (const TopicDescription& topic : *listed) names += topic.name;
  EXPECT_EQ(names, "abcde") << "several pages";
  EXPECT_EQ(admin.GetTopic("c")->partitions.size(), 3u);
  EXPECT_TRUE(admin.DeleteTopic("c").ok());
  EXPECT_EQ(admin.GetTopic("c").status().reason(), "UNKNOWN_TOPIC");
  EXPECT_EQ(admin.DeleteTopic("c").reason(), "UNKNOWN_TOPIC");
}

TEST_F(AdminTest, OffsetsAreAnsweredInOrderAndEachAlone) {
  broker_.AddTopic("t", 2);
  Admin admin = Make({broker_.address()});
  broker_.Trim("t", 1, 0);
  const auto answers = admin.ListOffsets({{{"t", 1}, StartPosition::End()},
                                          {{"t", 9}, StartPosition::End()},
                                          {{"nowhere", 0}, StartPosition::End()},
                                          {{"t", 0}, StartPosition::Start()}});
  ASSERT_TRUE(answers.ok());
  ASSERT_EQ(answers->size(), 4u);
  EXPECT_TRUE((*answers)[0].status.ok());
  EXPECT_EQ((*answers)[0].offset, 0);
  EXPECT_EQ((*answers)[1].status.reason(), "UNKNOWN_PARTITION");
  EXPECT_EQ((*answers)[2].status.reason(), "UNKNOWN_TOPIC");
  EXPECT_TRUE((*answers)[3].status.ok());
}

TEST_F(AdminTest, TheClusterIsDescribed) {
  Admin admin = Make({broker_.address()});
  const auto cluster = admin.GetCluster();
  ASSERT_TRUE(cluster.ok());
  ASSERT_EQ(cluster->brokers.size(), 1u);
  EXPECT_EQ(cluster->brokers[0].address, broker_.address());
  EXPECT_EQ(admin.GetFeatures()->version, "fake");
}

TEST_F(AdminTest, ADeadBootstrapAddressIsPassedOver) {
  Admin admin = Make({"127.0.0.1:1", broker_.address()});
  EXPECT_TRUE(admin.CreateTopic({.name = "t"}).ok()) << "a request that writes";
  EXPECT_TRUE(admin.GetTopic("t").ok()) << "a request that reads";
}

TEST_F(AdminTest, WithoutBrokerEveryCallSaysUnavailable) {
  Admin admin = Make({"127.0.0.1:1"});
  EXPECT_EQ(admin.ListTopics().status().reason(), "UNAVAILABLE");
  const Status written = admin.CreateTopic({.name = "t"}).status();
  EXPECT_EQ(written.reason(), "UNAVAILABLE");
  EXPECT_EQ(written.outcome(), RequestOutcome::kNotApplied) << "nothing was sent";
  EXPECT_TRUE(written.retryable());
  EXPECT_FALSE(written.advice().empty());
}

TEST_F(AdminTest, ClientsMayBeDroppedWhileProducersLive) {
  broker_.AddTopic("t", 1);
  auto client = std::make_unique<Client>(*Client::Create({.bootstrap = {broker_.address()}}));
  Producer producer = *Producer::Create(*client);
  client.reset();
  EXPECT_TRUE(producer.SendSync({.topic = "t", .value = "v"}).ok());
}

}  // namespace
}  // namespace varve::testing
