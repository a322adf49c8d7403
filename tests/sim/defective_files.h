// Defects planted between the broker and its disk.
#ifndef VARVE_TESTS_SIM_DEFECTIVE_FILES_H_
#define VARVE_TESTS_SIM_DEFECTIVE_FILES_H_

#include <memory>

#include "common/sim/faulty_file_system.h"
#include "tests/sim/sim_options.h"

namespace varve::sim {

// `disk` with the defect, or as it is. `disk` must outlive the result.
std::unique_ptr<FaultyFileSystem> PlantDefect(FileSystem& disk, Defect defect, uint64_t seed);

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_DEFECTIVE_FILES_H_
