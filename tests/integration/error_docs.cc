// Prints docs/errors.md from the error table. With a path as argument: compares instead, and says
// how to write the file anew when it differs.
#include <fstream>
#include <iostream>
#include <sstream>

#include "common/error.h"

namespace varve {
namespace {

constexpr std::string_view kHead =
    R"(# Errors

Generated from `common/error_table.inc` by `error_docs`; do not edit.

Every failure carries a **reason** of this table: in gRPC as `google.rpc.ErrorInfo` (`reason`, domain `varve`)
in the details of the status, in the client library as `Status::reason()`, in the broker's metrics as the label
`reason`. Numbers and names never change.

- **Outcome** says whether the request took effect: `NOT_APPLIED`, `APPLIED` or `UNKNOWN`. An error without an
  outcome means `UNKNOWN`. After `UNKNOWN`, a retry may do the same thing twice.
- **Phase** says when it was refused: `ADMISSION`, before anything was proposed to the log, or `PROPOSED`, when the
  log may hold it.
- **Retry**: whether the same request may succeed later.
- **Exit** is the exit code of `varve` and `varved`, **Kafka** the code of the Kafka listener.

| number | reason | phase | outcome | retry | gRPC | Kafka | exit |
|---|---|---|---|---|---|---|---|
)";

std::string NameOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::NOT_APPLIED:
      return "NOT_APPLIED";
    case Outcome::APPLIED:
      return "APPLIED";
    case Outcome::UNKNOWN:
      return "UNKNOWN";
  }
  return "?";
}

std::string ErrorDocs() {
  std::ostringstream out;
  out << kHead;
  for (const ErrorInfo& row : AllErrors())
    out << "| " << static_cast<int>(row.reason) << " | `" << row.name << "` | "
        << (row.phase == ErrorPhase::ADMISSION ? "ADMISSION" : "PROPOSED") << " | "
        << NameOf(row.outcome) << " | " << (row.retryable ? "yes" : "no") << " | "
        << absl::StatusCodeToString(row.code) << " | " << row.kafka_code << " | " << row.exit_code
        << " |\n";
  out << "\n## What to do\n\n| reason | advice |\n|---|---|\n";
  for (const ErrorInfo& row : AllErrors())
    out << "| `" << row.name << "` | " << row.advice << " |\n";
  return out.str();
}

int Compare(const std::string& path) {
  std::ifstream in(path);
  std::stringstream there;
  there << in.rdbuf();
  if (there.str() == ErrorDocs()) return 0;
  std::cout << "FAIL: error_docs_test: " << path
            << " is not what the error table says; write it with: error_docs > docs/errors.md\n";
  return 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  if (argc == 2) return varve::Compare(argv[1]);
  std::cout << varve::ErrorDocs();
  return 0;
}
