// Directories that come back from an image, and what the mark of a peer says of them.
#include <gtest/gtest.h>

#include <sstream>

#include "common/error.h"
#include "storage/recover_command.h"
#include "tests/storage/directory_host.h"
#include "tests/support/disk_image.h"

namespace varve::storage {
namespace {

constexpr GroupId kGroup{100}, kOther{200};

DataDirectoryOptions OptionsOf(uint32_t node) {
  DataDirectoryOptions options = SmallOptions();
  options.node = NodeId{node};
  return options;
}

class RestoredImage : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node.Open().ok());
    ASSERT_TRUE(peer.Open().ok());
    ASSERT_TRUE(node.Create(kGroup).ok());
    ASSERT_TRUE(node.Create(kOther).ok());
    script.Begin();
    Work();
  }

  // The node writes, and the peer hears of it.
  void Work() {
    script.Append(3, 100);
    ASSERT_TRUE(node.scheduler.RunUntil([&] { return script.Settled(); }, 10 * kSecond));
    ASSERT_FALSE(Tell().suspect());
  }
  MarkFinding Tell() {
    const MarkFinding finding = peer.directory->NotePeer(node.directory->own_marks());
    peer.scheduler.RunFor(2 * kSecond);
    return finding;
  }
  // What the peer remembers, over a loss of its power.
  PeerMark Remembered() {
    peer.Crash(true);
    EXPECT_TRUE(peer.Open().ok());
    const auto known = peer.directory->peer_marks();
    EXPECT_EQ(known.size(), 1u);
    for (const auto& mark : known) EXPECT_TRUE(mark.durable);
    return peer.directory->MarkOf(NodeId{1}, known.front().mark.directory);
  }
  void Restart() {
    node.Crash(true);
    const absl::Status opened = node.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    script.Check();
  }
  DiskImage CopyDisk() {
    DiskImage image;
    TakeImage(node.disk, "data", &image);
    return image;
  }
  void BringBack(const DiskImage& image) {
    node.Crash(false);
    ASSERT_NO_FATAL_FAILURE(RestoreImage(node.disk, image));
    const absl::Status opened = node.Open();
    ASSERT_TRUE(opened.ok()) << opened;
  }
  absl::Status Write() {
    LogWrite write;
    write.hard_state = HardState{Term{9}, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
    return node.Write(kGroup, std::move(write));
  }
  absl::Status MarkAllSuspect(const MarkFinding& finding, const PeerMark& evidence) {
    std::optional<absl::Status> answer;
    node.directory->MarkAllSuspect(finding.why, evidence,
                                   [&](const absl::Status& status) { answer = status; });
    node.scheduler.RunUntil([&] { return answer.has_value(); }, 10 * kSecond);
    return answer.value_or(absl::UnknownError("no answer"));
  }

  DirectoryHost node{1, OptionsOf(1)}, peer{2, OptionsOf(2)};
  LogScript script{&node, kGroup};
};

TEST_F(RestoredImage, OfTheSameLifeIsSuspect) {
  const DiskImage image = CopyDisk();
  Work();
  ASSERT_NO_FATAL_FAILURE(BringBack(image));
  const MarkFinding finding = node.directory->JudgeSelf(Remembered());
  EXPECT_EQ(finding.row, MarkRow::kBeyondRecovered) << NameOf(finding.row);
  EXPECT_TRUE(finding.suspect());
  // The peer finds it too, and keeps the mark that shows it.
  EXPECT_TRUE(Tell().suspect());
  EXPECT_TRUE(node.directory->JudgeSelf(Remembered()).suspect());
}

