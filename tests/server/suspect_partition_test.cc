// A broker one of whose replicas is suspect: it says so, and serves everything else.
#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/segment_names.h"
#include "tests/server/sim_broker.h"

namespace varve::server {
namespace {

class SuspectPartitionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    broker.CreateTopic("hurt", 1);
    broker.CreateTopic("sound", 1);
    for (int i = 0; i < 20; ++i)
      for (const char* topic : {"hurt", "sound"}) broker.Append(topic, 0, std::string(1000, 'x'));
    // Everything leaves the journal but its newest commits.
    broker.scheduler.RunFor(20 * kSecond);
  }
  std::string SegmentOf(GroupId group) {
    const std::string directory = "data/groups/" + storage::GroupDirectoryName(group);
    const auto listed = broker.disk().List(directory);
    EXPECT_TRUE(listed.ok());
    for (const DirectoryEntry& entry : *listed)
      if (entry.name.ends_with(".log")) return JoinPath(directory, entry.name);
    ADD_FAILURE() << "no segment in " << directory;
    return "";
  }
  GroupId GroupOf(const std::string& topic) {
    return *broker.broker().catalogue().FindGroup(topic, PartitionId(0));
  }
  absl::Status Stop() {
    std::optional<absl::Status> stopped;
    broker.broker().Stop([&](absl::Status status) { stopped = std::move(status); });
    EXPECT_TRUE(broker.scheduler.RunUntil([&] { return stopped.has_value(); }, 60 * kSecond));
    return *stopped;
  }
  // The end of the file goes while nothing runs.
  absl::Status RestartWithout(const std::string& segment) {
    EXPECT_TRUE(Stop().ok());
    return broker.Restart([&](SimFileSystem& disk) {
      EXPECT_TRUE(disk.TruncateDurable(segment, disk.Stat(segment)->size - 500).ok());
    });
  }
  // A block of the file turns to rubbish while nothing runs.
  absl::Status RestartDamaged(const std::string& segment, uint64_t position) {
    EXPECT_TRUE(Stop().ok());
    return broker.Restart([&](SimFileSystem& disk) {
      EXPECT_TRUE(disk.Corrupt(segment, position, std::string(100, '?')).ok());
    });
  }
  absl::Status Produce(const std::string& topic) {
    ProduceRequest request;
    request.topic = topic;
    request.items.push_back({PartitionId(0), std::vector<PlainRecord>{PlainRecord{}}});
    const auto reply = broker.Ask(&BrokerService::Produce, std::move(request));
    return reply.ok() ? reply->results[0].status : reply.status();
  }
  FetchResult Fetch(const std::string& topic, Offset offset) {
    FetchRequest request;
    request.partitions.push_back({topic, PartitionId(0), offset, 0});
    const auto reply = broker.Ask(&BrokerService::Fetch, std::move(request));
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply->results.at(0);
  }

  SimBroker broker{11};
};

TEST_F(SuspectPartitionTest, RefusesWritesReadsWhatVerifiesAndTheOthersGoOn) {
  const absl::Status started = RestartWithout(SegmentOf(GroupOf("hurt")));
  ASSERT_TRUE(started.ok()) << started;
  const absl::Status refused = Produce("hurt");
  EXPECT_EQ(ReasonOf(refused), Reason::REPLICA_SUSPECT) << refused;
  EXPECT_NE(InfoOf(Reason::REPLICA_SUSPECT).advice.find("varved recover"), std::string_view::npos);
  const auto first = Fetch("hurt", Offset{0});
  EXPECT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(ReasonOf(Fetch("hurt", Offset{19}).status), Reason::REPLICA_SUSPECT);
  EXPECT_EQ(ReasonOf(Fetch("hurt", Offset{25}).status), Reason::REPLICA_SUSPECT);
  ListOffsetsRequest offsets;
  offsets.items.push_back({"hurt", PartitionId(0), StartPosition{}});
  const auto start = broker.Ask(&BrokerService::ListOffsets, std::move(offsets));
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_TRUE(start->results.at(0).status.ok()) << start->results.at(0).status;
  // Clients look for a leader first: here they are told.
  GetTopicRequest request;
  request.name = "hurt";
  const auto topic = broker.Ask(&BrokerService::GetTopic, std::move(request));
  ASSERT_TRUE(topic.ok()) << topic.status();
  EXPECT_EQ(topic->partitions.at(0).leader, NodeId{1});
  EXPECT_TRUE(Produce("sound").ok()) << Produce("sound");
  EXPECT_TRUE(Fetch("sound", Offset{19}).status.ok());
}

TEST_F(SuspectPartitionTest, ASuspectMetadataPartitionKeepsTheBrokerFromStarting) {
  const absl::Status started = RestartWithout(SegmentOf(kMetadataGroup));
  EXPECT_EQ(ReasonOf(started), Reason::REPLICA_SUSPECT) << started;
  EXPECT_NE(MessageOf(started).find("metadata"), std::string_view::npos) << started;
}

// Nothing of the only segment verifies, not even which terms the log knows.
TEST_F(SuspectPartitionTest, ALogWithoutItsBeginningIsSuspectAndTheOthersGoOn) {
  for (const uint64_t position : {uint64_t{0}, uint64_t{4096}}) {
    SCOPED_TRACE(testing::Message() << "position " << position);
    const absl::Status started = RestartDamaged(SegmentOf(GroupOf("hurt")), position);
    ASSERT_TRUE(started.ok()) << started;
    EXPECT_EQ(ReasonOf(Produce("hurt")), Reason::REPLICA_SUSPECT);
    EXPECT_NE(ReasonOf(Fetch("hurt", Offset{0}).status), Reason::OK);
    EXPECT_TRUE(Produce("sound").ok()) << Produce("sound");
  }
  const absl::Status started = RestartDamaged(SegmentOf(kMetadataGroup), 0);
  EXPECT_EQ(ReasonOf(started), Reason::REPLICA_SUSPECT) << started;
}

}  // namespace
}  // namespace varve::server
