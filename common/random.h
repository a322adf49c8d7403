// Random: the seam through which core code draws randomness.
#ifndef VARVE_COMMON_RANDOM_H_
#define VARVE_COMMON_RANDOM_H_

#include <cstdint>
#include <memory>

#include "common/check.h"

namespace varve {

// Not thread-safe: each shard and each simulated node has its own.
class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;
  // Uniform in [0, bound); bound > 0. The bias for bounds far below 2^64 is of no consequence here.
  uint64_t Below(uint64_t bound) {
    VARVE_CHECK(bound > 0);
    return Next() % bound;
  }
  // True once in `n` on average.
  bool OneIn(uint64_t n) { return Below(n) == 0; }
};

// xoshiro256** seeded through splitmix64 (public-domain algorithms of Blackman and Vigna): equal
// seeds give equal sequences on every platform and build.
std::unique_ptr<Random> SeededRandom(uint64_t seed);
// Seeded from the operating system; for identities and jitter, never for keys.
std::unique_ptr<Random> SystemRandom();

}  // namespace varve

#endif  // VARVE_COMMON_RANDOM_H_
