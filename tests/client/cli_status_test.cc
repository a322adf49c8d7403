// What the command line prints of brokers, partitions and conditions, and the doctor's exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "client/cli/cluster_output.h"
#include "client/cli/doctor_output.h"
#include "client/cli/topic_output.h"
#include "common/condition.h"

namespace varve::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

ReplicaStatus Member(uint32_t node, const std::string& state, uint64_t lag, bool live = true) {
  ReplicaStatus replica;
  replica.node = node;
  replica.epoch = 1;
  replica.membership = "voter";
  replica.state = state;
  replica.live = live;
  replica.in_sync = live && lag == 0;
  replica.match_index = 100 - lag;
  replica.commit_index = 100 - lag;
  replica.lag_entries = lag;
  replica.lag_bytes = lag * 1024;
  replica.behind_ms = lag * 100;
  return replica;
}

PartitionStatus Own(uint32_t node, const std::string& role, uint64_t term) {
  PartitionStatus own;
  own.topic = "orders";
  own.group_id = 65536;
  own.node = node;
  own.epoch = 1;
  own.role = role;
  own.term = term;
  own.leader_node = role == "leader" ? node : 1;
  own.serving = role == "leader";
  own.high_watermark = 90;
  own.log_end = 95;
  own.last_index = 100;
  own.size_bytes = 2048;
  own.configuration_change = role == "leader" ? "none" : "";
  return own;
}

TopicDescription Topic() {
  TopicDescription topic;
  topic.name = "orders";
  topic.partition_count = 1;
  topic.replication_factor = 3;
  topic.partitions = {{.partition = 0, .group_id = 65536, .replica_nodes = {1, 2, 3}}};
  return topic;
}

// Node 3 lags, node 2 is silent, and an old leader has not noticed yet.
PartitionSurvey Survey() {
  PartitionStatus leader = Own(1, "leader", 7);
  leader.replicas = {Member(1, "leader", 0), Member(2, "probe", 40, false),
                     Member(3, "install", 12)};
  leader.under_replicated = true;
  PartitionSurvey survey;
  survey.partitions = {{.topic = "orders",
                        .partition = 0,
                        .group_id = 65536,
                        .replicas = {leader, Own(2, "leader", 6), Own(3, "follower", 7)}}};
  return survey;
}

TEST(StatusOutputTest, ATopicIsDescribedByItsLeaders) {
  const PartitionSurvey survey = Survey();
  const std::string table =
      RenderTopicDescriptions({Topic()}, &survey, OutputFormat::kTable, false);
  EXPECT_THAT(table,
              HasSubstr("PARTITION  LEADER  EPOCH  START  END  RECORDS      SIZE  REPLICAS"));
  EXPECT_THAT(table, HasSubstr("        0       1      7      0   90       90  2.00 KiB  "
                               "1 leader, 2 silent -40 probe, 3 behind -12 install  "
                               "under-replicated"));
  const json array =
      json::parse(RenderTopicDescriptions({Topic()}, &survey, OutputFormat::kJson, false));
  const json& partition = array[0]["partitions"][0];
  EXPECT_EQ(partition["leader_node"], 1);
  EXPECT_EQ(partition["leader_epoch"], 7);
  EXPECT_EQ(partition["high_watermark"], 90);
  EXPECT_EQ(partition["log_end"], 95);
  EXPECT_EQ(partition["under_replicated"], true);
  EXPECT_EQ(partition["replicas"][2]["state"], "install");
  EXPECT_EQ(partition["replicas"][2]["lag_entries"], 12);
  EXPECT_EQ(partition["replicas"][2]["lag_bytes"], 12 * 1024);
  EXPECT_EQ(partition["reported_by"].size(), 3u);
}

TEST(StatusOutputTest, WithoutAnyAnswerAPartitionIsLeaderless) {
  const auto views = JoinPartitions({Topic()}, {});
  ASSERT_EQ(views.size(), 1u);
  EXPECT_TRUE(views[0].leaderless());
  EXPECT_EQ(ReplicasText(views[0]), "1 silent, 2 silent, 3 silent");
  const std::string table = RenderPartitionList(views, OutputFormat::kTable, false);
  EXPECT_THAT(table, HasSubstr("leaderless"));
  const json row = json::parse(RenderPartitionList(views, OutputFormat::kJson, false))[0];
  EXPECT_TRUE(row["leader_node"].is_null());
  EXPECT_EQ(row["under_replicated"], true);
}

TEST(StatusOutputTest, APartitionShowsEveryReplicaTwice) {
  const PartitionView view = JoinPartitions({Topic()}, Survey())[0];
  const std::string text = RenderPartition(view, OutputFormat::kTable, false);
  EXPECT_THAT(text, HasSubstr("PARTITION             orders/0"));
  EXPECT_THAT(text, HasSubstr("NODE  EPOCH  MEMBER  STATE    SYNC    MATCH"));
  EXPECT_THAT(text, HasSubstr("   2      1  voter   probe    silent     60"));
  EXPECT_THAT(text, HasSubstr("ANSWERED BY  ROLE"));
  EXPECT_EQ(
      json::parse(RenderPartition(view, OutputFormat::kJson, false))["reported_by"][1]["term"], 6);
}

