#include "storage/local_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/sim/faulty_file_system.h"
#include "common/strings.h"
#include "storage/format/file_header.h"
#include "storage/segment_names.h"
#include "tests/storage/one_log_test.h"

namespace varve::storage {
namespace {

constexpr GroupId kOther{200};

class LocalDirectoryTest : public OneLogTest {
 protected:
  void SetUp() override {
    OneLogTest::SetUp();
    script.Append(5, 2000);
    script.Roll();
    script.Append(5, 2000);
    Settle();
  }
  // All in segments, the journal empty.
  void Close() {
    const absl::Status closed = host.Close();
    ASSERT_TRUE(closed.ok()) << closed;
  }
  void ExpectRefusal(Reason reason, std::string_view text) {
    const absl::Status opened = host.Open();
    EXPECT_EQ(ReasonOf(opened), reason) << opened;
    EXPECT_THAT(std::string(MessageOf(opened)), ::testing::HasSubstr(std::string(text)));
    EXPECT_THAT(std::string(MessageOf(opened)), ::testing::HasSubstr("data"));
  }
  std::vector<std::string> Names(const std::string& directory) {
    std::vector<std::string> names;
    const auto listed = host.disk.List(directory);
    if (listed.ok())
      for (const DirectoryEntry& entry : *listed) names.push_back(JoinPath(directory, entry.name));
    return names;
  }
  void PatchHeader(const std::string& path, absl::FunctionRef<void(FileHeader*)> patch,
                   std::optional<uint16_t> version = std::nullopt) {
    auto block = ReadWholeFile(host.disk, path, 1 << 30);
    ASSERT_TRUE(block.ok());
    auto header = DecodeFileHeader(block->substr(0, kFileHeaderBytes), FileKind::kIdentity);
    ASSERT_TRUE(header.ok());
    patch(&*header);
    std::string bytes = EncodeFileHeader(*header);
    if (version) {
      bytes[8] = static_cast<char>(*version);
      const uint32_t crc = Crc32c(std::string_view(bytes).substr(0, 4092));
      for (int i = 0; i < 4; ++i) bytes[4092 + i] = static_cast<char>(crc >> (8 * i));
    }
    ASSERT_TRUE(host.disk.Corrupt(path, 0, bytes).ok());
  }
};

TEST_F(LocalDirectoryTest, ReportsWhatRecoveryDid) {
  EXPECT_TRUE(host.directory->recovery().created);
  EXPECT_EQ(host.directory->process_epoch(), 1u);
  const DirectoryIdentity identity = host.directory->identity();
  EXPECT_FALSE(identity.cluster.empty());
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  EXPECT_FALSE(host.directory->recovery().created);
  EXPECT_EQ(host.directory->recovery().replicas, 1u);
  EXPECT_GT(host.directory->recovery().frames_replayed, 0u);
  EXPECT_EQ(host.directory->process_epoch(), 2u);
  EXPECT_EQ(host.directory->identity(), identity);
}

TEST_F(LocalDirectoryTest, RefusesASecondOwner) {
  DirectoryHost second(1);
  second.files = &host.disk;
  const absl::Status opened = second.Open();
  EXPECT_EQ(ReasonOf(opened), Reason::DIRECTORY_IN_USE) << opened;
}

TEST_F(LocalDirectoryTest, RefusesAnotherClusterAndAnotherNode) {
  Close();
  host.options.expected_cluster.bytes.fill(9);
  ExpectRefusal(Reason::FOREIGN_DIRECTORY, "cluster");
  host.options.expected_cluster = {};
  host.options.node = NodeId{2};
  ExpectRefusal(Reason::FOREIGN_DIRECTORY, "node 2");
}

TEST_F(LocalDirectoryTest, RefusesANewerFormat) {
  Close();
  PatchHeader(
      "data/identity", [](FileHeader*) {}, 2);
  ExpectRefusal(Reason::NEWER_FORMAT, "identity");
}

TEST_F(LocalDirectoryTest, SaysThatPermissionIsMissing) {
  Close();
  for (const std::string path : {"data", "data/identity", "data/journal", "data/groups/0"}) {
    FaultyFileSystem forbidden(host.disk);  // as the directory of another user
    forbidden.AddFault({.path_prefix = path, .error = EACCES});
    host.files = &forbidden;
    const absl::Status opened = host.Open();
    EXPECT_FALSE(opened.ok());
    EXPECT_THAT(std::string(opened.message()), ::testing::HasSubstr("Permission denied")) << path;
    EXPECT_EQ(ReasonOf(opened), Reason::PERMISSION_DENIED) << path;
    host.Kill();
    host.files = &host.disk;
  }
  ASSERT_TRUE(host.Open().ok());
  script.Check();
}

TEST_F(LocalDirectoryTest, RefusesReplicasWithoutAJournal) {
  Close();
  for (const std::string& path : Names("data/journal"))
    ASSERT_TRUE(host.disk.RemoveFile(path).ok());
  ExpectRefusal(Reason::DATA_LOSS, "journal");
}

TEST_F(LocalDirectoryTest, RefusesAJournalWithoutAnIdentity) {
  Close();
  ASSERT_TRUE(host.disk.RemoveFile("data/identity").ok());
  ExpectRefusal(Reason::DATA_LOSS, "identity");
  EXPECT_FALSE(GroupFiles(".log").empty());
}

// A write that went astray may leave it longer.
TEST_F(LocalDirectoryTest, RefusesAnIdentityThatGrew) {
  Close();
  const auto file = host.disk.Open("data/identity", OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->WriteAt(kFileHeaderBytes, "x").ok());
  ExpectRefusal(Reason::DATA_LOSS, "\"data/identity\": the file has 4097 bytes");
}

// What is missing below the sync point damages the replica, what is missing at the end makes it
// suspect; both say which file, and come back when it does.
TEST_F(LocalDirectoryTest, GradesAMissingSegmentAndSaysWhich) {
  script.Commit(script.image().end().last_index);
  Settle();
  for (const size_t which : {0, 1}) {
    Close();
    const std::string path = GroupFiles(".log").at(which);
    const std::string aside = "aside";
    ASSERT_TRUE(host.disk.Rename(path, aside).ok());
    const absl::Status opened = host.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(log().suspicion().ok(), which == 0) << log().suspicion();
    EXPECT_EQ(host.directory->recovery().suspect, which);
    EXPECT_EQ(host.directory->recovery().damaged, 1 - which);
    ASSERT_EQ(log().damaged_ranges().size(), 1u);
    EXPECT_THAT(log().damaged_ranges()[0].why, ::testing::HasSubstr(path));
    EXPECT_EQ(ReasonOf(host.Image(kGroup, 1).status()), Reason::DATA_LOSS);
    ASSERT_TRUE(host.directory->health().ok());
    host.Kill();
    ASSERT_TRUE(host.disk.Rename(aside, path).ok());
    if (which == 1) break;  // once suspect, suspect for good
    ASSERT_TRUE(host.Open().ok());
    script.Check();
  }
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(ReasonOf(log().suspicion()), Reason::REPLICA_SUSPECT);
  EXPECT_TRUE(log().damaged_ranges().empty());
  const auto image = host.Image(kGroup, 1);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->entries.size(), script.image().entries.size());
}

TEST_F(LocalDirectoryTest, ReadsAShorterSegmentAsFarAsItGoes) {
  script.Commit(script.image().end().last_index);
  Settle();
  Close();
  const std::string path = GroupFiles(".log").at(0);
  const auto whole = ReadWholeFile(host.disk, path, 1 << 20);
  ASSERT_TRUE(host.disk.TruncateDurable(path, whole->size() - 1).ok());
  const absl::Status opened = host.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  ASSERT_EQ(log().damaged_ranges().size(), 1u);
  const DamagedRange range = log().damaged_ranges()[0];
  EXPECT_EQ(range.first, range.last);  // one entry
  const Index last = script.image().end().last_index;
  Index next = log().start().index;
  while (next < range.first) {
    const auto read = host.Read(kGroup, next, last, 1);
    ASSERT_TRUE(read.ok()) << read.status();
    ASSERT_FALSE(read->entries.empty());
    next = read->entries.back().header.last_index + 1;
  }
  EXPECT_EQ(next, range.first);
  EXPECT_EQ(ReasonOf(host.Read(kGroup, range.first, last, 1).status()), Reason::DATA_LOSS);
  EXPECT_TRUE(host.Read(kGroup, range.last + 1, last, 1).ok());
  EXPECT_EQ(ReasonOf(host.FindTime(kGroup, WallTime{1LL << 60}, last).status()), Reason::DATA_LOSS);
}

// A flipped bit is told when the directory opens or when the entry is read; never a shorter log.
TEST_F(LocalDirectoryTest, TellsOfAFlippedBitWithFileAndPosition) {
  host.options.cache_bytes = 0;
  Close();
  for (const std::string& path : GroupFiles(".log")) {
    const auto whole = ReadWholeFile(host.disk, path, 1 << 20);
    for (uint64_t at = kFileHeaderBytes; at < whole->size(); at += 97) {
      ASSERT_TRUE(host.disk.FlipBit(path, at, at % 8).ok());
      absl::Status status = host.Open();
      if (status.ok()) {
        EXPECT_EQ(host.log(kGroup).end(), script.image().end());
        status = host.Image(kGroup, 1).status();
      }
      EXPECT_EQ(ReasonOf(status), Reason::DATA_LOSS) << at << ": " << status;
      EXPECT_THAT(std::string(MessageOf(status)), ::testing::HasSubstr(path));
      EXPECT_THAT(std::string(MessageOf(status)), ::testing::HasSubstr("position"));
      host.Kill();
      ASSERT_TRUE(host.disk.FlipBit(path, at, at % 8).ok());
    }
  }
  ASSERT_TRUE(host.Open().ok());
  script.Check();
}

TEST_F(LocalDirectoryTest, DoesWithoutTheIndexOrWithADamagedOne) {
  for (int i = 0; i < 12; ++i) script.Append(4, 9000), Settle();
  Close();
  ASSERT_FALSE(GroupFiles(".idx").empty());
  for (const std::string& path : GroupFiles(".idx")) {
    const uint64_t size = host.disk.Stat(path)->size;
    ASSERT_GT(size, kFileHeaderBytes);
    for (uint64_t at = 0; at < size; at += at < kFileHeaderBytes ? 1024 : 5) {
      if (at >= host.disk.Stat(path)->size) continue;
      ASSERT_TRUE(host.disk.FlipBit(path, at, 3).ok());
      ASSERT_TRUE(host.Open().ok()) << at;
      ASSERT_NO_FATAL_FAILURE(script.Check());
      script.Append(1, 10);
      Settle();
      Close();
    }
  }
  for (const std::string& path : GroupFiles(".idx")) ASSERT_TRUE(host.disk.RemoveFile(path).ok());
  ASSERT_TRUE(host.Open().ok());
  ASSERT_NO_FATAL_FAILURE(script.Check());
  const auto read = host.ReadOffset(kGroup, Offset{30}, script.image().end().last_index, 1);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->entries.size(), 1u);
}

