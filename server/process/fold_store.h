// The store of the folds of a data directory, made anew when it cannot be used.
#ifndef VARVE_SERVER_PROCESS_FOLD_STORE_H_
#define VARVE_SERVER_PROCESS_FOLD_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "storage/state_store.h"

namespace varve::server {

// RocksDB in DATA_DIR/fold. It is a derived cache: one that does not open is removed and an empty
// one begun, which the logs then fill. The caller holds the directory's lock. Blocks.
absl::StatusOr<std::unique_ptr<storage::StateStore>> OpenFoldStore(FileSystem& files,
                                                                   const std::string& data_dir);

}  // namespace varve::server

#endif  // VARVE_SERVER_PROCESS_FOLD_STORE_H_