ClusterStatus Cluster() {
  ClusterStatus cluster;
  cluster.cluster_id = std::string(32, 'c');
  cluster.controller_node = 1;
  BrokerStatus one;
  one.node = 1;
  one.address = "host1:9640";
  one.state = "serving";
  one.version = "0.1.0";
  one.directory_state = "ok";
  one.uptime_ms = 150'000;
  one.leaders = 2;
  one.replicas = 5;
  one.peers = {{.node = 2, .address = "host2:9640", .live = false}};
  BrokerStatus two;
  two.node = 2;
  two.address = "host2:9640";
  two.status = Status({.reason = "UNAVAILABLE", .message = "refused"});
  cluster.brokers = {one, two};
  return cluster;
}

TEST(StatusOutputTest, BrokersThatDoNotAnswerAreShown) {
  const std::string table = RenderBrokerList(Cluster(), OutputFormat::kTable, false);
  EXPECT_THAT(table, HasSubstr("   1  host1:9640  serving, controller        2         5"));
  EXPECT_THAT(table, HasSubstr("   2  host2:9640  does not answer            -         -"));
  const json array = json::parse(RenderBrokerList(Cluster(), OutputFormat::kJson, false));
  EXPECT_EQ(array[0]["leaders"], 2);
  EXPECT_EQ(array[1]["answered"], false);
  EXPECT_EQ(array[1]["error"]["reason"], "UNAVAILABLE");
  const ClusterStatus cluster = Cluster();
  const std::string one = RenderBroker(cluster, cluster.brokers[0], OutputFormat::kTable, false);
  EXPECT_THAT(one, HasSubstr("never heard"));
  EXPECT_THAT(one, HasSubstr("up              2 min"));
}

TEST(StatusOutputTest, AClusterCountsWhatIsWrong) {
  const auto views = JoinPartitions({Topic()}, Survey());
  PartitionReport metadata = Survey().partitions[0];
  metadata.topic.clear();
  const std::string text = RenderCluster(Cluster(), metadata, views, OutputFormat::kTable, false);
  EXPECT_THAT(text, HasSubstr("under-replicated  1"));
  EXPECT_THAT(text, HasSubstr("leaderless        0"));
  EXPECT_THAT(text, HasSubstr("metadata group, term 7"));
  const json object =
      json::parse(RenderCluster(Cluster(), metadata, views, OutputFormat::kJson, false));
  EXPECT_EQ(object["partitions"]["under_replicated"], 1);
  EXPECT_EQ(object["metadata"]["replicas"].size(), 3u);
  EXPECT_EQ(object["brokers"].size(), 2u);
}

TEST(DoctorTest, AHealthyClusterIsExitCodeZero) {
  ClusterStatus cluster = Cluster();
  EXPECT_EQ(DoctorExitCode(cluster), 0);
  EXPECT_EQ(RenderDoctor(cluster, 50, OutputFormat::kTable, false),
            "healthy: 1 of 2 brokers answered, nothing is wrong\n");
  EXPECT_EQ(json::parse(RenderDoctor(cluster, 50, OutputFormat::kJson, false))["healthy"], true);
}

TEST(DoctorTest, EveryConditionIsNineWithCauseAgeAndAdvice) {
  for (const ConditionInfo& info : AllConditions()) {
    ClusterStatus cluster = Cluster();
    cluster.conditions = {{.code = std::string(info.name),
                           .severity = std::string(NameOf(info.severity)),
                           .age_ms = 12'345,
                           .cause = "because of this",
                           .advice = std::string(info.advice),
                           .node = 2,
                           .group_id = 65536,
                           .topic = "orders",
                           .partition = 4,
                           .stated_by = {1, 3}}};
    EXPECT_EQ(DoctorExitCode(cluster), 9) << info.name;
    const std::string table = RenderDoctor(cluster, 50, OutputFormat::kTable, false);
    EXPECT_THAT(table, HasSubstr(info.name));
    EXPECT_THAT(table, HasSubstr(" 12 s  orders/4, node 2  because of this  nodes 1, 3"));
    EXPECT_THAT(table, HasSubstr(info.advice));
    const json object = json::parse(RenderDoctor(cluster, 50, OutputFormat::kJson, false));
    EXPECT_EQ(object["healthy"], false);
    const json& condition = object["conditions"][0];
    EXPECT_EQ(condition["code"], std::string(info.name));
    EXPECT_EQ(condition["age_ms"], 12'345);
    EXPECT_EQ(condition["cause"], "because of this");
    EXPECT_EQ(condition["stated_by"], json({1, 3}));
  }
}

TEST(DoctorTest, TheTableIsBoundedAndSaysSo) {
  ClusterStatus cluster = Cluster();
  for (uint32_t i = 0; i < 60; ++i)
    cluster.conditions.push_back({.code = "leaderless", .topic = "t", .partition = i});
  const std::string table = RenderDoctor(cluster, 50, OutputFormat::kTable, false);
  EXPECT_THAT(table, HasSubstr("t/49"));
  EXPECT_THAT(table, Not(HasSubstr("t/50")));
  EXPECT_THAT(table, HasSubstr("and 10 more"));
  EXPECT_THAT(table, HasSubstr("60 conditions"));
}

TEST(AgeTextTest, IsShort) {
  const std::pair<uint64_t, const char*> cases[] = {
      {0, "0 ms"},        {999, "999 ms"},    {1'000, "1 s"},      {119'999, "119 s"},
      {120'000, "2 min"}, {7'200'000, "2 h"}, {172'800'000, "2 d"}};
  for (const auto& [ms, text] : cases) EXPECT_EQ(AgeText(ms), text);
}

}  // namespace
}  // namespace varve::cli
