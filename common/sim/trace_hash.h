// The hash that shows whether two simulated runs did the same. Equal on every platform and build;
// not for tables and not against an adversary.
#ifndef VARVE_COMMON_SIM_TRACE_HASH_H_
#define VARVE_COMMON_SIM_TRACE_HASH_H_

#include <cstdint>
#include <string_view>

#include "common/crc32c.h"

namespace varve {

// `hash` extended by `value`; the order matters.
constexpr uint64_t MixHash(uint64_t hash, uint64_t value) {
  uint64_t z = (hash ^ value) + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93;
  return z ^ (z >> 29);
}

inline uint64_t HashText(std::string_view text) { return MixHash(Crc32c(text), text.size()); }

}  // namespace varve

#endif  // VARVE_COMMON_SIM_TRACE_HASH_H_
