// Faults, damage and the observation of the simulated disk; crashes are in sim_crash_test.cc.
#include "common/sim/sim_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/sim/sim_content.h"
#include "common/sim/sim_scheduler.h"

namespace varve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SimFileSystemTest : public testing::Test {
 protected:
  std::unique_ptr<File> Create(const std::string& path, std::string_view bytes = "") {
    auto file = files_.Open(path, OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status();
    EXPECT_EQ((*file)->WriteAt(0, bytes), absl::OkStatus());
    return *std::move(file);
  }
  std::string Content(const std::string& path) {
    const auto bytes = ReadWholeFile(files_, path, 1 << 26);
    return bytes.ok() ? *bytes : std::string(bytes.status().message());
  }

  SimFileSystem files_;
  const std::unique_ptr<Random> random_ = SeededRandom(1);
};

TEST_F(SimFileSystemTest, OnePathHasManySpellings) {
  Create("f", "abc");
  EXPECT_EQ(Content("/f"), "abc");
  EXPECT_EQ(Content("./f"), "abc");
  EXPECT_EQ(Content(".//./f"), "abc");
  EXPECT_TRUE(absl::IsInvalidArgument(files_.Stat("a/../f").status()));
}

// --- Dying at a chosen moment

TEST_F(SimFileSystemTest, FailAfterLetsThatManyOperationsThrough) {
  const auto file = Create("f");
  const uint64_t before = files_.ops();
  files_.FailAfter(2);
  EXPECT_FALSE(files_.dead());
  EXPECT_EQ(file->WriteAt(0, "a"), absl::OkStatus());
  EXPECT_TRUE(file->Size().ok()) << "looking is free";
  EXPECT_EQ(file->SyncData(), absl::OkStatus());
  EXPECT_TRUE(files_.dead());
  EXPECT_EQ(files_.ops(), before + 2);
  char byte = 0;
  for (const absl::Status& status :
       {file->WriteAt(0, "X"), file->ReadAt(0, 1, &byte).status(), file->SyncData(),
        files_.Open("f", OpenMode::kRead).status(), files_.CreateDirectory("d"),
        files_.List(".").status(), files_.Stat("f").status(), files_.Rename("f", "g"),
        files_.RemoveFile("f"), files_.RemoveDirectory("d"), files_.SyncDirectory("."),
        files_.Lock("L").status(), files_.Space(".").status()}) {
    EXPECT_EQ(ReasonOf(status), Reason::DISK_FAILED) << status;
  }
  files_.ProcessCrash();
  EXPECT_FALSE(files_.dead());
  EXPECT_EQ(Content("f"), "a");
}

// --- Capacity

TEST_F(SimFileSystemTest, AFullDiskTakesWhatFitsAndRecoversWhenFreed) {
  files_.SetCapacity(10);
  const auto file = Create("f", "12345");
  const absl::Status full = file->WriteAt(5, "6789abcdef");
  EXPECT_EQ(ReasonOf(full), Reason::NO_SPACE) << full;
  EXPECT_THAT(std::string(full.message()), HasSubstr("write \"f\": No space left"));
  EXPECT_EQ(Content("f"), "123456789a");
  EXPECT_EQ(file->WriteAt(0, "X"), absl::OkStatus()) << "in place needs no room";
  EXPECT_EQ(file->Truncate(2), absl::OkStatus());
  EXPECT_EQ(file->WriteAt(2, "345"), absl::OkStatus());
}

TEST_F(SimFileSystemTest, AnAllocationThatDoesNotFitChangesNothing) {
  files_.SetCapacity(1000);
  const auto file = Create("f", "abc");
  for (const bool zero_fill : {false, true}) {
    EXPECT_EQ(ReasonOf(file->Allocate(1001, zero_fill)), Reason::NO_SPACE);
    EXPECT_EQ(Content("f"), "abc");
  }
  EXPECT_EQ(file->Allocate(1000, true), absl::OkStatus());
  EXPECT_EQ(files_.Space(".")->free_bytes, 0U);
  EXPECT_EQ(files_.Space(".")->total_bytes, 1000U);
}

TEST_F(SimFileSystemTest, RoomIsFreedByRemovalAndReplacement) {
  const auto a = Create("a", "12345");
  Create("b", "123");
  EXPECT_EQ(files_.used_bytes(), 8U);
  EXPECT_EQ(files_.Rename("b", "a"), absl::OkStatus());
  EXPECT_EQ(files_.used_bytes(), 3U);
  EXPECT_EQ(a->WriteAt(5, "678"), absl::OkStatus()) << "without a name it is no longer counted";
  EXPECT_EQ(files_.used_bytes(), 3U);
  EXPECT_EQ(files_.RemoveFile("a"), absl::OkStatus());
  EXPECT_EQ(files_.used_bytes(), 0U);
}

// --- Faults

TEST_F(SimFileSystemTest, FaultsStrikeTheirPathsAfterTheirSkipAndForTheirCount) {
  files_.AddFault(
      {.kind = SimFault::Kind::kWriteError, .path_prefix = "/a", .skip = 1, .count = 2});
  const auto a = Create("a1", "first");
  const auto b = Create("b1", "first");
  EXPECT_EQ(ReasonOf(a->WriteAt(0, "X")), Reason::DISK_FAILED);
  EXPECT_EQ(b->WriteAt(0, "X"), absl::OkStatus());
  EXPECT_FALSE(a->WriteAt(0, "X").ok());
  EXPECT_EQ(Content("a1"), "first") << "nothing of it was written";
  EXPECT_EQ(a->WriteAt(0, "X"), absl::OkStatus());
  EXPECT_EQ(Content("a1"), "Xirst");
}

TEST_F(SimFileSystemTest, AShortWriteLeavesAProperPrefix) {
  std::set<size_t> lengths;
  for (int i = 0; i < 50; ++i) {
    const std::string path = "f" + std::to_string(i);
    const auto file = Create(path);
    files_.AddFault({.kind = SimFault::Kind::kShortWrite, .count = 1});
    EXPECT_EQ(ReasonOf(file->WriteAt(0, "123456")), Reason::DISK_FAILED);
    const std::string found = Content(path);
    EXPECT_EQ(found, std::string("12345").substr(0, found.size()));
    lengths.insert(found.size());
  }
  EXPECT_GE(lengths.size(), 4U);
}

TEST_F(SimFileSystemTest, ReadAndDirectoryFaultsStrike) {
  const auto file = Create("f", "abc");
  files_.AddFault({.kind = SimFault::Kind::kReadError, .count = 1});
  files_.AddFault({.kind = SimFault::Kind::kDirectorySyncError, .count = 1});
  char byte = 0;
  EXPECT_EQ(ReasonOf(file->ReadAt(0, 1, &byte).status()), Reason::DISK_FAILED);
  EXPECT_TRUE(file->ReadAt(0, 1, &byte).ok());
  EXPECT_EQ(ReasonOf(files_.SyncDirectory(".")), Reason::DISK_FAILED);
  EXPECT_EQ(files_.SyncDirectory("."), absl::OkStatus());
}

TEST_F(SimFileSystemTest, FaultsWithAShareStrikeSometimesAndEndWhenCleared) {
  const auto file = Create("f", "abc");
  files_.AddFault({.kind = SimFault::Kind::kWriteError, .one_in = 3});
  int failed = 0;
  for (int i = 0; i < 300; ++i) failed += file->WriteAt(0, "x").ok() ? 0 : 1;
  EXPECT_TRUE(failed > 50 && failed < 150) << failed;
  files_.ClearFaults();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(file->WriteAt(0, "x"), absl::OkStatus());
}

// A sync that failed says nothing about what it covered, and the next one does not make it good.
TEST(SimSyncFaultTest, BytesOfAFailedSyncMayBeLostDespiteLaterSyncs) {
  std::set<std::string> found;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SimFileSystem files(nullptr, {.seed = seed});
    auto file = *files.Open("f", OpenMode::kCreate);
    ASSERT_EQ(file->WriteAt(0, "one"), absl::OkStatus());
    ASSERT_EQ(file->SyncData(), absl::OkStatus());
    ASSERT_EQ(files.SyncDirectory("."), absl::OkStatus());
    ASSERT_EQ(file->WriteAt(0, "two"), absl::OkStatus());
    files.AddFault(
        {.kind = seed % 2 == 0 ? SimFault::Kind::kSyncError : SimFault::Kind::kWriteBackError,
         .count = 1});
    const absl::Status failed = seed % 2 == 0 ? file->SyncData() : file->StartWriteBack(0, 3);
    ASSERT_EQ(ReasonOf(failed), Reason::DISK_FAILED);
    EXPECT_EQ(*ReadWholeFile(files, "f", 100), "two") << "reads do not show it";
    ASSERT_EQ(file->SyncData(), absl::OkStatus());
    const auto random = SeededRandom(seed);
    files.PowerLoss(*random);
    found.insert(*ReadWholeFile(files, "f", 100));
  }
  EXPECT_EQ(found, (std::set<std::string>{"one", "two"}));
}

