// Stores of each kind, to be opened again after a crash.
#ifndef VARVE_TESTS_STORAGE_STATE_STORE_HOSTS_H_
#define VARVE_TESTS_STORAGE_STATE_STORE_HOSTS_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "storage/state_store.h"

namespace varve::storage {

// A store and what survives it.
class Host {
 public:
  virtual ~Host() = default;
  virtual absl::StatusOr<std::unique_ptr<StateStore>> Open() = 0;
};

class MemoryHost final : public Host {
 public:
  absl::StatusOr<std::unique_ptr<StateStore>> Open() override {
    return OpenMemoryStateStore(disk_);
  }

 private:
  std::shared_ptr<MemoryStateDisk> disk_ = NewMemoryStateDisk();
};

inline std::string FreshDirectory() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string("state_store_") + test->test_suite_name() + "_" + test->name();
  for (char& c : name)
    if (c == '/') c = '_';
  const std::string path = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(testing::TempDir());
  return path;
}

class RocksDbHost final : public Host {
 public:
  RocksDbHost() : path_(FreshDirectory()) {}
  ~RocksDbHost() override { std::filesystem::remove_all(path_); }
  absl::StatusOr<std::unique_ptr<StateStore>> Open() override {
    return OpenRocksDbStateStore(path_);
  }

 private:
  const std::string path_;
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_STATE_STORE_HOSTS_H_
