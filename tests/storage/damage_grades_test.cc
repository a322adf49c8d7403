// Damage that recovery grades: what it concerns, what it leaves alone, and how long it lasts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/error.h"
#include "storage/format/file_header.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

constexpr GroupId kOther{200};

class DamageGradesTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    script.Append(5, 2000);
    script.Roll();
    script.Append(5, 2000);
    script.Commit(script.image().end().last_index);
    Settle();
    ASSERT_TRUE(host.Create(kOther).ok());
    other.Begin();
    other.NewTerm();
    other.Append(3, 500);
    SettleOther();
    host.options.cache_bytes = 0;
    ASSERT_TRUE(host.Close().ok());
  }
  void SettleOther() {
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
  }
  void Zero(const std::string& path) {
    ASSERT_TRUE(host.disk.Corrupt(path, kFileHeaderBytes, std::string(200, '\0')).ok());
  }
  void ExpectOtherGoesOn() {
    ASSERT_NO_FATAL_FAILURE(other.Check());
    other.NewTerm();
    other.Append(2, 100);
    ASSERT_NO_FATAL_FAILURE(SettleOther());
    EXPECT_FALSE(other.refused());
  }
  absl::Status Vote() {
    LogWrite write;
    write.hard_state = HardState{Term{50}, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
    return host.Write(kGroup, std::move(write));
  }

  LogScript other{&host, kOther};
};

TEST_F(DamageGradesTest, ASuspectReplicaStopsAloneAndStaysSo) {
  Zero(GroupFiles(".log").at(1));
  for (int start = 0; start < 3; ++start) {
    ASSERT_TRUE(host.Open().ok());
    EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT);
    EXPECT_EQ(host.directory->recovery().suspect, 1u);
    EXPECT_EQ(ReasonOf(Vote()), Reason::REPLICA_SUSPECT);
    EXPECT_EQ(log().hard_state(), script.image().hard_state);
    // What a Raft core asks of a log holds all the same.
    EXPECT_EQ(log().ends().back(), log().end());
    EXPECT_LE(log().ends().front().last_index, log().commit_index());
    ASSERT_NO_FATAL_FAILURE(ExpectOtherGoesOn());
    // Entries of the sound segment are there.
    const auto read = host.Read(kGroup, Index{1}, Index{3}, 1 << 20);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->entries.size(), 3u);
    if (start == 0) {
      host.Crash(true);
    } else {
      ASSERT_TRUE(host.Close().ok());
    }
  }
}

TEST_F(DamageGradesTest, TheBudgetOfARefusedWriteComesBack) {
  Zero(GroupFiles(".log").at(1));
  ASSERT_TRUE(host.Open().ok());
  LogWrite write;
  write.entries.push_back(
      DataEntry(kGroup, script.image().end(), script.image().hard_state.term, 1, 9000));
  EXPECT_EQ(ReasonOf(host.Write(kGroup, std::move(write))), Reason::REPLICA_SUSPECT);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
  ASSERT_TRUE(host.Remove(kGroup).ok());
  EXPECT_THAT(host.directory->groups(), testing::ElementsAre(kOther));
}

TEST_F(DamageGradesTest, ADamagedReplicaVotesAndAcknowledges) {
  Zero(GroupFiles(".log").at(0));
  ASSERT_TRUE(host.Open().ok());
  EXPECT_TRUE(log().suspicion().ok()) << log().suspicion();
  ASSERT_EQ(log().damaged_ranges().size(), 1u);
  EXPECT_EQ(log().damaged_ranges()[0].first, Index{1});
  EXPECT_TRUE(Vote().ok());
  ASSERT_NO_FATAL_FAILURE(ExpectOtherGoesOn());
  const Index behind = log().damaged_ranges()[0].last + 1;
  EXPECT_TRUE(host.Read(kGroup, behind, script.image().end().last_index, 1).ok());
  EXPECT_EQ(ReasonOf(host.Read(kGroup, Index{1}, behind, 1).status()), Reason::DATA_LOSS);
  EXPECT_EQ(ReasonOf(host.ReadOffset(kGroup, Offset{0}, behind, 1).status()), Reason::DATA_LOSS);
  // Until it leaves the log.
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(log().damaged_ranges().size(), 1u);
}

TEST_F(DamageGradesTest, DamageLeavesWithItsSegment) {
  Zero(GroupFiles(".log").at(0));
  ASSERT_TRUE(host.Open().ok());
  const LogEnd end = log().end();
  const HardState hard_state{end.last_term + 1, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
  LogWrite write;
  write.hard_state = hard_state;
  write.entries.push_back(TrimEntry(kGroup, end, hard_state.term, end.next_offset));
  ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
  LogWrite commit;
  commit.commit_index = log().end().last_index;
  ASSERT_TRUE(host.Write(kGroup, std::move(commit)).ok());
  EXPECT_GT(log().start().index, Index{1});
  EXPECT_TRUE(log().damaged_ranges().empty());
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  EXPECT_TRUE(log().damaged_ranges().empty());
  EXPECT_TRUE(log().suspicion().ok());
}

}  // namespace
}  // namespace varve::storage
