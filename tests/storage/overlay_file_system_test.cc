// What an overlay shows of the file system below it, and that it leaves that alone. What every file
// system promises is asked of it in tests/common/file_system_conformance_test.cc.
#include "storage/overlay_file_system.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/random.h"
#include "common/sim/sim_file_system.h"

namespace varve::storage {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

void Make(FileSystem& files, const std::string& path, std::string_view bytes) {
  const auto file = files.Open(path, OpenMode::kCreate);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE((*file)->WriteAt(0, bytes).ok());
}

// All names below `directory`, with the bytes of the files.
void Collect(FileSystem& files, const std::string& directory,
             std::map<std::string, std::string>* out) {
  const auto entries = files.List(directory);
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(directory, entry.name);
    const auto stat = files.Stat(path);
    ASSERT_TRUE(stat.ok()) << stat.status();
    EXPECT_EQ(stat->is_directory, entry.is_directory) << path;
    EXPECT_EQ(stat->size, entry.size) << path;
    if (entry.is_directory) {
      (*out)[path] = "directory";
      Collect(files, path, out);
      continue;
    }
    const auto bytes = ReadWholeFile(files, path, kMaxBytes);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(bytes->size(), entry.size) << path;
    (*out)[path] = StrCat("file ", *bytes);
  }
}

std::map<std::string, std::string> Tree(FileSystem& files) {
  std::map<std::string, std::string> out;
  Collect(files, "root", &out);
  return out;
}

void Populate(FileSystem& files) {
  for (const char* directory : {"root", "root/a", "root/b", "root/a/c"})
    ASSERT_TRUE(files.CreateDirectory(directory).ok());
  Make(files, "root/a/x", std::string(150'000, 'x'));
  Make(files, "root/a/c/y", "yyy");
  Make(files, "root/z", "");
}

// One drawn call, on both: it succeeds on both or on none.
void Step(Random& draw, FileSystem& overlay, FileSystem& plain) {
  const std::vector<std::string> names = {"a", "b", "c", "x", "y", "z"};
  const auto drawn = [&] {
    std::string path = "root";
    for (uint64_t depth = 1 + draw.Below(3); depth > 0; --depth)
      path = JoinPath(path, names[draw.Below(names.size())]);
    return path;
  };
  const std::string path = drawn(), other = drawn();
  const uint64_t call = draw.Below(8), at = draw.Below(200'000), size = draw.Below(80'000);
  const auto run = [&](FileSystem& files) -> absl::Status {
    const auto edit = [&](OpenMode mode) -> absl::Status {
      VARVE_ASSIGN_OR_RETURN(const auto file, files.Open(path, mode));
      if (at % 3 == 0) return file->Truncate(at);
      return file->WriteAt(at, std::string(size, static_cast<char>('A' + call)));
    };
    switch (call) {
      case 0:
        return files.CreateDirectory(path);
      case 1:
        return files.Rename(path, other);
      case 2:
        return files.RemoveFile(path);
      case 3:
        return files.RemoveDirectory(path);
      case 4:
        return edit(OpenMode::kCreate);
      default:
        return edit(OpenMode::kReadWrite);
    }
  };
  const absl::Status here = run(overlay), there = run(plain);
  // Which error when several fit is nobody's promise.
  EXPECT_EQ(here.ok(), there.ok())
      << "call " << call << " of " << path << " and " << other << ": " << here << ", but " << there;
}

TEST(OverlayFileSystem, ShowsWhatADiskWouldShowAndChangesNothingBelow) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    SimFileSystem below, plain;
    Populate(below);
    Populate(plain);
    const auto before = Tree(below);
    OverlayFileSystem overlay(below);
    const auto draw = SeededRandom(seed);
    for (int i = 0; i < 60; ++i) {
      Step(*draw, overlay, plain);
      if (i % 6 == 0) {
        ASSERT_EQ(Tree(overlay), Tree(plain)) << "after call " << i;
      }
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_EQ(Tree(below), before);
  }
}

TEST(OverlayFileSystem, WhoReadsSeesWhatIsWrittenLater) {
  SimFileSystem below;
  Populate(below);
  OverlayFileSystem overlay(below);
  const auto reader = overlay.Open("root/a/c/y", OpenMode::kRead);
  ASSERT_TRUE(reader.ok()) << reader.status();
  {
    const auto writer = overlay.Open("root/a/c/y", OpenMode::kReadWrite);
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->WriteAt(1, "Y").ok());
  }
  char bytes[3] = {};
  ASSERT_EQ(*(*reader)->ReadAt(0, 3, bytes), 3u);
  EXPECT_EQ(std::string_view(bytes, 3), "yYy");
  EXPECT_EQ(*ReadWholeFile(overlay, "root/a/c/y", kMaxBytes), "yYy");
  EXPECT_EQ(*ReadWholeFile(below, "root/a/c/y", kMaxBytes), "yyy");
}

TEST(OverlayFileSystem, RoomIsThatOfTheDiskBelowAlsoForWhatIsMadeHere) {
  SimFileSystem below;
  Populate(below);
  OverlayFileSystem overlay(below);
  ASSERT_TRUE(overlay.CreateDirectory("root/new").ok());
  const auto here = overlay.Space("root/new/");
  ASSERT_TRUE(here.ok()) << here.status();
  EXPECT_EQ(here->free_bytes, below.Space("root")->free_bytes);
}

}  // namespace
}  // namespace varve::storage
