// The file systems that the conformance suite asks, each with an empty directory of its own.
#ifndef VARVE_TESTS_COMMON_FILE_SYSTEM_HOSTS_H_
#define VARVE_TESTS_COMMON_FILE_SYSTEM_HOSTS_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/file_system.h"
#include "common/sim/faulty_file_system.h"
#include "common/sim/sim_file_system.h"
#include "storage/overlay_file_system.h"

namespace varve {

class FileSystemHost {
 public:
  virtual ~FileSystemHost() = default;
  virtual FileSystem& files() = 0;
  virtual std::string root() = 0;
};

class RealHost final : public FileSystemHost {
 public:
  RealHost() {
    root_ = testing::TempDir() + "varve_files_XXXXXX";
    if (mkdtemp(root_.data()) == nullptr) ADD_FAILURE() << "no temporary directory at " << root_;
  }
  ~RealHost() override { std::filesystem::remove_all(root_); }
  FileSystem& files() override { return RealFileSystem(); }
  std::string root() override { return root_; }

 private:
  std::string root_;
};

class SimHost final : public FileSystemHost {
 public:
  SimHost() { EXPECT_TRUE(files_.CreateDirectory("root").ok()); }
  FileSystem& files() override { return files_; }
  std::string root() override { return "root"; }
  SimFileSystem& disk() { return files_; }

 private:
  SimFileSystem files_;
};

// `Below` with nothing wrong, or with what a test adds.
template <class Below>
class FaultyHost final : public FileSystemHost {
 public:
  FileSystem& files() override { return files_; }
  std::string root() override { return below_.root(); }
  Below& below() { return below_; }
  FaultyFileSystem& faulty() { return files_; }

 private:
  Below below_;
  FaultyFileSystem files_{below_.files()};
};

// What is written stays in memory, over a directory `Below` that is empty.
template <class Below>
class OverlayHost final : public FileSystemHost {
 public:
  FileSystem& files() override { return files_; }
  std::string root() override { return below_.root(); }

 private:
  Below below_;
  storage::OverlayFileSystem files_{below_.files()};
};

}  // namespace varve

#endif  // VARVE_TESTS_COMMON_FILE_SYSTEM_HOSTS_H_
