// How a new directory comes into a cluster: lists of seeds, and who founds, joins or waits.
#include "server/metadata/formation.h"

#include <gtest/gtest.h>

#include "common/error.h"
#include "common/error_detail.h"
#include "common/sim/sim_scheduler.h"

namespace varve::server {
namespace {

TEST(ParseSeedsTest, ReadsNodesAndAddresses) {
  const auto seeds = ParseSeeds(" 1@db1:9641, 2@[::1]:9641,30@10.0.0.3:1 ");
  ASSERT_TRUE(seeds.ok()) << seeds.status();
  EXPECT_EQ(*seeds,
            (std::vector<SeedNode>{
                {NodeId{1}, "db1:9641"}, {NodeId{2}, "[::1]:9641"}, {NodeId{30}, "10.0.0.3:1"}}));
  EXPECT_TRUE(ParseSeeds("")->empty());
  EXPECT_TRUE(ParseSeeds("  ")->empty());
}

TEST(ParseSeedsTest, RefusesEverythingElse) {
  for (const std::string_view text :
       {"db1:9641", "1@db1", "1@:9641", "1@db1:", "0@db1:9641", "-1@db1:9641", "1x@db1:9641",
        "@db1:9641", "1@", "1@a:1,,2@b:1", "1@a:1,1@b:1", "4294967296@a:1"}) {
    const auto seeds = ParseSeeds(text);
    ASSERT_FALSE(seeds.ok()) << text;
    EXPECT_EQ(ReasonOf(seeds.status()), Reason::INVALID_CONFIG) << text;
  }
}

ClusterId SomeCluster(uint8_t byte) {
  ClusterId out;
  out.bytes[0] = byte;
  return out;
}

// What each address answers; UNAVAILABLE where nothing is set.
class Answers final : public PeerClient {
 public:
  explicit Answers(Executor& executor) : executor_(executor) {}
  void Hello(const std::string& address, HelloRequest, Nanos, Reply<HelloReply> reply) override {
    ++asked;
    const auto at = hellos.find(address);
    Answer(std::move(reply),
           at == hellos.end() ? absl::StatusOr<HelloReply>(Nobody()) : at->second);
  }
  void Join(const std::string& address, JoinRequest, Nanos, Reply<JoinReply> reply) override {
    joined.push_back(address);
    const auto at = joins.find(address);
    Answer(std::move(reply), at == joins.end() ? absl::StatusOr<JoinReply>(Nobody()) : at->second);
  }
  void Report(const std::string&, ReportRequest, Nanos, Reply<ReportReply> reply) override {
    Answer(std::move(reply), absl::StatusOr<ReportReply>(Nobody()));
  }
  void Transfer(const std::string&, TransferRequest, Nanos, Reply<TransferReply> reply) override {
    Answer(std::move(reply), absl::StatusOr<TransferReply>(Nobody()));
  }

  std::map<std::string, absl::StatusOr<HelloReply>> hellos;
  std::map<std::string, absl::StatusOr<JoinReply>> joins;
  std::vector<std::string> joined;
  int asked = 0;

