// The generators behind SeededRandom: splitmix64 (Vigna) spreads a seed over the state of
// xoshiro256** (Blackman and Vigna). Both algorithms are in the public domain. Values, not
// thread-safe.
#ifndef VARVE_COMMON_XOSHIRO_H_
#define VARVE_COMMON_XOSHIRO_H_

#include <array>
#include <bit>
#include <cstdint>

namespace varve {

class SplitMix64 {
 public:
  explicit constexpr SplitMix64(uint64_t seed) : state_(seed) {}
  constexpr uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

class Xoshiro256 {
 public:
  using State = std::array<uint64_t, 4>;
  // At least one word of `state` must differ from zero.
  explicit constexpr Xoshiro256(const State& state) : s_(state) {}
  constexpr uint64_t Next() {
    const uint64_t result = std::rotl(s_[1] * 5, 7) * 9;
    const uint64_t t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = std::rotl(s_[3], 45);
    return result;
  }

 private:
  State s_;
};

}  // namespace varve

#endif  // VARVE_COMMON_XOSHIRO_H_