// --- Damage

TEST_F(SimFileSystemTest, DamageIsSeenAtOnceAndAfterAPowerLoss) {
  const auto file = Create("f", "abcdef");
  ASSERT_EQ(file->SyncData(), absl::OkStatus());
  ASSERT_EQ(files_.SyncDirectory("."), absl::OkStatus());
  ASSERT_EQ(files_.FlipBit("f", 0, 1), absl::OkStatus());
  ASSERT_EQ(files_.Corrupt("f", 2, "XY"), absl::OkStatus());
  ASSERT_EQ(files_.TruncateDurable("f", 5), absl::OkStatus());
  EXPECT_EQ(Content("f"), "cbXYe");
  EXPECT_EQ(files_.used_bytes(), 5U);
  files_.PowerLoss(*random_);
  EXPECT_EQ(Content("f"), "cbXYe");
}

TEST_F(SimFileSystemTest, DamageStaysWithinTheFile) {
  Create("f", "abc");
  EXPECT_TRUE(absl::IsOutOfRange(files_.FlipBit("f", 3, 0)));
  EXPECT_TRUE(absl::IsOutOfRange(files_.Corrupt("f", 2, "XY")));
  EXPECT_TRUE(absl::IsOutOfRange(files_.Corrupt("f", UINT64_MAX, "XY")));
  EXPECT_TRUE(absl::IsOutOfRange(files_.TruncateDurable("f", 4)));
  EXPECT_TRUE(absl::IsNotFound(files_.FlipBit("g", 0, 0)));
  EXPECT_EQ(Content("f"), "abc");
}

