// Directories of every released format still open, hold what they held, and go on.
//
// To make the directory of a new format: VARVE_GOLDEN_OUT=<new directory> golden_directory_test
// --gtest_filter='*Maker*', then add its name below. Kept ones are never made again.
#include "tests/storage/golden/golden_directory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/error.h"

namespace varve::storage {
namespace {

namespace fs = std::filesystem;

std::string ReadRealFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteRealFile(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  ASSERT_TRUE(out.good()) << path;
}

// Copies, with what is copied durable.
void Load(const fs::path& from, const std::string& to, FileSystem& disk) {
  ASSERT_TRUE(disk.CreateDirectory(to).ok());
  for (const auto& item : fs::directory_iterator(from)) {
    const std::string path = JoinPath(to, item.path().filename().string());
    if (item.is_directory()) {
      Load(item.path(), path, disk);
      continue;
    }
    auto file = disk.Open(path, OpenMode::kCreate);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->WriteAt(0, ReadRealFile(item.path())).ok());
    ASSERT_TRUE((*file)->SyncData().ok());
  }
  ASSERT_TRUE(disk.SyncDirectory(to).ok());
}

void Save(FileSystem& disk, const std::string& from, const fs::path& to) {
  fs::create_directories(to);
  const auto entries = disk.List(from);
  ASSERT_TRUE(entries.ok()) << entries.status();
  for (const DirectoryEntry& entry : *entries) {
    const std::string path = JoinPath(from, entry.name);
    if (entry.is_directory) {
      Save(disk, path, to / entry.name);
      continue;
    }
    const auto bytes = ReadWholeFile(disk, path, entry.size);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    WriteRealFile(to / entry.name, *bytes);
  }
}

TEST(GoldenDirectoryMaker, WritesTheDirectoryThatThisVersionMakes) {
  GoldenHost host;
  MakeGoldenDirectory(&host);
  if (const char* out = std::getenv("VARVE_GOLDEN_OUT"); out != nullptr)
    Save(host.disk(), "data", fs::path(out) / "data");
  ASSERT_TRUE(host.Open().ok());
  const std::string expected = host.Describe();
  EXPECT_EQ(host.directory().groups().size(), 5u);
  if (const char* out = std::getenv("VARVE_GOLDEN_OUT"); out != nullptr)
    WriteRealFile(fs::path(out) / "expected.txt", expected);
}

class GoldenDirectory : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    kept = fs::path(VARVE_GOLDEN_DIRECTORY) / GetParam();
    Load(kept / "data", "data", host.disk());
    expected = ReadRealFile(kept / "expected.txt");
    ASSERT_FALSE(expected.empty());
  }
  fs::path kept;
  std::string expected;
  GoldenHost host;
};

TEST_P(GoldenDirectory, OpensAndHoldsWhatItHeld) {
  const absl::Status opened = host.Open();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(host.Describe(), expected);
  EXPECT_FALSE(host.directory().recovery().created);
  EXPECT_GT(host.directory().recovery().frames_replayed, 0u);
}

TEST_P(GoldenDirectory, OpensAgainAfterCrashAndClose) {
  for (const bool close : {false, true, false}) {
    const absl::Status opened = host.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(host.Describe(), expected);
    close ? host.Close() : host.PowerLoss();
  }
}

TEST_P(GoldenDirectory, GoesOnBeingWritten) {
  ASSERT_TRUE(host.Open().ok());
  std::string more;
  for (const GroupId group : host.directory().groups()) {
    if (host.log(group).end().last_index == Index{0}) continue;
    LogWrite write;
    write.entries.push_back(GoldenData(host.log(group), Codec::kLz4, 9));
    host.Write(group, std::move(write));
  }
  more = host.Describe();
  EXPECT_NE(more, expected);
  host.PowerLoss();
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(host.Describe(), more);
}

INSTANTIATE_TEST_SUITE_P(Formats, GoldenDirectory, ::testing::Values("v1", "v2"),
                         [](const auto& format) { return std::string(format.param); });

}  // namespace
}  // namespace varve::storage
