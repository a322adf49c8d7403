// What a command reports when it fails, and the exit code that goes with it.
//
// Every failure is a varve::Status: those of the library as they are, those of the command line
// made here. The reasons are those of docs/errors.md, and LOCAL_ERROR for files and the terminal of
// this machine.
#ifndef VARVE_CLIENT_CLI_CLI_ERROR_H_
#define VARVE_CLIENT_CLI_CLI_ERROR_H_

#include <string>
#include <string_view>

#include "varve/status.h"

namespace varve::cli {

// docs/cli.md, "Exit codes".
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitPartial = 8;
inline constexpr int kExitUnhealthy = 9;
inline constexpr int kExitInterrupted = 130;

// Wrong arguments or wrong input: exit 2.
Status UsageError(std::string what, std::string advice);
// A file or stream of this machine: exit 1. `what` is followed by the text of `error_number`.
Status LocalError(std::string what, int error_number, std::string advice);

// The exit code of the reason's row in the error table; 1 for a reason that has no row.
int ExitCodeOf(const Status& status);

// "error: what and why. What to do", one line, without a line end.
std::string ErrorText(const Status& status);
// The same as a JSON object: {"error":{"reason":...,"message":...,"advice":...,"retryable":...,
// "outcome":...,"details":{...}}}.
std::string ErrorJson(const Status& status);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_CLI_ERROR_H_
