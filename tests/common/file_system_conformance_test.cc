// What every FileSystem promises, asked of the real one in a temporary directory, of the simulated,
// of both through a FaultyFileSystem that has no rules, and of overlays over both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/error.h"
#include "common/file_error.h"
#include "common/file_system.h"
#include "tests/common/file_system_hosts.h"

namespace varve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<FileSystemHost>()> make;
};

class FileSystemConformance : public testing::TestWithParam<Implementation> {
 protected:
  FileSystem& files() { return host_->files(); }
  [[nodiscard]] std::string Path(std::string_view name) { return JoinPath(host_->root(), name); }
  std::unique_ptr<File> Open(std::string_view name, OpenMode mode) {
    auto file = files().Open(Path(name), mode);
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? *std::move(file) : nullptr;
  }
  // A new file with these bytes, open for writing.
  std::unique_ptr<File> Make(std::string_view name, std::string_view bytes) {
    auto file = Open(name, OpenMode::kCreate);
    if (file != nullptr) {
      EXPECT_EQ(file->WriteAt(0, bytes), absl::OkStatus());
    }
    return file;
  }
  std::string Content(std::string_view name) {
    const auto bytes = ReadWholeFile(files(), Path(name), 1 << 26);
    return bytes.ok() ? *bytes : std::string(bytes.status().message());
  }
  absl::Status OpenStatus(std::string_view name, OpenMode mode) {
    return files().Open(Path(name), mode).status();
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto entries = files().List(host_->root());
    EXPECT_TRUE(entries.ok()) << entries.status();
    if (entries.ok())
      for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }

 private:
  const std::unique_ptr<FileSystemHost> host_ = GetParam().make();
};

template <class Host>
Implementation Of(std::string name) {
  return {std::move(name), [] { return std::make_unique<Host>(); }};
}

INSTANTIATE_TEST_SUITE_P(All, FileSystemConformance,
                         testing::Values(Of<RealHost>("Real"), Of<SimHost>("Simulated"),
                                         Of<FaultyHost<RealHost>>("RealWithNoFault"),
                                         Of<FaultyHost<SimHost>>("SimulatedWithNoFault"),
                                         Of<OverlayHost<RealHost>>("OverlayOverReal"),
                                         Of<OverlayHost<SimHost>>("OverlayOverSimulated")),
                         [](const auto& tested) { return tested.param.name; });

std::string Read(File& file, uint64_t position, size_t length) {
  std::string out(length, '?');
  const auto got = file.ReadAt(position, length, out.data());
  if (!got.ok()) return std::string(got.status().message());
  out.resize(*got);
  return out;
}

// --- Bytes

TEST_P(FileSystemConformance, ReadsBackWhatWasWritten) {
  const auto file = Make("f", "hello");
  EXPECT_EQ(Read(*file, 0, 5), "hello");
  EXPECT_EQ(Read(*file, 1, 3), "ell");
  EXPECT_EQ(*file->Size(), 5U);
}

TEST_P(FileSystemConformance, WritesPiecesOneAfterAnother) {
  const auto file = Make("f", "........");
  const std::vector<std::string_view> pieces = {"ab", "", "cde", "f"};
  ASSERT_EQ(file->WriteAt(1, pieces), absl::OkStatus());
  EXPECT_EQ(Content("f"), ".abcdef.");
}

TEST_P(FileSystemConformance, WritesMorePiecesThanOneSystemCallTakes) {
  const auto file = Open("f", OpenMode::kCreate);
  std::vector<std::string> texts;
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    texts.push_back(StrCat(i, ","));
    expected += texts.back();
  }
  const std::vector<std::string_view> pieces(texts.begin(), texts.end());
  ASSERT_EQ(file->WriteAt(0, pieces), absl::OkStatus());
  EXPECT_EQ(Content("f"), expected);
}

TEST_P(FileSystemConformance, AnEmptyWriteChangesNothing) {
  const auto file = Make("f", "abc");
  ASSERT_EQ(file->WriteAt(100, ""), absl::OkStatus());
  ASSERT_EQ(file->WriteAt(0, std::span<const std::string_view>()), absl::OkStatus());
  EXPECT_EQ(Content("f"), "abc");
}

