// The framing that snappy-java puts around snappy blocks, and Kafka's Java clients with it.
#ifndef VARVE_COMMON_COMPRESSION_XERIAL_H_
#define VARVE_COMMON_COMPRESSION_XERIAL_H_

#include <cstddef>
#include <string_view>

namespace varve {

// Magic, then version 1 and least compatible version 1, both big-endian. A raw block cannot begin
// so: it would claim a length of 10,626 and continue with a copy from before its begin.
inline constexpr std::string_view kXerialMagic{"\x82SNAPPY\0", 8};
inline constexpr std::string_view kXerialHeader{"\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16};
// What one block holds before compression; each is preceded by its compressed length (4 bytes).
inline constexpr size_t kXerialBlockBytes = 32 * 1024;

}  // namespace varve

#endif  // VARVE_COMMON_COMPRESSION_XERIAL_H_
