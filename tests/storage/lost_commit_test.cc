// A commit of the journal that was durable and does not verify: whom it concerns, and how it goes
// on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "common/error.h"
#include "storage/journal_scan.h"
#include "storage/recover_command.h"
#include "tests/storage/recovery_stage.h"

namespace varve::storage {
namespace {

constexpr GroupId kOther{200};

class LostCommitTest : public testing::Test {
 protected:
  void SetUp() override { stage.Fill(); }
  void CreateOther() {
    ASSERT_TRUE(stage.host.Create(kOther).ok());
    other.Begin();
    other.NewTerm();
  }
  void SettleOther() {
    ASSERT_TRUE(stage.host.scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
  }
  // Seals, ends the process, and damages the body of the `which`-th commit from the end that has
  // frames of `groups` alone.
  void Lose(GroupId group, size_t which) { Lose(std::set<GroupId>{group}, which); }
  void Lose(const std::set<GroupId>& groups, size_t which) {
    stage.host.scheduler.RunFor(kSecond);
    stage.Crash();
    const auto source = OpenJournalSource(stage.host.disk, "data/journal",
                                          stage.Contents().checkpoint.live_files.back().file);
    CommitReader reader(*source);
    std::vector<std::pair<uint64_t, uint64_t>> found;
    while (true) {
      const uint64_t at = reader.position();
      const auto commit = reader.Next(std::nullopt);
      if (!commit.ok() || !*commit) break;
      std::set<GroupId> of;
      for (const GroupFrame& frame : (*commit)->groups) of.insert(frame.group);
      if (of == groups) found.emplace_back(at + (*commit)->header.header_bytes, reader.position());
    }
    ASSERT_LT(which, found.size());
    stage.Write(stage.Newest(), found[found.size() - 1 - which].first + 20, "damage");
  }
  PartitionLog& log() { return stage.host.log(RecoveryStage::kGroup); }

  RecoveryStage stage;
  LogScript other{&stage.host, kOther};
};

TEST_F(LostCommitTest, ConcernsTheGroupsOfItsListAlone) {
  CreateOther();
  SettleOther();
  stage.Append(2, 700);
  const LogEnd before = stage.script.image().end();
  stage.Append(2, 700);  // lost
  other.Append(3, 700);
  SettleOther();
  stage.Append(2, 700);
  Lose(RecoveryStage::kGroup, 1);
  const absl::Status opened = stage.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT) << log().suspicion();
  EXPECT_EQ(log().end(), before);
  ASSERT_NO_FATAL_FAILURE(other.Check());
  other.NewTerm();
  other.Append(2, 100);
  ASSERT_NO_FATAL_FAILURE(SettleOther());
  EXPECT_FALSE(other.refused());
  // The journal that lost it is gone; the grade is not.
  stage.Close();
  ASSERT_TRUE(stage.host.Open().ok());
  EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT);
  EXPECT_EQ(log().end(), before);
}

// Marks that went with the frames of a group are lost with them: that concerns this group alone.
TEST_F(LostCommitTest, MarksInItConcernNobody) {
  const auto note = [this](uint64_t epoch) {
    PeerMark mark{NodeId{2}, {}, epoch, epoch, CommitSequence{epoch}};
    mark.directory.bytes.fill(7);
    stage.host.directory->NotePeer({mark, std::nullopt, 0});
  };
  const auto epoch = [this] {
    const auto known = stage.host.directory->peer_marks();
    return known.empty() ? 0 : known[0].mark.process_epoch;
  };
  CreateOther();
  SettleOther();
  note(3);
  stage.Append(2, 700);  // lost, and the mark with it
  Lose({RecoveryStage::kGroup, kNoGroup}, 0);
  ASSERT_TRUE(stage.Open().ok());
  EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT);
  ASSERT_NO_FATAL_FAILURE(other.Check());
  EXPECT_THAT(stage.host.directory->groups(), testing::ElementsAre(RecoveryStage::kGroup, kOther));
  EXPECT_EQ(epoch(), 0u);
  note(3);  // the peer tells again
  stage.host.scheduler.RunFor(2 * kSecond);
  stage.Crash();
  ASSERT_TRUE(stage.Open().ok());
  EXPECT_EQ(epoch(), 3u);
}