 private:
  static absl::Status Nobody() { return MakeError(Reason::UNAVAILABLE, "connection refused"); }
  template <class T>
  void Answer(Reply<T> reply, absl::StatusOr<T> answer) {
    executor_.Post([reply = std::move(reply), answer = std::move(answer)]() mutable {
      reply(std::move(answer));
    });
  }
  Executor& executor_;
};

class FormationTest : public testing::Test {
 protected:
  static HelloReply Empty(uint32_t node) {
    HelloReply out;
    out.node = NodeId{node};
    out.directory_empty = true;
    return out;
  }
  static HelloReply InCluster(uint32_t node, uint32_t controller) {
    HelloReply out;
    out.node = NodeId{node};
    out.cluster = SomeCluster(7);
    out.controller = NodeId{controller};
    for (const uint32_t known : {1u, 2u, 3u})
      out.brokers.push_back({NodeId{known}, {}, "", StrCat("host", known, ":1")});
    return out;
  }
  static JoinReply Joined(uint8_t cluster = 7) {
    return {SomeCluster(cluster), ReplicaEpoch{4}, {{NodeId{1}, {}, "", "host1:1"}}};
  }
  void Begin(uint32_t node, ClusterId wanted = {}) {
    FormationOptions options;
    options.self.node = NodeId{node};
    options.self.peer_address = StrCat("host", node, ":1");
    options.seeds = *ParseSeeds("1@host1:1,2@host2:1,3@host3:1");
    options.cluster = wanted;
    formation = std::make_unique<Formation>(options, answers, *home, scheduler.clock());
    home->Post([this] {
      formation->Run([this](const std::string& why) { waits.push_back(why); },
                     [this](absl::StatusOr<Formed> formed) { result = std::move(formed); });
    });
    scheduler.RunFor(kSecond);
  }

  SimScheduler scheduler{1};
  std::unique_ptr<Executor> home = scheduler.NewExecutor("home");
  Answers answers{*home};
  std::unique_ptr<Formation> formation;
  std::vector<std::string> waits;
  std::optional<absl::StatusOr<Formed>> result;
};

TEST_F(FormationTest, TheFirstFoundsWhenAllOthersAreEmpty) {
  answers.hellos = {{"host2:1", Empty(2)}, {"host3:1", Empty(3)}};
  Begin(1);
  ASSERT_TRUE(result && result->ok());
  EXPECT_TRUE((*result)->founds);
}

TEST_F(FormationTest, TheFirstWaitsForThoseWhoDoNotAnswer) {
  answers.hellos = {{"host2:1", Empty(2)}};
  Begin(1);
  EXPECT_FALSE(result.has_value());
  ASSERT_EQ(waits.size(), 1u) << "told once, however often it asks";
  EXPECT_NE(waits[0].find("host3:1"), std::string::npos) << waits[0];
  answers.hellos.emplace("host3:1", Empty(3));
  scheduler.RunFor(kSecond);
  EXPECT_TRUE(result && result->ok() && (*result)->founds);
}

// Segments without an identity are damage, not emptiness: nobody founds a cluster over them.
TEST_F(FormationTest, TheFirstWaitsForADirectoryThatIsNotEmpty) {
  HelloReply damaged = Empty(2);
  damaged.directory_empty = false;
  answers.hellos = {{"host2:1", damaged}, {"host3:1", Empty(3)}};
  Begin(1);
  EXPECT_FALSE(result.has_value());
}

TEST_F(FormationTest, TheOthersNeverFound) {
  answers.hellos = {{"host1:1", Empty(1)}, {"host3:1", Empty(3)}};
  Begin(2);
  EXPECT_FALSE(result.has_value());
  EXPECT_GT(answers.asked, 4);
}

TEST_F(FormationTest, WhoeverKnowsAClusterIsJoinedThroughItsController) {
  answers.hellos = {{"host1:1", Empty(1)}, {"host3:1", InCluster(3, 3)}};
  answers.joins = {{"host3:1", Joined()}};
  Begin(2);
  ASSERT_TRUE(result && result->ok());
  EXPECT_FALSE((*result)->founds);
  EXPECT_EQ((*result)->cluster, SomeCluster(7));
  EXPECT_EQ((*result)->metadata_epoch, ReplicaEpoch{4});
  EXPECT_EQ(answers.joined, std::vector<std::string>{"host3:1"});
}

// Also the first of the list, when its disk was lost.
TEST_F(FormationTest, TheFirstJoinsAClusterThatIsThere) {
  answers.hellos = {{"host2:1", InCluster(2, 3)}};
  answers.joins = {{"host3:1", Joined()}};
  Begin(1);
  EXPECT_TRUE(result && result->ok() && !(*result)->founds);
}

TEST_F(FormationTest, HintsToTheControllerAreFollowed) {
  absl::Status elsewhere = MakeError(Reason::NOT_LEADER, "node 2 does not lead");
  SetErrorDetail("leader_address", "host3:1", &elsewhere);
  answers.hellos = {{"host1:1", InCluster(1, 0)}};
  answers.joins.emplace("host1:1", elsewhere);
  answers.joins.emplace("host3:1", Joined());
  Begin(2);
  EXPECT_TRUE(result && result->ok());
  EXPECT_EQ(answers.joined, (std::vector<std::string>{"host1:1", "host3:1"}));
}

TEST_F(FormationTest, AnotherClusterThanTheOneWantedIsRefused) {
  answers.hellos = {{"host1:1", InCluster(1, 1)}};
  answers.joins.emplace("host1:1", Joined(8));
  Begin(2, SomeCluster(7));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ReasonOf(result->status()), Reason::FOREIGN_DIRECTORY);
}

TEST_F(FormationTest, ARefusalThatCannotChangeIsFinal) {
  answers.hellos = {{"host1:1", InCluster(1, 1)}};
  answers.joins.emplace("host1:1", MakeError(Reason::FOREIGN_DIRECTORY, "node 2 lives"));
  Begin(2);
  EXPECT_FALSE(result.has_value()) << "its former process may have died just now";
  scheduler.RunFor(2 * kSecond);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ReasonOf(result->status()), Reason::FOREIGN_DIRECTORY);
}

