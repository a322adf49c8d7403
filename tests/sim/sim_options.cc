#include "tests/sim/sim_options.h"

#include "common/random.h"

namespace varve::sim {
namespace {

template <class T>
T OneOf(Random& random, std::initializer_list<T> choices) {
  return choices.begin()[random.Below(choices.size())];
}

storage::DataDirectoryOptions DrawDirectory(Random& random) {
  storage::DataDirectoryOptions out;
  out.path = "data";
  out.node = NodeId{1};
  out.journal.file_bytes = OneOf<uint64_t>(random, {64 << 10, 128 << 10, 512 << 10});
  out.journal.max_live_files = OneOf<uint32_t>(random, {3, 4, 8});
  out.journal.seal_after = OneOf<Nanos>(random, {kMillisecond, 20 * kMillisecond});
  out.dirty_budget_bytes = OneOf<size_t>(random, {32 << 10, 128 << 10, 1 << 20});
  out.cache_bytes = OneOf<size_t>(random, {0, 8 << 10, 256 << 10});
  out.max_open_files = OneOf<uint32_t>(random, {2, 8, 64});
  out.sync_interval = OneOf<Nanos>(random, {20 * kMillisecond, 300 * kMillisecond, 5 * kSecond});
  out.trash_delay = OneOf<Nanos>(random, {100 * kMillisecond, 10 * kSecond});
  return out;
}

}  // namespace

SimOptions DrawOptions(uint64_t seed, uint64_t operations, uint32_t crashes) {
  const auto random = SeededRandom(seed * 2 + 1);
  SimOptions out;
  out.seed = seed;
  out.operations = operations;
  out.crashes = crashes;
  out.writers = 1 + static_cast<uint32_t>(random->Below(4));
  out.sessions = 1 + static_cast<uint32_t>(random->Below(3));
  out.readers = 1 + static_cast<uint32_t>(random->Below(3));
  out.subscribers = 1 + static_cast<uint32_t>(random->Below(3));
  out.max_topics = 2 + static_cast<uint32_t>(random->Below(5));
  out.max_partitions = 1 + static_cast<uint32_t>(random->Below(4));
  out.max_batch_records = OneOf<uint32_t>(*random, {1, 8, 40});
  out.max_value_bytes = OneOf<uint32_t>(*random, {20, 400, 1500});
  out.large_one_in = OneOf<uint32_t>(*random, {20, 100, 1000});
  out.bad_one_in = OneOf<uint32_t>(*random, {5, 20, 100});
  out.delete_one_in = OneOf<uint32_t>(*random, {40, 200, 2000});
  out.think = OneOf<Nanos>(*random, {200 * kMicrosecond, 2 * kMillisecond, 20 * kMillisecond});
  out.post_delay = OneOf<Nanos>(*random, {kMicrosecond, 20 * kMicrosecond, kMillisecond});
  out.power_loss_percent = OneOf<uint32_t>(*random, {20, 50, 90});
  out.stop_percent = OneOf<uint32_t>(*random, {0, 10, 30});
  out.directory = DrawDirectory(*random);
  out.lost_folds_percent = OneOf<uint32_t>(*random, {0, 20, 50});
  out.shards = 1 + static_cast<uint32_t>(random->Below(3));
  return out;
}

}  // namespace varve::sim
