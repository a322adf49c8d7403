// TestBroker: a real varved with a directory of its own, and what tests ask of it.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_TEST_BROKER_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_TEST_BROKER_H_

#include <memory>
#include <string>
#include <vector>

#include "client/demo/broker_process.h"
#include "tests/integration/support/temp_directory.h"

namespace varve::testing {

// Path of the varved that was built with the tests.
std::string VarvedPath();

// Not started by the constructor. The directory goes with the object.
class TestBroker {
 public:
  explicit TestBroker(std::vector<std::string> extra_flags = {});

  // Failures are GoogleTest failures; false then.
  bool Start();
  // SIGTERM, and the exit code must be 0.
  void StopCleanly();
  // The data directory gets another path; the broker must be down.
  void MoveDirectory(const std::string& name);

  demo::BrokerProcess& process() { return *process_; }
  [[nodiscard]] const std::string& address() const { return process_->grpc_address(); }
  [[nodiscard]] std::string data_directory() const { return directory_.File(data_name_); }
  [[nodiscard]] const TempDirectory& directory() const { return directory_; }
  // Of the HTTP door; empty when it does not answer with 200.
  [[nodiscard]] std::string HttpGet(const std::string& path) const;
  // Resident memory, from the kernel.
  [[nodiscard]] size_t ResidentBytes() const;
  [[nodiscard]] std::string Log() const;

 private:
  void MakeProcess();

  const std::vector<std::string> extra_flags_;
  TempDirectory directory_;
  std::string data_name_ = "data";
  std::unique_ptr<demo::BrokerProcess> process_;
};

// The seed of this run: VARVE_SEED, else drawn; told on standard output.
uint64_t TestSeed();
// Whether the long form of a test was asked for.
bool SlowTestsWanted();

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_TEST_BROKER_H_
