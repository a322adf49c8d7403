#include "storage/accept_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "common/error.h"
#include "common/meta_entry.h"
#include "storage/format/file_header.h"
#include "storage/recover_command.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

using testing::HasSubstr;

constexpr GroupId kOther{200};
constexpr uint64_t kJournalBytes = 64 << 10;

// Every byte below a directory.
std::map<std::string, std::string> Snapshot(FileSystem& files, const std::string& directory) {
  std::map<std::string, std::string> out;
  const auto listed = files.List(directory);
  if (!listed.ok()) return out;
  for (const DirectoryEntry& entry : *listed) {
    const std::string path = JoinPath(directory, entry.name);
    if (entry.is_directory) {
      out[path] = "directory";
      out.merge(Snapshot(files, path));
    } else {
      out[path] = ReadWholeFile(files, path, 1 << 30).value_or("unreadable");
    }
  }
  return out;
}

class AcceptLossTest : public OneLogTest {
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
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
    host.options.cache_bytes = 0;
    LogWrite write;
    write.configurations = Configurations{{Index{1}, OneVoter()}, std::nullopt};
    ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
  }
  void Close() { ASSERT_TRUE(host.Close().ok()); }
  // The last entry of the log loses its last byte.
  void CutTail() {
    const std::string path = GroupFiles(".log").back();
    ASSERT_TRUE(host.disk.TruncateDurable(path, host.disk.Stat(path)->size - 1).ok());
  }
  int Run(std::vector<std::string> arguments) {
    out.str("");
    err.str("");
    return RunRecover(host.disk, arguments, out, err);
  }
  // The log goes on from where it was cut, and stays so over a restart.
  void ExpectGoesOn(Index last) {
    ASSERT_TRUE(host.Open().ok());
    EXPECT_TRUE(log().suspicion().ok()) << log().suspicion();
    EXPECT_EQ(log().end().last_index, last);
    EXPECT_EQ(log().commit_index(), last);
    EXPECT_EQ(log().hard_state().term.value(),
              script.image().hard_state.term.value() + kTermsSkippedByLoss);
    EXPECT_TRUE(log().hard_state().vote.empty());
    const auto image = host.Image(kGroup, 1);
    ASSERT_TRUE(image.ok()) << image.status();
    for (size_t i = 0; i < image->entries.size(); ++i)
      EXPECT_EQ(image->entries[i].frame.view(), script.image().entries[i].frame.view()) << i;
    EXPECT_EQ(image->end().last_index, last);
    LogWrite write;
    write.hard_state =
        HardState{log().hard_state().term + 1, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
    write.entries.push_back(BarrierEntry(kGroup, log().end(), write.hard_state->term));
    ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
    ASSERT_NO_FATAL_FAILURE(other.Check());
    ASSERT_TRUE(host.Close().ok());
    ASSERT_TRUE(host.Open().ok());
    EXPECT_EQ(log().end().last_index, last + 1);
  }

  LogScript other{&host, kOther};
  std::ostringstream out, err;
};

TEST_F(AcceptLossTest, ASoundDirectoryHasNothingToLose) {
  host.Crash(true);
  EXPECT_EQ(Run({"data", "--accept-loss"}), 0) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("2 replicas, 0 damaged, 0 suspect"));
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(log().end(), script.image().end());
  EXPECT_EQ(log().hard_state(), script.image().hard_state);
  other.Check();
}

TEST_F(AcceptLossTest, SaysWhatMayBeLostAndChangesNothing) {
  Close();
  CutTail();
  const auto before = Snapshot(host.disk, "data");
  EXPECT_EQ(Run({"data"}), 10) << err.str();
  EXPECT_TRUE(Snapshot(host.disk, "data") == before);
  const LogEnd end = script.image().end();
  EXPECT_THAT(out.str(), HasSubstr("group 100: suspect"));
  EXPECT_THAT(out.str(), HasSubstr(StrCat("lost: entries ", end.last_index, " to ", end.last_index,
                                          ", offsets ")));
  EXPECT_THAT(out.str(), HasSubstr("with --accept-loss: the log ends at entry "));
  EXPECT_THAT(out.str(), HasSubstr("nothing was changed"));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("group 200")));
}

// The journal holds what the segments lack: looking redoes it in memory only.
TEST_F(AcceptLossTest, LooksAtACrashedDirectoryWithoutChangingIt) {
  host.Crash(true);
  const auto before = Snapshot(host.disk, "data");
  EXPECT_EQ(Run({"data"}), 0) << err.str() << out.str();
  EXPECT_TRUE(Snapshot(host.disk, "data") == before);
}

TEST_F(AcceptLossTest, AnAcceptedLogEndsWhereItVerifiesAndGoesOn) {
  Close();
  CutTail();
  EXPECT_EQ(Run({"data", "--accept-loss"}), 0) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("accepted: 1 of 1 suspect replicas go on"));
  ExpectGoesOn(script.image().end().last_index - 1);
  EXPECT_EQ(Run({"data"}), 4) << "a broker runs";
}

