// Each fault does what it says, where its rule says, and nothing else.
#include "common/sim/faulty_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <semaphore>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/sim/sim_scheduler.h"
#include "tests/common/file_system_hosts.h"

namespace varve {
namespace {

using Kind = FileFault::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FaultyFileSystemTest : public testing::Test {
 protected:
  std::unique_ptr<File> Create(const std::string& path, std::string_view bytes = "") {
    auto file = files.Open(path, OpenMode::kCreate);
    EXPECT_TRUE(file.ok()) << file.status();
    if (!bytes.empty()) {
      EXPECT_EQ((*file)->WriteAt(0, bytes), absl::OkStatus());
    }
    return *std::move(file);
  }
  // What is there, past all faults.
  std::string Content(const std::string& path) {
    const auto bytes = ReadWholeFile(disk, path, 1 << 20);
    return bytes.ok() ? *bytes : std::string(MessageOf(bytes.status()));
  }
  // A file whose bytes and name survive a power loss.
  std::unique_ptr<File> CreateDurable(const std::string& path, std::string_view bytes) {
    auto file = Create(path, bytes);
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    EXPECT_EQ(files.SyncDirectory("."), absl::OkStatus());
    return file;
  }
  void LosePower() { disk.PowerLoss(*random); }

  SimScheduler scheduler{1};
  SimFileSystem disk{&scheduler};
  FaultyFileSystem files{disk, 1};
  const std::unique_ptr<Random> random = SeededRandom(1);
};

std::string Read(File& file, uint64_t position, size_t length) {
  std::string out(length, '?');
  const auto got = file.ReadAt(position, length, out.data());
  if (!got.ok()) return std::string(MessageOf(got.status()));
  out.resize(*got);
  return out;
}

// --- Rules

TEST_F(FaultyFileSystemTest, ARuleStrikesItsOperationsAndPathsAfterItsSkipForItsCount) {
  const auto a = Create("dir.a.log");
  const auto b = Create("dir.a.idx");
  const auto c = Create("other.log");
  const size_t rule = files.AddFault({.kind = Kind::kFail,
                                      .ops = {FileOp::kWrite},
                                      .path_prefix = "dir",
                                      .path_suffix = ".log",
                                      .skip = 1,
                                      .count = 2});
  EXPECT_EQ(a->WriteAt(0, "1"), absl::OkStatus());
  for (int i = 0; i < 2; ++i) {
    const absl::Status failed = a->WriteAt(0, "X");
    EXPECT_EQ(ReasonOf(failed), Reason::DISK_FAILED);
    EXPECT_THAT(std::string(MessageOf(failed)), HasSubstr("write \"dir.a.log\""));
    EXPECT_EQ(b->WriteAt(0, "b"), absl::OkStatus());
    EXPECT_EQ(c->WriteAt(0, "c"), absl::OkStatus());
    EXPECT_EQ(a->SyncData(), absl::OkStatus());
  }
  EXPECT_EQ(Content("dir.a.log"), "1") << "nothing of it was written";
  EXPECT_EQ(a->WriteAt(0, "2"), absl::OkStatus());
  EXPECT_EQ(Content("dir.a.log"), "2");
  EXPECT_EQ(files.struck(rule), 2U);
  EXPECT_EQ(files.Report(), "fail write \"dir*.log\": struck 2 of 4 calls\n");
}

TEST_F(FaultyFileSystemTest, TheFirstRuleThatStrikesDecidesAndClearedOnesDoNot) {
  const auto file = Create("f");
  const size_t first = files.AddFault({.kind = Kind::kForget, .ops = {FileOp::kWrite}, .count = 1});
  const size_t second = files.AddFault({.kind = Kind::kFail, .ops = {FileOp::kWrite}});
  EXPECT_EQ(file->WriteAt(0, "X"), absl::OkStatus());
  EXPECT_FALSE(file->WriteAt(0, "X").ok());
  EXPECT_EQ(Content("f"), "");
  EXPECT_EQ(files.struck(first), 1U);
  EXPECT_EQ(files.struck(second), 1U);
  files.ClearFaults();
  EXPECT_EQ(file->WriteAt(0, "abc"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "abc");
  EXPECT_EQ(files.struck(second), 1U);
}

TEST_F(FaultyFileSystemTest, AShareIsDrawnFromTheSeed) {
  const auto run = [](uint64_t seed) {
    SimFileSystem below;
    FaultyFileSystem faulty(below, seed);
    const auto file = *faulty.Open("f", OpenMode::kCreate);
    faulty.AddFault({.kind = Kind::kFail, .ops = {FileOp::kWrite}, .one_in = 3});
    std::string outcome;
    for (int i = 0; i < 300; ++i) outcome += file->WriteAt(0, "x").ok() ? '.' : 'X';
    return outcome;
  };
  const std::string one = run(1);
  EXPECT_EQ(one, run(1));
  EXPECT_NE(one, run(2));
  const auto failed = std::count(one.begin(), one.end(), 'X');
  EXPECT_TRUE(failed > 50 && failed < 150) << failed;
}

TEST_F(FaultyFileSystemTest, EveryOperationCanFail) {
  const auto file = Create("f", "abc");
  ASSERT_EQ(files.CreateDirectory("d"), absl::OkStatus());
  files.AddFault({.kind = Kind::kFail, .error = EACCES});
  char byte = 0;
  const std::vector<std::pair<FileOp, absl::Status>> calls = {
      {FileOp::kOpen, files.Open("f", OpenMode::kRead).status()},
      {FileOp::kRead, file->ReadAt(0, 1, &byte).status()},
      {FileOp::kWrite, file->WriteAt(0, "X")},
      {FileOp::kSync, file->SyncData()},
      {FileOp::kStartWriteBack, file->StartWriteBack(0, 1)},
      {FileOp::kTruncate, file->Truncate(0)},
      {FileOp::kAllocate, file->Allocate(10, true)},
      {FileOp::kRename, files.Rename("f", "g")},
      {FileOp::kRemove, files.RemoveFile("f")},
      {FileOp::kCreateDirectory, files.CreateDirectory("e")},
      {FileOp::kRemoveDirectory, files.RemoveDirectory("d")},
      {FileOp::kSyncDirectory, files.SyncDirectory(".")},
      {FileOp::kList, files.List(".").status()},
      {FileOp::kStat, files.Stat("f").status()},
      {FileOp::kLock, files.Lock("LOCK").status()}};
  for (const auto& [op, status] : calls) {
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << FileOpName(op) << ": " << status;
    EXPECT_THAT(std::string(MessageOf(status)), ::testing::StartsWith(std::string(FileOpName(op))));
  }
  files.ClearFaults();
  std::vector<std::string> names;
  const auto entries = files.List(".");
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("d", "f"));
  EXPECT_EQ(Content("f"), "abc");
}

TEST(FaultyFileSystemDeathTest, AFaultThatDoesNotApplyIsRefused) {
  SimFileSystem disk;
  FaultyFileSystem files(disk);
  EXPECT_DEATH(files.AddFault({.kind = Kind::kTear, .ops = {FileOp::kRead}}),
               "tear does not apply to read");
}

// --- Forgetting

TEST_F(FaultyFileSystemTest, AForgottenSyncShowsAtThePowerLossOnly) {
  std::set<std::string> found;
  for (int i = 0; i < 50; ++i) {
    const std::string path = "f" + std::to_string(i);
    const auto file = CreateDurable(path, "old");
    const size_t rule = files.AddFault({.kind = Kind::kForget, .ops = {FileOp::kSync}, .count = 1});
    ASSERT_EQ(file->WriteAt(0, "new"), absl::OkStatus());
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    EXPECT_EQ(files.struck(rule), 1U);
    EXPECT_EQ(Content(path), "new");
    LosePower();
    found.insert(Content(path));
  }
  EXPECT_EQ(found, (std::set<std::string>{"old", "new"}));
}

TEST_F(FaultyFileSystemTest, ALaterSyncMakesGoodForAForgottenOne) {
  const auto file = CreateDurable("f", "old");
  files.AddFault({.kind = Kind::kForget, .ops = {FileOp::kSync}, .count = 1});
  ASSERT_EQ(file->WriteAt(0, "new"), absl::OkStatus());
  ASSERT_EQ(file->SyncData(), absl::OkStatus());
  ASSERT_EQ(file->SyncData(), absl::OkStatus());
  LosePower();
  EXPECT_EQ(Content("f"), "new");
}

TEST_F(FaultyFileSystemTest, AForgottenDirectorySyncLosesNames) {
  int lost = 0;
  for (int i = 0; i < 50; ++i) {
    const std::string path = "f" + std::to_string(i);
    files.AddFault({.kind = Kind::kForget, .ops = {FileOp::kSyncDirectory}, .count = 1});
    CreateDurable(path, "bytes");
    LosePower();
    if (!disk.Stat(path).ok()) ++lost;
  }
  EXPECT_TRUE(lost > 5 && lost < 45) << lost;
}

TEST_F(FaultyFileSystemTest, ForgottenChangesDoNotHappen) {
  const auto file = Create("f", "abc");
  files.AddFault({.kind = Kind::kForget});
  EXPECT_EQ(file->WriteAt(0, "XYZ"), absl::OkStatus());
  EXPECT_EQ(file->Truncate(1), absl::OkStatus());
  EXPECT_EQ(files.Rename("f", "g"), absl::OkStatus());
  EXPECT_EQ(files.RemoveFile("f"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "abc");
  EXPECT_TRUE(absl::IsNotFound(disk.Stat("g").status()));
  EXPECT_EQ(Read(*file, 0, 10), "abc") << "reads are never forgotten";
}

// --- Parts of a call

TEST_F(FaultyFileSystemTest, ATornWriteLeavesAProperPrefixAndSaysNothing) {
  std::set<size_t> lengths;
  for (int i = 0; i < 50; ++i) {
    const std::string path = "f" + std::to_string(i);
    const auto file = Create(path);
    files.AddFault({.kind = Kind::kTear, .count = 1});
    const std::string_view pieces[] = {"12", "3456"};
    EXPECT_EQ(file->WriteAt(0, pieces), absl::OkStatus());
    const std::string found = Content(path);
    EXPECT_EQ(found, std::string("12345").substr(0, found.size()));
    lengths.insert(found.size());
  }
  EXPECT_GE(lengths.size(), 4U);
}

TEST_F(FaultyFileSystemTest, AShortWriteLeavesAProperPrefixAndFails) {
  std::set<size_t> lengths;
  for (int i = 0; i < 50; ++i) {
    const auto file = CreateDurable("f" + std::to_string(i), "abcdef");
    files.AddFault({.kind = Kind::kShort, .ops = {FileOp::kWrite}, .count = 1});
    EXPECT_EQ(ReasonOf(file->WriteAt(0, "123456")), Reason::DISK_FAILED);
    const std::string found = Read(*file, 0, 10);
    const size_t written = found.find_first_not_of("123456");
    ASSERT_NE(written, std::string::npos);
    EXPECT_EQ(found,
              std::string("123456").substr(0, written) + std::string("abcdef").substr(written));
    lengths.insert(written);
  }
  EXPECT_GE(lengths.size(), 4U);
}

TEST_F(FaultyFileSystemTest, AShortReadReturnsLessThanThereIs) {
  const auto file = Create("f", "123456");
  const size_t rule = files.AddFault({.kind = Kind::kShort, .ops = {FileOp::kRead}, .count = 50});
  std::set<size_t> lengths;
  for (int i = 0; i < 50; ++i) {
    const std::string found = Read(*file, 1, 4);
    EXPECT_EQ(found, std::string("234").substr(0, found.size()));
    lengths.insert(found.size());
  }
  EXPECT_GE(lengths.size(), 3U);
  EXPECT_EQ(files.struck(rule), 50U);
  EXPECT_EQ(Read(*file, 1, 4), "2345");
}

// --- Wrong bytes

int BitsThatDiffer(std::string_view a, std::string_view b) {
  EXPECT_EQ(a.size(), b.size());
  int bits = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    bits += std::popcount(static_cast<uint8_t>(a[i] ^ b[i]));
  return bits;
}

TEST_F(FaultyFileSystemTest, AFlippedWriteDiffersInOneBitForGood) {
  const std::string_view good = "0123456789";
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const std::string path = "f" + std::to_string(i);
    files.AddFault({.kind = Kind::kFlipBit, .ops = {FileOp::kWrite}, .count = 1});
    const auto file = Create(path, good);
    EXPECT_EQ(BitsThatDiffer(Content(path), good), 1);
    seen.insert(Content(path));
  }
  EXPECT_GT(seen.size(), 10U);
}

TEST_F(FaultyFileSystemTest, AFlippedReadDiffersInOneBitOnce) {
  const auto file = Create("f", "0123456789");
  files.AddFault({.kind = Kind::kFlipBit, .ops = {FileOp::kRead}, .count = 1});
  EXPECT_EQ(BitsThatDiffer(Read(*file, 0, 10), "0123456789"), 1);
  EXPECT_EQ(Read(*file, 0, 10), "0123456789");
}

TEST_F(FaultyFileSystemTest, AMisdirectedWriteGoesFurtherOn) {
  const auto file = Create("f", "0123456789");
  files.AddFault({.kind = Kind::kMisdirect, .ops = {FileOp::kWrite}, .count = 1, .shift = 5});
  EXPECT_EQ(file->WriteAt(1, "ab"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "012345ab89");
}

TEST_F(FaultyFileSystemTest, AMisdirectedWriteGoesToAnotherFile) {
  const auto file = Create("f", "0123456789");
  Create("g", "abcdefghij");
  files.AddFault({.kind = Kind::kMisdirect, .path_prefix = "f", .count = 1, .elsewhere = "g"});
  files.AddFault({.kind = Kind::kMisdirect, .path_prefix = "f", .count = 1, .elsewhere = "none"});
  EXPECT_EQ(file->WriteAt(2, "XY"), absl::OkStatus());
  EXPECT_EQ(file->WriteAt(2, "XY"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "0123456789");
  EXPECT_EQ(Content("g"), "abXYefghij");
}

TEST_F(FaultyFileSystemTest, AMisdirectedReadShowsOtherBytes) {
  const auto file = Create("f", "0123456789");
  Create("g", "abcd");
  files.AddFault({.kind = Kind::kMisdirect, .count = 1, .shift = 5});
  files.AddFault({.kind = Kind::kMisdirect, .count = 1, .elsewhere = "g"});
  EXPECT_EQ(Read(*file, 1, 6), std::string("6789\0\0", 6)) << "as long as the right ones";
  EXPECT_EQ(Read(*file, 2, 4), std::string("cd\0\0", 4));
  EXPECT_EQ(Read(*file, 1, 6), "123456");
}

// --- Stalls

TEST_F(FaultyFileSystemTest, AStallHoldsTheAnswerInVirtualTimeWhileOthersRun) {
  const auto disk_executor = scheduler.NewExecutor("disk");
  const auto shard = scheduler.NewExecutor("shard");
  const auto file = Create("f");
  std::vector<std::string> heard;
  files.SetStall([&](FileOp op, const std::string& path) {
    heard.push_back(StrCat(FileOpName(op), " ", path));
    scheduler.Stall(10 * kSecond);
  });
  files.AddFault({.kind = Kind::kStall, .ops = {FileOp::kSync}, .count = 1});
  const MonoTime begin = scheduler.Now();
  MonoTime answered = begin;
  MonoTime ran = begin;
  disk_executor->Post([&] {
    EXPECT_EQ(file->SyncData(), absl::OkStatus());
    answered = scheduler.Now();
  });
  shard->RunAt(begin + kSecond, [&] { ran = scheduler.Now(); });
  scheduler.RunUntilIdle();
  EXPECT_EQ(ran, begin + kSecond);
  EXPECT_GE(answered - begin, 10 * kSecond);
  EXPECT_THAT(heard, ElementsAre("sync f"));
}

TEST_F(FaultyFileSystemTest, AStalledCallMayFailAsWell) {
  const auto file = Create("f");
  int stalls = 0;
  files.SetStall([&](FileOp, const std::string&) { ++stalls; });
  files.AddFault({.kind = Kind::kFail, .ops = {FileOp::kWrite}});
  files.AddFault({.kind = Kind::kStall, .ops = {FileOp::kWrite}});
  EXPECT_FALSE(file->WriteAt(0, "x").ok());
  EXPECT_EQ(stalls, 1);
}

TEST(FaultyRealFileSystemTest, AStallHoldsOneThreadUntilItIsReleased) {
  FaultyHost<RealHost> host;
  auto held = *host.files().Open(JoinPath(host.root(), "held"), OpenMode::kCreate);
  auto free = *host.files().Open(JoinPath(host.root(), "free"), OpenMode::kCreate);
  std::binary_semaphore begun(0);
  std::binary_semaphore release(0);
  host.faulty().SetStall([&](FileOp, const std::string&) {
    begun.release();
    release.acquire();
  });
  host.faulty().AddFault({.kind = Kind::kStall, .path_suffix = "held", .count = 1});
  std::atomic<bool> answered = false;
  std::thread writer([&] {
    EXPECT_EQ(held->WriteAt(0, "abc"), absl::OkStatus());
    answered = true;
  });
  begun.acquire();
  EXPECT_EQ(free->WriteAt(0, "x"), absl::OkStatus());
  EXPECT_EQ(free->SyncData(), absl::OkStatus());
  EXPECT_FALSE(answered);
  release.release();
  writer.join();
  EXPECT_EQ(Read(*held, 0, 3), "abc");
}

TEST(FaultyRealFileSystemTest, CountsAreRightWhenManyThreadsCall) {
  FaultyHost<RealHost> host;
  const auto file = *host.files().Open(JoinPath(host.root(), "f"), OpenMode::kCreate);
  const size_t rule = host.faulty().AddFault({.ops = {FileOp::kWrite}, .skip = 100, .count = 50});
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) failed += file->WriteAt(0, "x").ok() ? 0 : 1;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 50);
  EXPECT_EQ(host.faulty().struck(rule), 50U);
}

// --- Room

TEST_F(FaultyFileSystemTest, AFullDiskTakesWhatFitsAndRecoversWhenFreed) {
  const auto file = Create("f", "12345");
  Create("g", "123");
  files.SetRoom(5);
  EXPECT_EQ(files.Space(".")->free_bytes, 5U);
  EXPECT_EQ(ReasonOf(file->WriteAt(5, "6789abcdef")), Reason::NO_SPACE);
  EXPECT_EQ(Content("f"), "123456789a");
  EXPECT_EQ(file->WriteAt(0, "X"), absl::OkStatus()) << "in place needs no room";
  EXPECT_EQ(ReasonOf(file->WriteAt(20, "x")), Reason::NO_SPACE);
  EXPECT_EQ(*file->Size(), 10U);
  EXPECT_EQ(files.full(), 2U);
  EXPECT_EQ(file->Truncate(8), absl::OkStatus());
  EXPECT_EQ(files.Space(".")->free_bytes, 2U);
  EXPECT_EQ(ReasonOf(file->Allocate(11, true)), Reason::NO_SPACE);
  EXPECT_EQ(*file->Size(), 8U) << "an allocation takes all or nothing";
  EXPECT_EQ(files.RemoveFile("g"), absl::OkStatus());
  EXPECT_EQ(file->Allocate(13, true), absl::OkStatus());
  EXPECT_EQ(files.Space(".")->free_bytes, 0U);
  EXPECT_EQ(files.Rename("f", "h"), absl::OkStatus());
  EXPECT_EQ(files.Space(".")->free_bytes, 0U) << "a new name frees nothing";
  Create("i");
  EXPECT_EQ(files.Rename("i", "h"), absl::OkStatus());
  EXPECT_EQ(files.Space(".")->free_bytes, 13U);
  files.SetRoom(std::nullopt);
  EXPECT_EQ(file->WriteAt(0, std::string(100, 'x')), absl::OkStatus());
}

TEST_F(FaultyFileSystemTest, AWriteThatFailsTakesNoRoom) {
  const auto file = Create("f");
  files.SetRoom(10);
  files.AddFault({.ops = {FileOp::kWrite}, .count = 1});
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "12345")), Reason::DISK_FAILED);
  disk.AddFault({.kind = SimFault::Kind::kWriteError, .count = 1});
  EXPECT_EQ(ReasonOf(file->WriteAt(0, "12345")), Reason::DISK_FAILED);
  EXPECT_EQ(files.Space(".")->free_bytes, 10U);
  EXPECT_EQ(file->WriteAt(0, "1234567890"), absl::OkStatus());
}

}  // namespace
}  // namespace varve