// --- Looking

TEST_F(SimFileSystemTest, TheObserverSeesEveryOperation) {
  std::vector<std::string> seen;
  files_.SetObserver([&](const SimFileOp& op) {
    seen.push_back(StrCat(op.name, " ", op.path, " ", op.position, "+", op.length,
                          op.crc == 0               ? ""
                          : op.crc == Crc32c("abc") ? " abc"
                                                    : " other",
                          op.ok ? "" : " failed"));
  });
  const auto file = Create("/f", "abc");
  std::string out(10, ' ');
  EXPECT_TRUE(file->ReadAt(0, 10, out.data()).ok());
  EXPECT_EQ(file->SyncData(), absl::OkStatus());
  EXPECT_FALSE(files_.RemoveFile("g").ok());
  EXPECT_THAT(seen, ElementsAre("open f 0+0", "write f 0+3 abc", "read f 0+10 abc", "sync f 0+0",
                                "remove g 0+0 failed"));
}

TEST_F(SimFileSystemTest, RemovedFilesThatAreOpenOutliveTheFileSystem) {
  std::unique_ptr<File> file;
  {
    SimFileSystem gone;
    file = *gone.Open("f", OpenMode::kCreate);
  }
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "x")), Reason::DISK_FAILED);
}

TEST(SimTraceTest, DiskOperationsGoIntoTheSchedulersHash) {
  const auto run = [](std::string_view bytes, uint64_t trace_id) {
    SimScheduler scheduler(1);
    SimFileSystem files(&scheduler, {.trace_id = trace_id});
    auto file = *files.Open("f", OpenMode::kCreate);
    EXPECT_EQ(file->WriteAt(0, bytes), absl::OkStatus());
    return scheduler.trace_hash();
  };
  EXPECT_EQ(run("abc", 1), run("abc", 1));
  EXPECT_NE(run("abc", 1), run("abd", 1));
  EXPECT_NE(run("abc", 1), run("abc", 2));
}