TEST_F(LostCommitTest, ALostVoteRaisesTheTermAllTheSame) {
  stage.script.NewTerm();
  stage.Settle();
  stage.script.NewTerm();
  stage.Settle();
  const Term term = stage.script.image().hard_state.term;
  Lose(RecoveryStage::kGroup, 1);
  ASSERT_TRUE(stage.Open().ok());
  EXPECT_FALSE(log().suspicion().ok());
  EXPECT_EQ(log().hard_state().term, term);
}

// Else the next start of the broker would create it, empty and without its vote.
TEST_F(LostCommitTest, ALostCreationLeavesASuspectReplica) {
  ASSERT_TRUE(stage.host.Create(kOther).ok());
  Lose(kOther, 0);
  for (int start = 0; start < 2; ++start) {
    const absl::Status opened = stage.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    stage.script.Check();
    EXPECT_THAT(stage.host.directory->groups(), testing::Contains(kOther));
    EXPECT_EQ(ReasonOf(stage.host.log(kOther).suspicion()), Reason::REPLICA_SUSPECT);
    EXPECT_EQ(ReasonOf(stage.host.Create(kOther)), Reason::ALREADY_EXISTS);
    stage.Close();
  }
  ASSERT_TRUE(stage.Open().ok());
  ASSERT_TRUE(stage.host.Remove(kOther).ok());
  ASSERT_TRUE(stage.host.Create(kOther, ReplicaEpoch{2}).ok());
}

TEST_F(LostCommitTest, ARemovalBehindItIsARemoval) {
  CreateOther();
  other.Append(2, 300);
  SettleOther();
  stage.host.logs.erase(kOther);
  ASSERT_TRUE(stage.host.Remove(kOther).ok());
  Lose(kOther, 1);
  ASSERT_TRUE(stage.Open().ok());
  stage.script.Check();
  EXPECT_THAT(stage.host.directory->groups(), testing::ElementsAre(RecoveryStage::kGroup));
}

TEST_F(LostCommitTest, IsAcceptedWithWhatWasBeforeIt) {
  LogWrite write;
  write.configurations = Configurations{{Index{1}, OneVoter()}, std::nullopt};
  ASSERT_TRUE(stage.host.Write(RecoveryStage::kGroup, std::move(write)).ok());
  const LogEnd before = stage.script.image().end();
  const auto append = [&](const LogEnd& end) {
    LogWrite more;
    more.entries.push_back(
        DataEntry(RecoveryStage::kGroup, end, stage.script.image().hard_state.term, 1, 900));
    const LogEnd after = EndAfter(more.entries.back());
    EXPECT_TRUE(stage.host.Write(RecoveryStage::kGroup, std::move(more)).ok());
    return after;
  };
  append(append(before));
  Lose(RecoveryStage::kGroup, 1);
  std::ostringstream out, err;
  const std::vector<std::string> arguments = {"data", "--accept-loss"};
  EXPECT_EQ(RunRecover(stage.host.disk, arguments, out, err), 0) << err.str() << out.str();
  EXPECT_THAT(out.str(), testing::HasSubstr("DurableCommitDamaged"));
  ASSERT_TRUE(stage.Open().ok());
  EXPECT_TRUE(log().suspicion().ok()) << log().suspicion();
  EXPECT_EQ(log().end(), before);
  append(append(before));
  stage.Close();
  ASSERT_TRUE(stage.Open().ok());
  EXPECT_EQ(log().end().last_index, before.last_index + 2);
}

}  // namespace
}  // namespace varve::storage