TEST_F(AcceptLossTest, ALogWithoutItsActiveSegmentEndsWithTheOneBefore) {
  Close();
  const std::string path = GroupFiles(".log").back();
  ASSERT_TRUE(host.disk.RemoveFile(path).ok());
  EXPECT_EQ(Run({"data", "--accept-loss"}), 0) << err.str() << out.str();
  Index last;
  for (const Entry& entry : script.image().entries) {
    if (entry.header.kind == EntryKind::kMeta && entry.header.first_index > Index{1}) break;
    last = entry.header.last_index;
  }
  ExpectGoesOn(last);
}

TEST_F(AcceptLossTest, NothingLeftIsNotAccepted) {
  Close();
  for (const std::string& path : GroupFiles(".log"))
    ASSERT_TRUE(host.disk.Corrupt(path, kFileHeaderBytes, std::string(72, '\0')).ok());
  EXPECT_EQ(Run({"data", "--accept-loss"}), 10);
  EXPECT_THAT(out.str(), HasSubstr("nothing of the log verifies"));
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT);
}

TEST_F(AcceptLossTest, OfSeveralVotersTheOthersDecide) {
  Configurations joint;
  joint.committed = {Index{1}, OneVoter()};
  joint.committed.configuration.voters.push_back({NodeId{2}, ReplicaEpoch{1}});
  LogWrite write;
  write.configurations = joint;
  ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
  Close();
  CutTail();
  EXPECT_EQ(Run({"data", "--accept-loss"}), 10);
  EXPECT_THAT(out.str(), HasSubstr("not the sole voter"));
  EXPECT_THAT(out.str(), HasSubstr("nothing was changed"));
}

Configurations ThreeVoters() {
  Configurations out;
  out.committed = {Index{1}, {}};
  for (const uint32_t node : {1u, 2u, 3u})
    out.committed.configuration.voters.push_back({NodeId{node}, ReplicaEpoch{1}});
  return out;
}

// Two of three brokers are gone for good: the third decides alone, and its log says so.
TEST_F(AcceptLossTest, TheOnlySurvivorOfThreeVotersGoesOnAlone) {
  for (const bool suspect : {false, true}) {
    SCOPED_TRACE(suspect ? "suspect" : "sound");
    if (suspect) {
      ASSERT_TRUE(host.Open().ok());
    }
    LogWrite write;
    write.configurations = ThreeVoters();
    ASSERT_TRUE(host.Write(kGroup, std::move(write)).ok());
    const LogEnd before = log().end();
    const Term term = log().hard_state().term;
    Close();
    if (suspect) CutTail();
    const auto snapshot = Snapshot(host.disk, "data");
    EXPECT_EQ(Run({"data", "--only-survivor"}), 10) << err.str();
    EXPECT_TRUE(Snapshot(host.disk, "data") == snapshot);
    EXPECT_THAT(out.str(), HasSubstr("the voter on node 3 is given up"));
    EXPECT_THAT(out.str(), HasSubstr("nothing was changed"));
    EXPECT_EQ(Run({"data", "--only-survivor", "--accept-loss"}), 0) << out.str() << err.str();
    EXPECT_THAT(out.str(), HasSubstr("with this broker alone"));
    ASSERT_TRUE(host.Open().ok());
    const Index kept = before.last_index - (suspect ? 1 : 0);
    EXPECT_TRUE(log().suspicion().ok()) << log().suspicion();
    EXPECT_EQ(log().end().last_index, kept + 2);
    EXPECT_EQ(log().commit_index(), kept + 2);
    EXPECT_EQ(log().hard_state().term.value(), term.value() + kTermsSkippedByLoss);
    EXPECT_EQ(log().configurations().committed.index, kept + 1);
    EXPECT_EQ(log().configurations().committed.configuration.voters,
              (std::vector<ReplicaId>{{NodeId{1}, ReplicaEpoch{1}}}));
    const auto image = host.Image(kGroup, 1);
    ASSERT_TRUE(image.ok()) << image.status();
    const auto body = DecodeMeta(image->entries.back().payload());
    ASSERT_TRUE(body.ok()) << body.status();
    const auto* loss = std::get_if<RecordedLoss>(&*body);
    ASSERT_NE(loss, nullptr);
    EXPECT_EQ(*loss, (RecordedLoss{kept, term, suspect ? 2u : 1u}));
    Close();
  }
}