TEST_F(FormationTest, ANodeThatDiedJustNowIsLetInAMomentLater) {
  answers.hellos = {{"host1:1", InCluster(1, 1)}};
  answers.joins.emplace("host1:1", MakeError(Reason::FOREIGN_DIRECTORY, "node 2 lives"));
  Begin(2);
  answers.joins.insert_or_assign("host1:1", Joined());
  scheduler.RunFor(kSecond);
  EXPECT_TRUE(result && result->ok());
}

TEST_F(FormationTest, ADirectoryOfAnotherClusterDoesNotStart) {
  const auto seeds = ParseSeeds("1@host1:1,2@host2:1,3@host3:1");
  const auto check = [&](uint8_t ours) {
    std::optional<absl::Status> status;
    CheckSeeds(*seeds, NodeId(2), SomeCluster(ours), answers, *home, kSecond,
               [&](absl::Status got) { status = std::move(got); });
    scheduler.RunFor(kMillisecond);
    return *status;
  };
  EXPECT_TRUE(check(8).ok()) << "nobody answers";
  answers.hellos = {{"host1:1", InCluster(1, 1)}, {"host3:1", Empty(3)}};
  EXPECT_TRUE(check(7).ok());
  EXPECT_EQ(ReasonOf(check(8)), Reason::FOREIGN_CLUSTER);
  HelloReply astray = InCluster(3, 3);  // one address leads elsewhere, and another one home
  astray.cluster = SomeCluster(8);
  answers.hellos.insert_or_assign("host3:1", astray);
  EXPECT_TRUE(check(7).ok());
  EXPECT_TRUE(check(8).ok());
  EXPECT_EQ(ReasonOf(check(9)), Reason::FOREIGN_CLUSTER);
}

TEST_F(FormationTest, AnswersOthersMeanwhile) {
  Begin(2);
  std::optional<HelloReply> hello;
  std::optional<absl::Status> join;
  formation->Hello({}, [&](absl::StatusOr<HelloReply> got) { hello = *got; });
  formation->Join({}, [&](const absl::StatusOr<JoinReply>& got) { join = got.status(); });
  scheduler.RunFor(kMillisecond);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->node, NodeId{2});
  EXPECT_TRUE(hello->cluster.empty());
  EXPECT_TRUE(hello->directory_empty);
  ASSERT_TRUE(join.has_value());
  EXPECT_EQ(ReasonOf(*join), Reason::STARTING);
}

}  // namespace
}  // namespace varve::server