// The present life has the epoch of one that is lost, and is soon beyond its commits.
TEST_F(RestoredImage, FromBeforeARestartIsSuspect) {
  ASSERT_TRUE(node.Close().ok());
  const DiskImage image = CopyDisk();
  ASSERT_TRUE(node.Open().ok());
  script.Check();
  Work();
  ASSERT_NO_FATAL_FAILURE(BringBack(image));
  for (uint64_t term = 20; term < 40; ++term) {
    LogWrite write;
    write.hard_state = HardState{Term{term}, {}};
    ASSERT_TRUE(node.Write(kGroup, std::move(write)).ok());
  }
  const PeerMark remembered = Remembered();
  EXPECT_GT(node.directory->own_mark().durable, remembered.durable);
  EXPECT_EQ(node.directory->JudgeSelf(remembered).row, MarkRow::kEpochUsedTwice);
  EXPECT_EQ(Tell().row, MarkRow::kEpochUsedTwice);
}

TEST_F(RestoredImage, WhoseStartsCrashIsSuspectInTheEnd) {
  const DiskImage image = CopyDisk();
  for (int life = 0; life < 3; ++life) {
    Restart();
    Work();
  }
  ASSERT_NO_FATAL_FAILURE(BringBack(image));
  for (int crash = 0; crash < 10; ++crash) {
    node.Crash(true);
    ASSERT_TRUE(node.Open().ok());
  }
  EXPECT_GT(node.directory->process_epoch(), Remembered().process_epoch);
  EXPECT_EQ(node.directory->JudgeSelf(Remembered()).row, MarkRow::kBeyondRecovered);
  EXPECT_TRUE(Tell().suspect());
}

TEST_F(RestoredImage, IsNoneWhenNothingWasLost) {
  EXPECT_EQ(node.directory->recovered_mark().process_epoch, 0u);
  for (int life = 0; life < 5; ++life) {
    const PeerMark before = node.directory->own_mark();
    life % 2 == 0 ? Restart() : BringBack(CopyDisk());
    EXPECT_EQ(node.directory->recovered_mark().process_epoch, before.process_epoch);
    EXPECT_EQ(node.directory->recovered_mark().incarnation, before.incarnation);
    EXPECT_GE(node.directory->recovered_mark().durable, before.durable);
    EXPECT_FALSE(node.directory->JudgeSelf(Remembered()).suspect());
    EXPECT_FALSE(Tell().suspect());
    EXPECT_EQ(node.directory->JudgeSelf(Remembered()).row, MarkRow::kThisLife);
  }
}

TEST_F(RestoredImage, AWipedDiskIsAnotherDirectory) {
  node.Crash(false);
  ASSERT_NO_FATAL_FAILURE(ClearDirectory(node.disk, "data"));
  ASSERT_TRUE(node.Open().ok());
  EXPECT_EQ(node.directory->JudgeSelf(Remembered()).row, MarkRow::kOtherDirectory);
  EXPECT_FALSE(Tell().suspect());
  EXPECT_EQ(peer.directory->peer_marks().size(), 2u);
  const PeerMark now = peer.directory->MarkOf(NodeId{1}, node.directory->identity().directory);
  EXPECT_EQ(node.directory->JudgeSelf(now).row, MarkRow::kThisLife);
  EXPECT_FALSE(peer.directory->MarkOf(NodeId{2}, now.directory).complete());
}

