// What one simulated run is made of, all of it drawn from its seed.
#ifndef VARVE_TESTS_SIM_SIM_OPTIONS_H_
#define VARVE_TESTS_SIM_SIM_OPTIONS_H_

#include <cstdint>
#include <optional>

#include "common/clock.h"
#include "storage/data_directory.h"

namespace varve::sim {

// A defect planted between the broker and its disk, to show that the oracle
// finds it.
enum class Defect : uint8_t {
  kNone,
  kNoDataSync,        // SyncData answers OK and syncs nothing
  kNoDirectorySync,   // SyncDirectory answers OK and syncs nothing
  kMisdirectedWrite,  // now and then a write lands a block further on
};

// Every seed draws its own mixture, so that rare combinations come up: tiny and
// large batches, a journal that recycles all the time, a budget that is always
// full, caches that never hit.
struct SimOptions {
  uint64_t seed = 1;
  uint64_t operations = 2000;  // the run ends after so many
  uint32_t crashes = 3;        // spread over the run
  // The first life's disk dies after so many mutating operations, wherever that
  // falls: also while the directory is being created.
  std::optional<uint64_t> first_crash_after_writes;
  Defect defect = Defect::kNone;

  uint32_t writers = 3;      // clients of unary calls that write
  uint32_t sessions = 2;     // produce sessions
  uint32_t readers = 2;      // clients of Fetch and ListOffsets
  uint32_t subscribers = 2;  // subscribe sessions
  uint32_t max_topics = 4;
  uint32_t max_partitions = 3;
  uint32_t max_batch_records = 8;
  uint32_t max_value_bytes = 400;
  uint32_t large_one_in = 50;    // batches of about half a segment
  uint32_t bad_one_in = 20;      // requests that must be refused
  uint32_t delete_one_in = 200;  // of a writer's actions
  Nanos think = 2 * kMillisecond;
  Nanos post_delay = 20 * kMicrosecond;
  uint32_t power_loss_percent = 50;  // of the crashes; the others are process crashes
  uint32_t stop_percent = 10;        // of the restarts, in addition: clean ones
  uint32_t lost_folds_percent = 20;  // of the crashes: the folds are made from the log again
  uint32_t shards = 2;
  storage::DataDirectoryOptions directory;
};

SimOptions DrawOptions(uint64_t seed, uint64_t operations, uint32_t crashes);

}  // namespace varve::sim

#endif  // VARVE_TESTS_SIM_SIM_OPTIONS_H_
