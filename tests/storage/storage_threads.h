// StorageThreads: real threads for a data directory, in tests that are not simulated.
#ifndef VARVE_TESTS_STORAGE_STORAGE_THREADS_H_
#define VARVE_TESTS_STORAGE_STORAGE_THREADS_H_

#include <memory>

#include "common/executor.h"
#include "storage/data_directory.h"

namespace varve::storage {

class StorageThreads {
 public:
  StorageExecutors executors() {
    return {journal_.get(), segments_.get(), sync_.get(), reader_.get()};
  }

 private:
  std::unique_ptr<Executor> journal_ = ThreadExecutor("journal");
  std::unique_ptr<Executor> segments_ = ThreadExecutor("segments");
  std::unique_ptr<Executor> sync_ = ThreadExecutor("sync");
  std::unique_ptr<Executor> reader_ = ThreadExecutor("reader");
};

}  // namespace varve::storage

#endif  // VARVE_TESTS_STORAGE_STORAGE_THREADS_H_
