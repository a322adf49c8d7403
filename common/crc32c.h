// CRC-32C (Castagnoli), RFC 3720 appendix B.4. SSE4.2 or ARMv8 where the CPU has it, else a table.
#ifndef VARVE_COMMON_CRC32C_H_
#define VARVE_COMMON_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace varve {

// The CRC of what `crc` covers followed by `bytes`; start with 0. Pure and thread-safe:
// ExtendCrc32c(Crc32c(a), b) == Crc32c(a + b).
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);
inline uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace varve

#endif  // VARVE_COMMON_CRC32C_H_
