// Where logs start: topic settings, deletions that were asked for, retention by size and age.
#include <gtest/gtest.h>

#include "common/error.h"
#include "server/metadata/topic_settings.h"
#include "server/partition/clock_watch.h"
#include "storage/segment_names.h"
#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

constexpr int64_t kDayMs = 24 * 3600 * int64_t{1000};

class RetentionTest : public ::testing::Test {
 protected:
  void Create(std::vector<TopicSetting> settings) {
    CreateTopicRequest request;
    request.name = "t";
    request.settings = std::move(settings);
    const auto created = broker.Ask(&BrokerService::CreateTopic, std::move(request));
    ASSERT_TRUE(created.ok()) << created.status();
  }
  absl::Status Alter(std::vector<TopicSetting> set, std::vector<std::string> unset = {}) {
    AlterTopicRequest request;
    request.name = "t";
    request.set = std::move(set);
    request.unset = std::move(unset);
    return broker.Ask(&BrokerService::AlterTopic, std::move(request)).status();
  }
  DeleteRecordsResult Delete(std::optional<Offset> before) {
    DeleteRecordsRequest request;
    request.items.push_back({"t", PartitionId(0), before});
    const auto reply = broker.Ask(&BrokerService::DeleteRecords, std::move(request));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply->results.at(0);
  }
  PartitionInfo Describe() {
    GetTopicRequest request;
    request.name = "t";
    const auto topic = broker.Ask(&BrokerService::GetTopic, std::move(request));
    EXPECT_TRUE(topic.ok()) << topic.status();
    config = topic->config;
    return topic->partitions.at(0);
  }
  Offset Start() {
    ListOffsetsRequest request;
    request.items.push_back({"t", PartitionId(0), StartPosition{}});
    const auto reply = broker.Ask(&BrokerService::ListOffsets, std::move(request));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply->results.at(0).offset;
  }
  absl::Status FetchAt(Offset offset) {
    FetchRequest request;
    request.partitions.push_back({"t", PartitionId(0), offset, 0});
    const auto reply = broker.Ask(&BrokerService::Fetch, std::move(request));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply->results.at(0).status;
  }
  void Append(int records, size_t bytes) {
    for (int i = 0; i < records; ++i) broker.Append("t", 0, std::string(bytes, 'x'));
  }

  SimBroker broker{5};
  TopicConfig config;
};

// More than may be uncommitted at once: the rest is refused, and is no reason to end the segment.
TEST_F(RetentionTest, RefusedBatchesTakeNoRoomInTheSegment) {
  Create({{"segment.bytes", std::to_string(52 << 20)}});
  int acknowledged = 0, refused = 0;
  for (int i = 0; i < 50; ++i) {
    ProduceRequest request;
    request.topic = "t";
    PlainRecord record;
    record.value = std::string(1'000'000, 'x');
    request.items.push_back({PartitionId(0), std::vector<PlainRecord>{record}});
    broker.service().Produce(broker.Context(), std::move(request),
                             [&](absl::StatusOr<ProduceReply> reply) {
                               const bool ok = reply.ok() && reply->results[0].status.ok();
                               ++(ok ? acknowledged : refused);
                             });
  }
  ASSERT_TRUE(
      broker.scheduler.RunUntil([&] { return acknowledged + refused == 50; }, 60 * kSecond));
  ASSERT_GT(refused, 5);
  while (acknowledged < 45) {
    Append(1, 1'000'000);
    ++acknowledged;
  }
  broker.scheduler.RunFor(kSecond);
  size_t segments = 0;
  const auto group = broker.broker().catalogue().FindGroup("t", PartitionId(0));
  ASSERT_TRUE(group.ok()) << group.status();
  const auto files = broker.disk().List("data/groups/" + storage::GroupDirectoryName(*group));
  ASSERT_TRUE(files.ok()) << files.status();
  for (const DirectoryEntry& file : *files) segments += file.name.ends_with(".log") ? 1 : 0;
  EXPECT_EQ(segments, 1u);
}