TEST_F(LocalDirectoryTest, AJournalFileThatMayNotBeReadIsNoFailedDisk) {
  Close();
  for (const std::string prefix : {"data/journal/", "data/journal"}) {
    FaultyFileSystem forbidden(host.disk);
    forbidden.AddFault({.path_prefix = prefix, .error = EACCES});
    host.files = &forbidden;
    ExpectRefusal(Reason::PERMISSION_DENIED, "data/journal");
    host.Kill();
    host.files = &host.disk;
  }
}

TEST_F(LocalDirectoryTest, RemovedReplicasGoToTheTrashAndThenAway) {
  const std::string directory = JoinPath("data/groups", GroupDirectoryName(kGroup));
  ASSERT_TRUE(host.Remove(kGroup).ok());
  EXPECT_TRUE(host.directory->groups().empty());
  host.scheduler.RunFor(kSecond);
  EXPECT_FALSE(host.disk.Stat(directory).ok());
  EXPECT_EQ(Names("data/trash").size(), 1u);
  host.scheduler.RunFor(61 * kSecond);
  EXPECT_TRUE(Names("data/trash").empty());
  EXPECT_TRUE(host.directory->health().ok()) << host.directory->health();
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  EXPECT_TRUE(host.logs.empty());
}

// Removed and created again at once, many times: the burial of one never takes the next along.
TEST_F(LocalDirectoryTest, AGroupMayComeBackWhileItsPredecessorIsBuried) {
  for (uint64_t epoch = 2; epoch < 40; ++epoch) {
    if (epoch % 3 == 0) script.Append(3, 300);
    ASSERT_TRUE(host.Remove(kGroup).ok());
    ASSERT_TRUE(host.Create(kGroup, ReplicaEpoch{static_cast<uint32_t>(epoch)}).ok());
    script.Begin();
    script.NewTerm();
    script.Append(3, 300);
    Settle();
    if (epoch % 5 == 0) {
      host.Crash(epoch % 2 == 0);
      const absl::Status opened = host.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      ASSERT_NO_FATAL_FAILURE(script.Check());
    } else {
      host.scheduler.RunFor(host.random->Below(8) * kSecond);
    }
    ASSERT_TRUE(host.directory->health().ok()) << host.directory->health();
    EXPECT_EQ(host.log(kGroup).replica_epoch().value(), epoch);
    const auto image = host.Image(kGroup, 1);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->Difference(script.image()), "");
  }
}

