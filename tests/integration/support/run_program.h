// RunProgram: runs a program to its end and collects what it says.
#ifndef VARVE_TESTS_INTEGRATION_SUPPORT_RUN_PROGRAM_H_
#define VARVE_TESTS_INTEGRATION_SUPPORT_RUN_PROGRAM_H_

#include <chrono>
#include <ostream>
#include <string>
#include <vector>

namespace varve::testing {

struct RunOptions {
  std::string input;                     // standard input
  bool as_nobody = false;                // gives up root first; without effect for other users
  std::vector<std::string> environment;  // "NAME=value", in addition
  std::chrono::milliseconds timeout{30'000};
};

struct RunResult {
  int exit_code = -1;  // 128 + signal when killed, -1 when it did not end in time
  std::string out, err;
};
std::ostream& operator<<(std::ostream& out, const RunResult& result);

// arguments[0] is the path of the program. A program that runs longer than the timeout is killed.
RunResult RunProgram(const std::vector<std::string>& arguments, const RunOptions& options = {});

}  // namespace varve::testing

#endif  // VARVE_TESTS_INTEGRATION_SUPPORT_RUN_PROGRAM_H_
