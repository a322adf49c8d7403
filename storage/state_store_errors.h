// Errors that every StateStore reports alike: calls that the fold's present state does not allow.
#ifndef VARVE_STORAGE_STATE_STORE_ERRORS_H_
#define VARVE_STORAGE_STATE_STORE_ERRORS_H_

#include "absl/status/status.h"
#include "storage/state_store.h"

namespace varve::storage {

// FailedPrecondition: the fold was dropped or rebuilt since the caller learned the generation.
absl::Status StaleGeneration(GroupId group, uint64_t generation);
// FailedPrecondition: the batch would apply entries a second time.
absl::Status PositionWentBack(GroupId group, FoldPosition from, FoldPosition to);

}  // namespace varve::storage

#endif  // VARVE_STORAGE_STATE_STORE_ERRORS_H_