// The fold would be ahead of the log.
TEST_F(AcceptLossTest, ACutMetadataLogTakesTheFoldWithIt) {
  ASSERT_TRUE(host.Create(kMetadataGroup).ok());
  LogEnd end = host.log(kMetadataGroup).end();
  LogWrite write;
  write.hard_state = HardState{Term{1}, ReplicaId{NodeId{1}, ReplicaEpoch{1}}};
  for (int i = 0; i < 3; ++i) {
    write.entries.push_back(BarrierEntry(kMetadataGroup, end, Term{1}));
    end = EndAfter(write.entries.back());
  }
  ASSERT_TRUE(host.Write(kMetadataGroup, std::move(write)).ok());
  Close();
  ASSERT_TRUE(host.disk.CreateDirectory("data/fold").ok());
  ASSERT_TRUE(ReplaceFile(host.disk, "data/fold/derived", "x").ok());
  EXPECT_EQ(Run({"data", "--accept-loss"}), 0) << out.str();  // nothing to accept
  EXPECT_TRUE(host.disk.Stat("data/fold/derived").ok());
  const std::string directory = JoinPath("data/groups", GroupDirectoryName(kMetadataGroup));
  const auto listed = host.disk.List(directory);
  ASSERT_TRUE(listed.ok());
  for (const DirectoryEntry& entry : *listed) {
    if (!entry.name.ends_with(".log")) continue;
    ASSERT_TRUE(host.disk.TruncateDurable(JoinPath(directory, entry.name), entry.size - 1).ok());
  }
  EXPECT_EQ(Run({"data", "--accept-loss"}), 0) << out.str();
  EXPECT_FALSE(host.disk.Stat("data/fold/derived").ok());
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(host.log(kMetadataGroup).end().last_index, Index{3});
}

TEST_F(AcceptLossTest, APowerCutLeavesItSuspectOrAccepted) {
  Close();
  CutTail();
  const Index last = script.image().end().last_index - 1;
  for (uint64_t ops = 0;; ++ops) {
    SCOPED_TRACE(ops);
    const auto report = ExamineLoss(host.disk, "data");
    ASSERT_TRUE(report.ok()) << report.status();
    host.disk.FailAfter(ops);
    const absl::Status accepted = AcceptLoss(host.disk, "data", *report, kJournalBytes);
    host.disk.PowerLoss(*host.random);
    const auto after = ExamineLoss(host.disk, "data");
    ASSERT_TRUE(after.ok()) << after.status();
    if (accepted.ok()) {
      EXPECT_FALSE(after->any_suspect());
      break;
    }
    if (after->any_suspect()) {
      ASSERT_TRUE(after->losses[0].end_after.has_value());
      ASSERT_EQ(after->losses[0].end_after->last_index, last);
    }
  }
  ExpectGoesOn(last);
}

// What the look says is what a start then does.
TEST_F(AcceptLossTest, TheLookAgreesWithTheStart) {
  Close();
  ASSERT_TRUE(host.Open().ok());
  ASSERT_NO_FATAL_FAILURE(other.Check());
  other.Append(3, 4000);  // in the journal alone
  ASSERT_TRUE(host.scheduler.RunUntil([&] { return other.Settled(); }, 10 * kSecond));
  host.Crash(false);
  std::vector<std::string> paths = GroupFiles(".log");
  const auto journal = host.disk.List("data/journal");
  for (const DirectoryEntry& entry : *journal)
    paths.push_back(JoinPath("data/journal", entry.name));
  const auto random = SeededRandom(5);
  uint64_t refused = 0, suspect = 0, sound = 0;
  for (int i = 0; i < 300; ++i) {
    DirectoryHost damaged(static_cast<uint64_t>(i), host.options);
    for (const auto& [path, bytes] : Snapshot(host.disk, "data")) {
      ASSERT_TRUE(damaged.disk.CreateDirectory("data").ok());
      if (bytes == "directory") {
        ASSERT_TRUE(damaged.disk.CreateDirectory(path).ok());
        continue;
      }
      auto file = damaged.disk.Open(path, OpenMode::kCreate);
      ASSERT_TRUE(file.ok() && (*file)->WriteAt(0, bytes).ok());
    }
    const std::string& path = paths[random->Below(paths.size())];
    const uint64_t at = random->Below(std::min<uint64_t>(damaged.disk.Stat(path)->size, 30'000));
    ASSERT_TRUE(damaged.disk.Corrupt(path, at, "damage").ok());
    const auto report = ExamineLoss(damaged.disk, "data");
    const absl::Status opened = damaged.Open();
    ASSERT_EQ(report.ok(), opened.ok()) << report.status() << " but " << opened;
    if (!opened.ok()) {
      EXPECT_EQ(ReasonOf(report.status()), ReasonOf(opened));
      ++refused;
      continue;
    }
    uint64_t suspects = 0;
    for (const ReplicaLoss& loss : report->losses) suspects += loss.suspect() ? 1 : 0;
    ASSERT_EQ(suspects, damaged.directory->recovery().suspect);
    ++(suspects > 0 ? suspect : sound);
  }
  EXPECT_GT(refused, 5u);
  EXPECT_GT(sound, 50u);
  EXPECT_GE(suspect, 1u);
}

TEST_F(AcceptLossTest, SaysHowItIsUsedAndWhatIsNoDirectory) {
  Close();
  EXPECT_EQ(Run({}), 2);
  EXPECT_EQ(Run({"data", "--loss"}), 2);
  EXPECT_THAT(err.str(), HasSubstr("unknown option --loss"));
  EXPECT_EQ(Run({"--help"}), 0);
  EXPECT_EQ(Run({"nowhere"}), 3);
  EXPECT_FALSE(host.disk.Stat("nowhere").ok());
  ASSERT_TRUE(host.disk.Corrupt("data/identity", 100, "damage").ok());
  EXPECT_EQ(Run({"data"}), 1);
}

}  // namespace
}  // namespace varve::storage
