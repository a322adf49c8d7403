// The errors of file systems: one mapping from errno for the real and the simulated ones.
#ifndef VARVE_COMMON_FILE_ERROR_H_
#define VARVE_COMMON_FILE_ERROR_H_

#include <string_view>

#include "absl/status/status.h"

namespace varve {

// `open "data/x": No such file or directory (errno 2)`, with the reason or code that
// common/file_system.h promises for `error`, an errno. Thread-safe.
absl::Status FileError(std::string_view call, std::string_view path, int error);

}  // namespace varve

#endif  // VARVE_COMMON_FILE_ERROR_H_
