#include "tests/sim/raft/options.h"

#include "common/random.h"

namespace varve::raftsim {

std::string_view NameOf(Fault fault) {
  static constexpr std::string_view kNames[kFaults] = {
      "loss",       "duplicate", "reorder",   "crash",    "pause",      "wipe",
      "isolate",    "one-way",   "ring",      "clog",     "black-hole", "disk-stall",
      "disk-error", "slow-disk", "disk-full", "transfer", "membership", "trim"};
  return kNames[static_cast<size_t>(fault)];
}

SimOptions DrawOptions(uint64_t seed) {
  const auto random = SeededRandom(seed * 0x9e3779b97f4a7c15 + 17);
  SimOptions options;
  options.seed = seed;
  options.voters =
      random->OneIn(4) ? 5 : (random->OneIn(6) ? 1 + static_cast<uint32_t>(random->Below(2)) : 3);
  options.nodes = options.voters + static_cast<uint32_t>(random->Below(3));
  for (bool& on : options.on) on = random->OneIn(2);
  options.loss_percent = static_cast<uint32_t>(1 + random->Below(12));
  options.duplicate_percent = static_cast<uint32_t>(1 + random->Below(15));
  options.reorder_percent = static_cast<uint32_t>(1 + random->Below(30));
  options.delay = (1 + random->Below(8)) * kMillis;
  options.delay_spread = (1 + random->Below(60)) * kMillis;
  options.disk = (1 + random->Below(5)) * kMillis;
  options.disk_spread = (1 + random->Below(random->OneIn(3) ? 200 : 20)) * kMillis;
  options.between_faults = (60 + random->Below(700)) * kMillis;
  options.between_proposals = (5 + random->Below(80)) * kMillis;
  options.pre_vote = !random->OneIn(8);
  options.window_appends = 2 + static_cast<uint32_t>(random->Below(7));
  options.tight = random->OneIn(8);
  options.append_bytes = 3'000 + static_cast<uint32_t>(random->Below(8'000));
  return options;
}

}  // namespace varve::raftsim
