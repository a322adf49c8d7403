#include "tests/sim/cluster/options.h"

#include "common/random.h"

namespace varve::clustersim {
namespace {

template <class T>
T OneOf(Random& random, std::initializer_list<T> choices) {
  return choices.begin()[random.Below(choices.size())];
}

storage::DataDirectoryOptions DrawDirectory(Random& random) {
  storage::DataDirectoryOptions out;
  out.journal.file_bytes = OneOf<uint64_t>(random, {128 << 10, 512 << 10, 4 << 20});
  out.journal.max_live_files = OneOf<uint32_t>(random, {3, 4, 8});
  out.journal.seal_after = OneOf<Nanos>(random, {kMillisecond, 20 * kMillisecond});
  out.dirty_budget_bytes = OneOf<size_t>(random, {64 << 10, 256 << 10, 8 << 20});
  out.cache_bytes = OneOf<size_t>(random, {0, 32 << 10, 1 << 20});
  out.max_open_files = OneOf<uint32_t>(random, {8, 64});
  out.sync_interval = OneOf<Nanos>(random, {100 * kMillisecond, kSecond, 5 * kSecond});
  out.trash_delay = OneOf<Nanos>(random, {100 * kMillisecond, 10 * kSecond});
  out.stall_after = OneOf<Nanos>(random, {300 * kMillisecond, 3 * kSecond});
  out.reserve_bytes = 2 << 20;
  return out;
}

}  // namespace

ClusterOptions DrawOptions(uint64_t seed) {
  const auto random = SeededRandom(seed * 2 + 1);
  ClusterOptions out;
  out.seed = seed;
  out.brokers = OneOf<uint32_t>(*random, {3, 3, 4, 4, 5});
  out.topics = 1 + static_cast<uint32_t>(random->Below(3));
  out.partitions = 1 + static_cast<uint32_t>(random->Below(4));
  out.replicas = 3;
  out.segment_bytes = OneOf<uint64_t>(*random, {64 << 10, 128 << 10, 1 << 20});
  out.storm = OneOf<Nanos>(*random, {10 * kSecond, 20 * kSecond, 30 * kSecond});
  out.fault_gap = OneOf<Nanos>(*random, {300 * kMillisecond, kSecond, 3 * kSecond});
  // Each seed prefers some kinds and leaves others out, so that they meet in other mixtures.
  for (uint32_t& weight : out.weights) weight = OneOf<uint32_t>(*random, {0, 1, 1, 4});
  out.weights[static_cast<size_t>(FaultKind::kProcessCrash)] += 1;
  out.writers = 1 + static_cast<uint32_t>(random->Below(4));
  out.readers = 1 + static_cast<uint32_t>(random->Below(2));
  out.think = OneOf<Nanos>(*random, {20 * kMillisecond, 60 * kMillisecond});
  out.max_batch_records = OneOf<uint32_t>(*random, {1, 4, 16});
  out.max_value_bytes = OneOf<uint32_t>(*random, {20, 200, 2000});
  out.topic_change_one_in = OneOf<uint32_t>(*random, {0, 100, 400});
  out.trim_one_in = OneOf<uint32_t>(*random, {0, 0, 10, 60, 300});
  out.move_one_in = OneOf<uint32_t>(*random, {0, 8, 30, 100, 400});
  out.node.shards = 1 + static_cast<uint32_t>(random->Below(2));
  out.node.directory = DrawDirectory(*random);
  return out;
}

ClusterOptions SpeedOptions(uint64_t seed) {
  ClusterOptions out;
  out.seed = seed;
  out.topics = 2;
  out.partitions = 4;
  out.storm = 60 * kSecond;
  out.fault_gap = 0;
  out.writers = 4;
  out.readers = 1;
  out.think = 50 * kMillisecond;
  return out;
}

}  // namespace varve::clustersim