TEST_F(LocalDirectoryTest, ASecondReplicaOfAGroupIsRefused) {
  EXPECT_EQ(ReasonOf(host.Create(kGroup)), Reason::ALREADY_EXISTS);
  EXPECT_FALSE(host.Remove(kOther).ok());
  EXPECT_FALSE(host.directory->OpenLog(kOther, *host.shard).ok());
}

TEST_F(LocalDirectoryTest, StrayFilesGoToTheTrash) {
  Close();
  ASSERT_TRUE(host.disk.CreateDirectory("data/groups/00000000000000ff").ok());
  const std::string stray = JoinPath(JoinPath("data/groups", GroupDirectoryName(kGroup)),
                                     SegmentFileName(Offset{3}, FileNumber{77}));
  ASSERT_TRUE(host.disk.Open(stray, OpenMode::kCreate).ok());
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(host.directory->recovery().files_trashed, 2u);
  EXPECT_EQ(Names("data/trash").size(), 2u);
  EXPECT_FALSE(host.disk.Stat(stray).ok());
  ASSERT_NO_FATAL_FAILURE(script.Check());
  script.Roll();
  script.Append(1, 10);
  Settle();
  EXPECT_TRUE(host.directory->health().ok());
}

TEST_F(LocalDirectoryTest, ManyGroupsShareTheJournalAndTheBudget) {
  std::vector<std::unique_ptr<LogScript>> scripts;
  for (uint64_t i = 0; i < 30; ++i) {
    const GroupId group{1000 + i};
    ASSERT_TRUE(host.Create(group).ok());
    scripts.push_back(std::make_unique<LogScript>(&host, group));
    scripts.back()->Begin();
    scripts.back()->NewTerm();
  }
  for (int round = 0; round < 20; ++round)
    for (auto& one : scripts) one->Append(1, 3000);  // waits for room in the budget by itself
  for (auto& one : scripts)
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return one->Settled(); }, 10 * kSecond));
  EXPECT_GT(host.directory->journal_stats().recycled, 0u);
  host.Crash(true);
  ASSERT_TRUE(host.Open().ok());
  for (auto& one : scripts) ASSERT_NO_FATAL_FAILURE(one->Check());
}

}  // namespace
}  // namespace varve::storage