// The catalogue shows a topic before its logs exist; who sees it there may change it.
TEST_F(RetentionTest, AnAlterationMayMeetTheCreation) {
  std::optional<absl::StatusOr<TopicInfo>> created, altered;
  CreateTopicRequest create;
  create.name = "t";
  broker.service().CreateTopic(broker.Context(), std::move(create),
                               [&](absl::StatusOr<TopicInfo> got) { created = std::move(got); });
  ASSERT_TRUE(broker.scheduler.RunUntil(
      [&] { return broker.broker().catalogue().Find("t") != nullptr; }, 60 * kSecond));
  ASSERT_FALSE(created.has_value());
  AlterTopicRequest alter;
  alter.name = "t";
  alter.set = {{"segment.bytes", "65536"}, {"retention.bytes", "65536"}};
  broker.service().AlterTopic(broker.Context(), std::move(alter),
                              [&](absl::StatusOr<TopicInfo> got) { altered = std::move(got); });
  ASSERT_TRUE(broker.scheduler.RunUntil([&] { return created.has_value() && altered.has_value(); },
                                        60 * kSecond));
  ASSERT_TRUE(created->ok()) << created->status();
  ASSERT_TRUE(altered->ok()) << altered->status();
  EXPECT_EQ((*altered)->config.retention_bytes, 65536);
  // The partition heard of it too.
  Append(40, 10'000);
  EXPECT_GT(Start(), Offset{0});
}

TEST_F(RetentionTest, DeleteRecordsMovesTheStartAndAnswersIt) {
  Create({});
  Append(10, 100);
  EXPECT_EQ(Delete(Offset{4}).log_start, Offset{4});
  EXPECT_EQ(Start(), Offset{4});
  EXPECT_EQ(ReasonOf(FetchAt(Offset{3})), Reason::OFFSET_OUT_OF_RANGE);
  EXPECT_TRUE(FetchAt(Offset{4}).ok());
  EXPECT_EQ(Delete(Offset{2}).log_start, Offset{4});
  EXPECT_EQ(ReasonOf(Delete(Offset{11}).status), Reason::OFFSET_OUT_OF_RANGE);
  EXPECT_EQ(Start(), Offset{4});
  EXPECT_EQ(Delete(std::nullopt).log_start, Offset{10});
  EXPECT_EQ(Describe().bounds.log_start, Offset{10});
  Append(1, 100);
  EXPECT_TRUE(FetchAt(Offset{10}).ok());
}

TEST_F(RetentionTest, DeleteRecordsRefusesWhatIsNotThere) {
  Create({});
  DeleteRecordsRequest request;
  request.items.push_back({"other", PartitionId(0), Offset{0}});
  request.items.push_back({"t", PartitionId(7), Offset{0}});
  const auto reply = broker.Ask(&BrokerService::DeleteRecords, std::move(request));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(ReasonOf(reply->results[0].status), Reason::UNKNOWN_TOPIC);
  EXPECT_EQ(ReasonOf(reply->results[1].status), Reason::UNKNOWN_PARTITION);
  EXPECT_EQ(ReasonOf(broker.Ask(&BrokerService::DeleteRecords, DeleteRecordsRequest{}).status()),
            Reason::INVALID_REQUEST);
}

TEST_F(RetentionTest, SizeDropsOldSegments) {
  Create({{"segment.bytes", "65536"}, {"retention.bytes", "200000"}});
  Append(100, 10'000);
  broker.scheduler.RunFor(kSecond);
  const PartitionInfo info = Describe();
  EXPECT_GT(info.bounds.log_start, Offset{50});
  EXPECT_EQ(info.bounds.high_watermark, Offset{100});
  EXPECT_GE(info.size_bytes, 200'000u);
  EXPECT_LE(info.size_bytes, 200'000u + 2 * 65'536u);
  EXPECT_EQ(Start(), info.bounds.log_start);
}

TEST_F(RetentionTest, AgeDropsRecordsEvenOfAnIdleLog) {
  Create({{"retention.ms", "600000"}});
  Append(10, 100);
  broker.scheduler.RunFor(300 * kSecond);
  EXPECT_EQ(Start(), Offset{0});
  broker.scheduler.RunFor(400 * kSecond);
  EXPECT_EQ(Start(), Offset{10});
  Append(1, 100);
  EXPECT_EQ(Start(), Offset{10});
}

TEST_F(RetentionTest, AgeEndsSegmentsButNoEmptyOnes) {
  Create({{"segment.ms", "60000"}});
  const uint64_t empty = Describe().size_bytes;
  broker.scheduler.RunFor(600 * kSecond);
  EXPECT_EQ(Describe().size_bytes, empty);
  Append(1, 100);
  const uint64_t before = Describe().size_bytes;
  broker.scheduler.RunFor(120 * kSecond);
  EXPECT_GT(Describe().size_bytes, before + 4096);  // a second file header
}

TEST_F(RetentionTest, AClockThatJumpsDeletesNothingUntilConfirmed) {
  Create({{"retention.ms", "600000"}, {"segment.bytes", "65536"}});
  Append(10, 20'000);
  broker.scheduler.StepWall(30 * kDayMs);
  Append(1, 100);
  broker.scheduler.RunFor(1200 * kSecond);
  EXPECT_EQ(Start(), Offset{0});
  EXPECT_NE(broker.broker().partitions().clock_watch().Check(), "");
  EXPECT_TRUE(broker.broker().partitions().clock_watch().Confirm());
  broker.broker().partitions().ReviewRetention();
  broker.scheduler.RunFor(kSecond);
  EXPECT_EQ(Start(), Offset{11});
}

TEST_F(RetentionTest, ADayEndsThePause) {
  Create({{"retention.ms", "600000"}});
  Append(5, 100);
  broker.scheduler.StepWall(30 * kDayMs);
  broker.scheduler.RunFor(23 * 3600 * kSecond);
  EXPECT_EQ(Start(), Offset{0});
  broker.scheduler.RunFor(3 * 3600 * kSecond);
  EXPECT_EQ(Start(), Offset{5});
}

TEST_F(RetentionTest, SettingsAreAlteredDescribedAndActAtOnce) {
  Create({{"retention.ms", "600000"}});
  Append(5, 100);
  broker.scheduler.RunFor(100 * kSecond);
  ASSERT_TRUE(Alter({{"retention.ms", "50000"}, {"retention.bytes", "1000000"}}).ok());
  broker.scheduler.RunFor(kSecond);
  EXPECT_EQ(Start(), Offset{5});
  Describe();
  EXPECT_EQ(config.retention_ms, 50'000);
  EXPECT_EQ(config.retention_bytes, 1'000'000);
  ASSERT_TRUE(Alter({}, {"retention.ms"}).ok());
  Describe();
  EXPECT_EQ(config.retention_ms, std::nullopt);
  EXPECT_EQ(config.retention_bytes, 1'000'000);
}

TEST_F(RetentionTest, WrongSettingsAreRefusedByName) {
  Create({});
  const auto refused = [&](const char* name, const char* value) {
    const absl::Status status = Alter({{name, value}});
    EXPECT_EQ(ReasonOf(status), Reason::INVALID_CONFIG) << status;
    EXPECT_NE(MessageOf(status).find(name), std::string::npos) << status;
  };
  refused("retention.days", "7");
  refused("retention.ms", "soon");
  refused("retention.ms", "5");
  refused("retention.ms", "-2");
  refused("segment.bytes", "-1");
  refused("segment.bytes", "99999999999999999999");
  EXPECT_EQ(ReasonOf(Alter({{"retention.ms", "5000"}}, {"retention.ms"})), Reason::INVALID_CONFIG);
  EXPECT_EQ(ReasonOf(Alter({})), Reason::INVALID_REQUEST);
  Describe();
  EXPECT_EQ(config, TopicConfig{});
}

TEST(TopicSettings, EveryRowRoundTripsItsBounds) {
  for (const TopicSettingRow& row : TopicSettingRows()) {
    for (const int64_t value : {row.least, row.most}) {
      TopicConfig config;
      ASSERT_TRUE(SetTopicSetting(row.name, StrCat(value), &config).ok()) << row.name;
      EXPECT_EQ(EffectiveSetting(row.name, config), value);
      EXPECT_TRUE(CheckTopicConfig(config).ok());
      ASSERT_TRUE(UnsetTopicSetting(row.name, &config).ok());
      EXPECT_EQ(config, TopicConfig{});
      EXPECT_EQ(EffectiveSetting(row.name, config), row.default_value);
    }
    TopicConfig config;
    EXPECT_FALSE(
        SetTopicSetting(row.name, StrCat(row.least - 1 == -1 ? -5 : row.least - 1), &config).ok())
        << row.name;
    EXPECT_EQ(SetTopicSetting(row.name, "-1", &config).ok(), row.may_be_unlimited) << row.name;
  }
}

TEST(ClockWatchTest, PausesWhenTheClockStartsFarAhead) {
  SimScheduler scheduler(1);
  const WallTime now = scheduler.clock().Wall();
  EXPECT_EQ(ClockWatch(scheduler.clock(), WallTime{}).Check(), "");
  EXPECT_EQ(ClockWatch(scheduler.clock(), now - kDayMs).Check(), "");
  ClockWatch watch(scheduler.clock(), now - kDayMs - 1000);
  EXPECT_NE(watch.Check(), "");
  scheduler.RunFor(ClockWatch::kLongestPause - kSecond);
  EXPECT_NE(watch.Check(), "");
  scheduler.RunFor(kSecond);
  EXPECT_EQ(watch.Check(), "");
}

TEST(ClockWatchTest, PausesWhenTheClocksPart) {
  SimScheduler scheduler(1);
  for (const int64_t step : {int64_t{61'000}, int64_t{-61'000}}) {
    ClockWatch watch(scheduler.clock(), WallTime{});
    scheduler.StepWall(step < 0 ? -59'000 : 59'000);
    EXPECT_EQ(watch.Check(), "");
    scheduler.StepWall(step);
    EXPECT_NE(watch.Check(), "");
    EXPECT_NE(watch.Check(), "");
    EXPECT_TRUE(watch.Confirm());
    EXPECT_EQ(watch.Check(), "");
    EXPECT_FALSE(watch.Confirm());
  }
}

}  // namespace
}  // namespace varve::server
