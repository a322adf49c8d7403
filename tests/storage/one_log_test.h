// OneLogTest: a data directory on a simulated disk with one log, and the script that writes it.
#ifndef VARVE_TESTS_STORAGE_ONE_LOG_TEST_H_
#define VARVE_TESTS_STORAGE_ONE_LOG_TEST_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/file_system.h"
#include "storage/segment_names.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {

class OneLogTest : public ::testing::Test {
 protected:
  static constexpr GroupId kGroup{100};

  // The log leads in its first term.
  void SetUp() override {
    ASSERT_TRUE(host.Open().ok());
    ASSERT_TRUE(host.Create(kGroup).ok());
    script.Begin();
    script.NewTerm();
    Settle();
  }
  void Settle() {
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return script.Settled(); }, 10 * kSecond));
  }
  void Reopen() {
    const absl::Status opened = host.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    script.Check();
  }
  PartitionLog& log() { return host.log(kGroup); }
  // Paths of the log's files whose names end so.
  std::vector<std::string> GroupFiles(std::string_view extension) {
    const std::string directory = JoinPath("data/groups", GroupDirectoryName(kGroup));
    std::vector<std::string> out;
    const auto listed = host.disk.List(directory);
    if (!listed.ok()) return out;
    for (const DirectoryEntry& entry : *listed)
      if (entry.name.ends_with(extension)) out.push_back(JoinPath(directory, entry.name));
    return out;
  }

  DirectoryHost host{7};
  LogScript script{&host, kGroup};
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_ONE_LOG_TEST_H_