// Everything is suspect at once, and after every later start; the next one is settled with the
// peer.
TEST_F(RestoredImage, MakesAllReplicasSuspectForGood) {
  const DiskImage image = CopyDisk();
  for (int life = 0; life < 4; ++life) {
    Restart();
    Work();
  }
  ASSERT_NO_FATAL_FAILURE(BringBack(image));
  const PeerMark remembered = Remembered();
  const MarkFinding finding = node.directory->JudgeSelf(remembered);
  ASSERT_EQ(finding.row, MarkRow::kLaterLife);
  ASSERT_TRUE(Write().ok());
  ASSERT_TRUE(MarkAllSuspect(finding, remembered).ok());
  EXPECT_EQ(ReasonOf(Write()), Reason::REPLICA_SUSPECT);
  EXPECT_EQ(node.directory->JudgeSelf(remembered).row, MarkRow::kSettled);
  EXPECT_EQ(Tell().row, MarkRow::kSettled);

  for (int start = 0; start < 2; ++start) {
    node.Crash(true);
    ASSERT_TRUE(node.Open().ok());
    EXPECT_EQ(node.directory->recovery().suspect, 2u);
    for (const GroupId group : {kGroup, kOther}) {
      const absl::Status suspicion = node.log(group).suspicion();
      EXPECT_EQ(ReasonOf(suspicion), Reason::REPLICA_SUSPECT);
      EXPECT_NE(MessageOf(suspicion).find(finding.why), std::string_view::npos) << suspicion;
    }
    EXPECT_GT(node.directory->process_epoch(), remembered.process_epoch);
    EXPECT_FALSE(Tell().suspect());
    EXPECT_EQ(node.directory->JudgeSelf(Remembered()).row, MarkRow::kThisLife);
  }
  // A replica that comes anew is sound, and stays so.
  ASSERT_TRUE(node.Create(GroupId{300}).ok());
  node.Crash(true);
  ASSERT_TRUE(node.Open().ok());
  EXPECT_TRUE(node.log(GroupId{300}).suspicion().ok());
  EXPECT_FALSE(node.log(kGroup).suspicion().ok());

  node.Kill();
  std::ostringstream out, err;
  EXPECT_EQ(RunRecover(node.disk, std::vector<std::string>{"data"}, out, err), 10) << err.str();
  EXPECT_NE(out.str().find(finding.why), std::string::npos) << out.str();
}

// At every write boundary: what was answered is there, and nothing is suspect that nobody marked.
TEST_F(RestoredImage, SuspicionIsDurableWhenItIsAnswered) {
  const DiskImage image = CopyDisk();
  for (uint64_t ops = 0;; ++ops) {
    SCOPED_TRACE(StrCat("power lost after operation ", ops));
    ASSERT_NO_FATAL_FAILURE(BringBack(image));
    node.scheduler.RunFor(kSecond);
    node.disk.FailAfter(ops);
    std::optional<absl::Status> answer;
    node.directory->MarkAllSuspect("a test", {},
                                   [&](const absl::Status& status) { answer = status; });
    node.scheduler.RunFor(kSecond);
    ASSERT_TRUE(answer.has_value());
    const bool died = node.disk.dead();
    node.Crash(true);
    ASSERT_TRUE(node.Open().ok());
    const bool suspect = !node.log(kGroup).suspicion().ok();
    EXPECT_EQ(suspect, !node.log(kOther).suspicion().ok());
    EXPECT_TRUE(suspect || !answer->ok());
    if (HasFailure() || !died) break;
  }
}

// On a full disk it waits, and holds in memory meanwhile.
TEST_F(RestoredImage, SuspicionWaitsForRoom) {
  // Use up what the journal may roll into.
  node.disk.SetCapacity(0);
  std::optional<absl::Status> first, second;
  node.directory->MarkAllSuspect("a test", {}, [&](const absl::Status& s) { first = s; });
  EXPECT_EQ(ReasonOf(Write()), Reason::REPLICA_SUSPECT);
  node.scheduler.RunFor(kSecond);
  node.directory->MarkAllSuspect("again", {}, [&](const absl::Status& s) { second = s; });
  node.scheduler.RunFor(kSecond);
  const bool waited = !first.has_value() || !second.has_value();
  node.disk.SetCapacity(uint64_t{1} << 40);
  node.scheduler.RunFor(kSecond);
  ASSERT_TRUE(first.has_value() && second.has_value());
  EXPECT_TRUE(first->ok()) << *first;
  EXPECT_TRUE(second->ok()) << *second;
  EXPECT_TRUE(waited);
  node.Crash(true);
  ASSERT_TRUE(node.Open().ok());
  EXPECT_NE(MessageOf(node.log(kGroup).suspicion()).find("a test"), std::string_view::npos);
}

}  // namespace
}  // namespace varve::storage