TEST_P(FileSystemConformance, OverwritesInPlaceAcrossPages) {
  const std::string old(20'000, 'o');
  const auto file = Make("f", old);
  const std::string fresh(9'000, 'n');
  ASSERT_EQ(file->WriteAt(4'000, fresh), absl::OkStatus());
  EXPECT_EQ(Content("f"), std::string(4'000, 'o') + fresh + std::string(7'000, 'o'));
}

TEST_P(FileSystemConformance, AHoleReadsAsZeros) {
  const auto file = Open("f", OpenMode::kCreate);
  ASSERT_EQ(file->WriteAt(10'000, "x"), absl::OkStatus());
  std::string expected(10'001, '\0');
  expected.back() = 'x';
  EXPECT_EQ(Content("f"), expected);
}

TEST_P(FileSystemConformance, ReadsFewerBytesOnlyAtTheEnd) {
  const auto file = Make("f", "hello");
  EXPECT_EQ(Read(*file, 3, 10), "lo");
  EXPECT_EQ(Read(*file, 5, 10), "");
  EXPECT_EQ(Read(*file, 500, 10), "");
}

TEST_P(FileSystemConformance, RefusesPositionsBeyondWhatAFileCanHave) {
  const auto file = Make("f", "hello");
  char byte = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(file->WriteAt(UINT64_MAX, "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(file->ReadAt(UINT64_MAX, 1, &byte).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(file->Truncate(UINT64_MAX)));
  EXPECT_TRUE(absl::IsInvalidArgument(file->Allocate(UINT64_MAX, false)));
  EXPECT_EQ(Content("f"), "hello");
}

TEST_P(FileSystemConformance, TruncatedBytesReadAsZerosWhenTheFileGrowsAgain) {
  const auto file = Make("f", std::string(5'000, 'x'));
  ASSERT_EQ(file->Truncate(2), absl::OkStatus());
  EXPECT_EQ(Content("f"), "xx");
  ASSERT_EQ(file->Truncate(5), absl::OkStatus());
  EXPECT_EQ(Content("f"), std::string("xx\0\0\0", 5));
}

TEST_P(FileSystemConformance, AllocateExtendsWithZerosAndKeepsBytes) {
  for (const bool zero_fill : {false, true}) {
    const std::string name = zero_fill ? "filled" : "reserved";
    const auto file = Make(name, "abc");
    ASSERT_EQ(file->Allocate(70'001, zero_fill), absl::OkStatus());
    EXPECT_EQ(Content(name), "abc" + std::string(69'998, '\0'));
  }
}

TEST_P(FileSystemConformance, AllocateNeverShortensOrClears) {
  for (const bool zero_fill : {false, true}) {
    const std::string name = zero_fill ? "filled" : "reserved";
    const auto file = Make(name, "abcdef");
    ASSERT_EQ(file->Allocate(3, zero_fill), absl::OkStatus());
    ASSERT_EQ(file->Allocate(6, zero_fill), absl::OkStatus());
    ASSERT_EQ(file->Allocate(0, zero_fill), absl::OkStatus());
    EXPECT_EQ(Content(name), "abcdef");
  }
}

TEST_P(FileSystemConformance, SyncsKeepTheBytes) {
  const auto file = Make("f", "abc");
  EXPECT_EQ(file->StartWriteBack(0, 3), absl::OkStatus());
  EXPECT_EQ(file->StartWriteBack(0, 0), absl::OkStatus());
  EXPECT_EQ(file->SyncData(), absl::OkStatus());
  ASSERT_EQ(file->WriteAt(1, "X"), absl::OkStatus());
  EXPECT_EQ(file->SyncData(), absl::OkStatus());
  EXPECT_EQ(Content("f"), "aXc");
}

// --- Opening

TEST_P(FileSystemConformance, OpensOnlyWhatTheModeAllows) {
  EXPECT_TRUE(absl::IsNotFound(OpenStatus("f", OpenMode::kRead)));
  EXPECT_TRUE(absl::IsNotFound(OpenStatus("f", OpenMode::kReadWrite)));
  EXPECT_TRUE(absl::IsNotFound(OpenStatus("missing/f", OpenMode::kCreate)));
  Make("f", "abc");
  EXPECT_TRUE(absl::IsAlreadyExists(OpenStatus("f", OpenMode::kCreate)));
  EXPECT_EQ(Read(*Open("f", OpenMode::kRead), 0, 3), "abc");
  ASSERT_EQ(Open("f", OpenMode::kReadWrite)->WriteAt(0, "X"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "Xbc");
}

TEST_P(FileSystemConformance, ADirectoryIsNotAFile) {
  ASSERT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("d", OpenMode::kRead)));
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("d", OpenMode::kReadWrite)));
  EXPECT_TRUE(absl::IsAlreadyExists(OpenStatus("d", OpenMode::kCreate)));
  Make("f", "");
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("f/g", OpenMode::kRead)));
}

TEST_P(FileSystemConformance, AFileOpenedForReadingTakesNoWrites) {
  Make("f", "abc");
  const auto file = Open("f", OpenMode::kRead);
  EXPECT_FALSE(file->WriteAt(0, "X").ok());
  EXPECT_FALSE(file->Truncate(0).ok());
  EXPECT_EQ(Content("f"), "abc");
}

TEST_P(FileSystemConformance, ErrorsNameCallPathAndErrno) {
  const absl::Status status = OpenStatus("f", OpenMode::kRead);
  EXPECT_EQ(MessageOf(status),
            StrCat("open \"", Path("f"), "\": No such file or directory (errno 2)"));
  EXPECT_EQ(ReasonOf(status), Reason::INTERNAL) << "a missing file has no reason of its own";
}

TEST_P(FileSystemConformance, OpenFilesSurviveRenameAndRemoval) {
  const auto file = Make("f", "abc");
  ASSERT_EQ(files().Rename(Path("f"), Path("g")), absl::OkStatus());
  ASSERT_EQ(file->WriteAt(0, "X"), absl::OkStatus());
  EXPECT_EQ(Content("g"), "Xbc");
  ASSERT_EQ(files().RemoveFile(Path("g")), absl::OkStatus());
  ASSERT_EQ(file->WriteAt(1, "Y"), absl::OkStatus());
  EXPECT_EQ(Read(*file, 0, 3), "XYc");
  EXPECT_EQ(file->SyncData(), absl::OkStatus());
}

// --- Names

TEST_P(FileSystemConformance, ListsNamesInOrderWithKindAndSize) {
  Make("b", "12");
  Make("a", "1");
  ASSERT_EQ(files().CreateDirectory(Path("c")), absl::OkStatus());
  EXPECT_THAT(Names(), ElementsAre("a", "b", "c"));
  const auto entries = files().List(Path(""));
  ASSERT_TRUE(entries.ok()) << entries.status();
  EXPECT_EQ((*entries)[1].size, 2U);
  EXPECT_FALSE((*entries)[1].is_directory);
  EXPECT_EQ((*entries)[2].size, 0U);
  EXPECT_TRUE((*entries)[2].is_directory);
  EXPECT_TRUE(absl::IsNotFound(files().List(Path("missing")).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(files().List(Path("a")).status()));
}

TEST_P(FileSystemConformance, StatTellsNameKindAndSize) {
  Make("f", "12");
  ASSERT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  const auto file = files().Stat(Path("f"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->name, "f");
  EXPECT_EQ(file->size, 2U);
  const auto directory = files().Stat(Path("d"));
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_TRUE(directory->is_directory);
  EXPECT_EQ(directory->size, 0U);
  EXPECT_TRUE(absl::IsNotFound(files().Stat(Path("x")).status()));
}

TEST_P(FileSystemConformance, CreatingADirectoryTwiceIsFineButNotOverAFile) {
  EXPECT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  EXPECT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(files().CreateDirectory(Path("x/y"))));
  Make("f", "");
  EXPECT_TRUE(absl::IsAlreadyExists(files().CreateDirectory(Path("f"))));
}

TEST_P(FileSystemConformance, RenameReplacesTheTarget) {
  Make("old", "old");
  Make("new", "new");
  ASSERT_EQ(files().Rename(Path("new"), Path("old")), absl::OkStatus());
  EXPECT_THAT(Names(), ElementsAre("old"));
  EXPECT_EQ(Content("old"), "new");
  EXPECT_EQ(files().Rename(Path("old"), Path("old")), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(files().Rename(Path("missing"), Path("x"))));
}

TEST_P(FileSystemConformance, RenameMovesDirectoriesButNotIntoThemselves) {
  ASSERT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  ASSERT_EQ(files().CreateDirectory(Path("e")), absl::OkStatus());
  Make("d/f", "abc");
  Make("g", "");
  EXPECT_TRUE(absl::IsInvalidArgument(files().Rename(Path("d"), Path("d/x"))));
  EXPECT_TRUE(absl::IsFailedPrecondition(files().Rename(Path("g"), Path("d"))));
  EXPECT_FALSE(files().Rename(Path("e"), Path("d")).ok()) << "a directory that is not empty";
  ASSERT_EQ(files().Rename(Path("d"), Path("e")), absl::OkStatus());
  EXPECT_EQ(Content("e/f"), "abc");
}

TEST_P(FileSystemConformance, RemovesFilesAndEmptyDirectories) {
  ASSERT_EQ(files().CreateDirectory(Path("d")), absl::OkStatus());
  Make("d/f", "");
  EXPECT_FALSE(files().RemoveDirectory(Path("d")).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(files().RemoveFile(Path("d"))));
  EXPECT_TRUE(absl::IsFailedPrecondition(files().RemoveDirectory(Path("d/f"))));
  EXPECT_EQ(files().RemoveFile(Path("d/f")), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(files().RemoveFile(Path("d/f"))));
  EXPECT_EQ(files().RemoveDirectory(Path("d")), absl::OkStatus());
  EXPECT_TRUE(Names().empty());
}

TEST_P(FileSystemConformance, SyncsDirectoriesOnly) {
  Make("f", "");
  EXPECT_EQ(files().SyncDirectory(Path("")), absl::OkStatus());
  EXPECT_TRUE(absl::IsNotFound(files().SyncDirectory(Path("x"))));
  EXPECT_TRUE(absl::IsFailedPrecondition(files().SyncDirectory(Path("f"))));
}

// --- Locks and space

TEST_P(FileSystemConformance, ALockIsHeldOnceUntilReleased) {
  {
    const auto first = files().Lock(Path("LOCK"));
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = files().Lock(Path("LOCK"));
    EXPECT_TRUE(absl::IsUnavailable(second.status())) << second.status();
    EXPECT_EQ(ReasonOf(second.status()), Reason::DIRECTORY_IN_USE);
    EXPECT_THAT(std::string(second.status().message()), HasSubstr(Path("LOCK")));
    EXPECT_TRUE(files().Lock(Path("OTHER")).ok());
    // Opening and closing the file elsewhere must not release it.
    Open("LOCK", OpenMode::kReadWrite);
    EXPECT_FALSE(files().Lock(Path("LOCK")).ok());
  }
  EXPECT_TRUE(files().Lock(Path("LOCK")).ok());
}

TEST_P(FileSystemConformance, SpaceIsAtLeastWhatIsFree) {
  const auto space = files().Space(Path(""));
  ASSERT_TRUE(space.ok()) << space.status();
  EXPECT_GT(space->total_bytes, 0U);
  EXPECT_LE(space->free_bytes, space->total_bytes);
  EXPECT_TRUE(absl::IsNotFound(files().Space(Path("x")).status()));
}

// --- What is built on it

TEST_P(FileSystemConformance, ReadWholeFileKeepsToItsLimit) {
  Make("f", "12345");
  EXPECT_EQ(*ReadWholeFile(files(), Path("f"), 5), "12345");
  const absl::Status status = ReadWholeFile(files(), Path("f"), 4).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("5 bytes, at most 4"));
}

TEST_P(FileSystemConformance, ReplaceFileCreatesReplacesAndCleansUp) {
  ASSERT_EQ(ReplaceFile(files(), Path("f"), "one"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "one");
  Make("f.new", "left by a crash, longer than what follows");
  ASSERT_EQ(ReplaceFile(files(), Path("f"), "two"), absl::OkStatus());
  EXPECT_EQ(Content("f"), "two");
  EXPECT_THAT(Names(), ElementsAre("f"));
}

TEST(JoinPathTest, PutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST(FileErrorTest, GivesReasonsWhereTheyFitAndCodesElsewhere) {
  EXPECT_EQ(ReasonOf(FileError("write", "f", ENOSPC)), Reason::NO_SPACE);
  EXPECT_EQ(ReasonOf(FileError("write", "f", EDQUOT)), Reason::NO_SPACE);
  EXPECT_EQ(ReasonOf(FileError("sync", "f", EIO)), Reason::DISK_FAILED);
  EXPECT_TRUE(absl::IsPermissionDenied(FileError("open", "f", EACCES)));
  EXPECT_TRUE(absl::IsResourceExhausted(FileError("open", "f", EMFILE)));
  EXPECT_EQ(FileError("sync", "a/b", EIO).message(), "sync \"a/b\": Input/output error (errno 5)");
}

TEST(RealFileSystemTest, AFullDeviceIsNoSpace) {
  const auto file = RealFileSystem().Open("/dev/full", OpenMode::kReadWrite);
  if (!file.ok()) GTEST_SKIP() << "needs /dev/full";
  EXPECT_EQ(ReasonOf((*file)->WriteAt(0, "x")), Reason::NO_SPACE);
}

// The simulated disk promises one thread only.
TEST(RealFileSystemTest, PositionalCallsOfOneFileRunFromManyThreads) {
  RealHost host;
  const auto file = RealFileSystem().Open(JoinPath(host.root(), "f"), OpenMode::kCreate);
  ASSERT_TRUE(file.ok()) << file.status();
  constexpr size_t kThreads = 4;
  constexpr size_t kWrites = 100;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string bytes(100, static_cast<char>('a' + t));
      for (size_t i = 0; i < kWrites; ++i) {
        const uint64_t at = (i * kThreads + t) * bytes.size();
        EXPECT_EQ((*file)->WriteAt(at, bytes), absl::OkStatus());
        EXPECT_EQ(Read(**file, at, bytes.size()), bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(*(*file)->Size(), kThreads * kWrites * 100);
}

}  // namespace
}  // namespace varve
