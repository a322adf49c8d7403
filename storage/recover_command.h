// varved recover: what may be lost, and the decision to go on without it.
#ifndef VARVE_STORAGE_RECOVER_COMMAND_H_
#define VARVE_STORAGE_RECOVER_COMMAND_H_

#include <iosfwd>
#include <span>
#include <string>

#include "common/file_system.h"

namespace varve::storage {

// `arguments` without "recover". Prints what may be lost before anything is changed; changes
// nothing without --accept-loss. Returns the exit code (docs/recovery.md).
int RunRecover(FileSystem& files, std::span<const std::string> arguments, std::ostream& out,
               std::ostream& err);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_RECOVER_COMMAND_H_
