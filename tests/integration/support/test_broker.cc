#include "tests/integration/support/test_broker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/integration/support/http_get.h"

namespace varve::testing {

std::string VarvedPath() { return VARVE_VARVED_PATH; }

TestBroker::TestBroker(std::vector<std::string> extra_flags)
    : extra_flags_(std::move(extra_flags)) {
  MakeProcess();
}

void TestBroker::MakeProcess() {
  process_ = std::make_unique<demo::BrokerProcess>(
      demo::BrokerProcessOptions{.program = VarvedPath(),
                                 .data_directory = data_directory(),
                                 .log_file = directory_.File("varved.log"),
                                 .extra_flags = extra_flags_});
}

bool TestBroker::Start() {
  const std::string wrong = process_->Start();
  EXPECT_EQ(wrong, "");
  return wrong.empty();
}

void TestBroker::StopCleanly() { EXPECT_EQ(process_->Terminate(), 0) << Log(); }

void TestBroker::MoveDirectory(const std::string& name) {
  const std::string before = data_directory();
  data_name_ = name;
  std::filesystem::rename(before, data_directory());
  MakeProcess();
}

std::string TestBroker::HttpGet(const std::string& path) const {
  return testing::HttpGet(process_->http_address(), path);
}

size_t TestBroker::ResidentBytes() const {
  std::ifstream in("/proc/" + std::to_string(process_->pid()) + "/statm");
  size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::string TestBroker::Log() const {
  std::ifstream in(directory_.File("varved.log"));
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

uint64_t TestSeed() {
  static const uint64_t seed = [] {
    const char* given = std::getenv("VARVE_SEED");
    const uint64_t value =
        given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
    std::cout << "VARVE_SEED=" << value << "\n";
    return value;
  }();
  return seed;
}

bool SlowTestsWanted() {
  const char* wanted = std::getenv("VARVE_SLOW");
  return wanted != nullptr && std::string_view(wanted) == "1";
}

}  // namespace varve::testing
