// DiskImage: a copy of a directory, taken while nobody writes, and put back later.
#ifndef VARVE_TESTS_SUPPORT_DISK_IMAGE_H_
#define VARVE_TESTS_SUPPORT_DISK_IMAGE_H_

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/file_system.h"

namespace varve {

// Everything below a path, as a copy of the disk would have it.
struct DiskImage {
  std::vector<std::string> directories;
  std::map<std::string, std::string> files;
};

inline void TakeImage(FileSystem& disk, const std::string& path, DiskImage* image) {
  image->directories.push_back(path);
  const auto listed = disk.List(path);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (const DirectoryEntry& entry : *listed) {
    const std::string below = JoinPath(path, entry.name);
    if (entry.is_directory) {
      ASSERT_NO_FATAL_FAILURE(TakeImage(disk, below, image));
      continue;
    }
    const auto bytes = ReadWholeFile(disk, below, entry.size);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    image->files[below] = *bytes;
  }
}

inline void ClearDirectory(FileSystem& disk, const std::string& path) {
  const auto listed = disk.List(path);
  ASSERT_TRUE(listed.ok()) << listed.status();
  for (const DirectoryEntry& entry : *listed) {
    const std::string below = JoinPath(path, entry.name);
    if (entry.is_directory) {
      ASSERT_NO_FATAL_FAILURE(ClearDirectory(disk, below));
      ASSERT_TRUE(disk.RemoveDirectory(below).ok());
    } else {
      ASSERT_TRUE(disk.RemoveFile(below).ok());
    }
  }
}

inline void RestoreImage(FileSystem& disk, const DiskImage& image) {
  ASSERT_NO_FATAL_FAILURE(ClearDirectory(disk, image.directories.front()));
  for (const std::string& path : image.directories)
    ASSERT_TRUE(disk.CreateDirectory(path).ok()) << path;
  for (const auto& [path, bytes] : image.files) {
    auto file = disk.Open(path, OpenMode::kCreate);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->WriteAt(0, bytes).ok());
    ASSERT_TRUE((*file)->SyncData().ok());
  }
  for (const std::string& path : image.directories) ASSERT_TRUE(disk.SyncDirectory(path).ok());
}

}  // namespace varve

#endif  // VARVE_TESTS_SUPPORT_DISK_IMAGE_H_