TEST_F(SimFileSystemTest, ContentHashCoversNamesAndBytesOnly) {
  const uint64_t empty = files_.ContentHash();
  const auto file = Create("f", "abc");
  const uint64_t with_file = files_.ContentHash();
  EXPECT_NE(with_file, empty);
  ASSERT_EQ(file->WriteAt(0, "abd"), absl::OkStatus());
  EXPECT_NE(files_.ContentHash(), with_file);
  ASSERT_EQ(file->WriteAt(0, "abc"), absl::OkStatus());
  ASSERT_EQ(file->SyncData(), absl::OkStatus());
  EXPECT_EQ(files_.ContentHash(), with_file);
  ASSERT_EQ(files_.Rename("f", "g"), absl::OkStatus());
  EXPECT_NE(files_.ContentHash(), with_file);
}

// --- Memory

TEST_F(SimFileSystemTest, ABigAllocatedFileCostsNoMemoryAndLittleTime) {
  // 64 GiB: it would not fit if zeros were stored.
  const auto file = Create("f");
  const uint64_t size = 64ULL << 30;
  ASSERT_EQ(file->Allocate(size, true), absl::OkStatus());
  for (uint64_t at = 0; at < size; at += 1ULL << 30) {
    ASSERT_EQ(file->WriteAt(at, "x"), absl::OkStatus());
    ASSERT_EQ(file->SyncData(), absl::OkStatus());
  }
  ASSERT_EQ(files_.SyncDirectory("."), absl::OkStatus());
  files_.PowerLoss(*random_);
  EXPECT_EQ(files_.used_bytes(), size);
}

// A naive twin must agree.
TEST(SimPagesTest, BehavesLikeAString) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const auto random = SeededRandom(seed);
    SimPages pages;
    std::string twin;
    std::vector<std::pair<SimPages, std::string>> snapshots;
    for (int i = 0; i < 200; ++i) {
      const uint64_t position = random->Below(30'000);
      const uint64_t length = random->Below(random->OneIn(2) ? 100 : 15'000);
      switch (random->Below(4)) {
        case 0:
          pages.Resize(position);
          twin.resize(position);
          break;
        case 1:
          pages.WriteZeros(position, length);
          if (length > 0 && twin.size() < position + length) twin.resize(position + length);
          twin.replace(position > twin.size() ? twin.size() : position, length,
                       std::string(length, '\0'));
          break;
        default: {
          const std::string bytes(length, static_cast<char>('a' + i % 26));
          pages.Write(position, bytes);
          if (length > 0 && twin.size() < position + length) twin.resize(position + length);
          if (length > 0) twin.replace(position, length, bytes);
        }
      }
      if (random->OneIn(20)) snapshots.emplace_back(pages, twin);
    }
    snapshots.emplace_back(pages, twin);
    for (const auto& [copy, expected] : snapshots) {
      ASSERT_EQ(copy.size(), expected.size()) << "seed " << seed;
      std::string found(copy.size(), '?');
      copy.Read(0, found.size(), found.data());
      ASSERT_TRUE(found == expected) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace varve
