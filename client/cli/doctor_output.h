// How conditions are printed, and the exit code that they give.
#ifndef VARVE_CLIENT_CLI_DOCTOR_OUTPUT_H_
#define VARVE_CLIENT_CLI_DOCTOR_OUTPUT_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "varve/admin.h"

namespace varve::cli {

// What a condition is about: "orders/0", "metadata", "node 2", or both.
std::string SubjectText(const Condition& condition);
// kExitUnhealthy when there is any condition, else 0.
int DoctorExitCode(const ClusterStatus& cluster);
// At most `shown` conditions in the table; JSON has all.
std::string RenderDoctor(const ClusterStatus& cluster, size_t shown, OutputFormat format,
                         bool colour);

}  // namespace varve::cli

#endif  // VARVE_CLIENT_CLI_DOCTOR_OUTPUT_H_
