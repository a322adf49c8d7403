// The variants of CRC-32C behind ExtendCrc32c, apart so that tests and benchmarks can compare them.
#ifndef VARVE_COMMON_CRC32C_VARIANTS_H_
#define VARVE_COMMON_CRC32C_VARIANTS_H_

#include <cstdint>
#include <string_view>

namespace varve::internal {

// Works everywhere: eight tables, eight bytes a step.
uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view bytes);
// Whether this CPU has CRC-32C instructions (SSE4.2 or ARMv8 CRC).
bool HasHardwareCrc32c();
// Three interleaved streams of CRC instructions; only when HasHardwareCrc32c().
uint32_t ExtendCrc32cHardware(uint32_t crc, std::string_view bytes);

}  // namespace varve::internal

#endif  // VARVE_COMMON_CRC32C_VARIANTS_H_
