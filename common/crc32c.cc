#include "common/crc32c.h"

#include <array>
#include <cstddef>

#include "common/bytes.h"
#include "common/check.h"
#include "common/crc32c_variants.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#define VARVE_CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#define VARVE_CRC_TARGET __attribute__((target("+crc")))
#endif

namespace varve {
namespace internal {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed

using Table = std::array<uint32_t, 256>;

// tables[k][b]: the effect of byte b followed by k zero bytes.
constexpr std::array<Table, 8> MakeByteTables() {
  std::array<Table, 8> tables{};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][b] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (uint32_t b = 0; b < 256; ++b) {
      const uint32_t crc = tables[k - 1][b];
      tables[k][b] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}
constexpr std::array<Table, 8> kByteTables = MakeByteTables();

}  // namespace

uint32_t ExtendCrc32cTable(uint32_t crc, std::string_view bytes) {
  uint32_t state = ~crc;
  const char* at = bytes.data();
  size_t rest = bytes.size();
  for (; rest >= 8; rest -= 8, at += 8) {
    const uint32_t low = state ^ LoadLittle<uint32_t>(at);
    const uint32_t high = LoadLittle<uint32_t>(at + 4);
    state = kByteTables[7][low & 0xff] ^ kByteTables[6][(low >> 8) & 0xff] ^
            kByteTables[5][(low >> 16) & 0xff] ^ kByteTables[4][low >> 24] ^
            kByteTables[3][high & 0xff] ^ kByteTables[2][(high >> 8) & 0xff] ^
            kByteTables[1][(high >> 16) & 0xff] ^ kByteTables[0][high >> 24];
  }
  for (; rest > 0; --rest, ++at) {
    state = (state >> 8) ^ kByteTables[0][(state ^ static_cast<uint8_t>(*at)) & 0xff];
  }
  return ~state;
}

#ifdef VARVE_CRC_TARGET
namespace {

// Appending n zero bytes is a linear map of the CRC state; column i is the image of bit i.
using BitMatrix = std::array<uint32_t, 32>;

constexpr uint32_t Apply(const BitMatrix& matrix, uint32_t state) {
  uint32_t out = 0;
  for (size_t i = 0; state != 0; ++i, state >>= 1) {
    if (state & 1) out ^= matrix[i];
  }
  return out;
}

// ShiftTable(n): appends n zero bytes (n a power of two) with four look-ups.
using ShiftTable = std::array<Table, 4>;
constexpr ShiftTable MakeShiftTable(size_t zero_bytes) {
  BitMatrix matrix{};
  for (uint32_t i = 0; i < 32; ++i) {
    const uint32_t state = 1u << i;
    matrix[i] = (state >> 8) ^ kByteTables[0][state & 0xff];
  }
  for (; zero_bytes > 1; zero_bytes /= 2) {
    BitMatrix squared{};
    for (size_t i = 0; i < 32; ++i) squared[i] = Apply(matrix, matrix[i]);
    matrix = squared;
  }
  ShiftTable out{};
  for (uint32_t k = 0; k < 4; ++k) {
    for (uint32_t b = 0; b < 256; ++b) out[k][b] = Apply(matrix, b << (8 * k));
  }
  return out;
}

// The CRC instruction takes three cycles but starts one each cycle, so three streams run at once;
// the two sizes keep the cost of joining them small for both bulk and medium inputs.
constexpr size_t kLongStream = 4096;
constexpr size_t kShortStream = 256;
constexpr ShiftTable kLongShift = MakeShiftTable(kLongStream);
constexpr ShiftTable kShortShift = MakeShiftTable(kShortStream);

inline uint32_t Shift(const ShiftTable& table, uint32_t state) {
  return table[0][state & 0xff] ^ table[1][(state >> 8) & 0xff] ^ table[2][(state >> 16) & 0xff] ^
         table[3][state >> 24];
}

#if defined(__x86_64__)
VARVE_CRC_TARGET inline uint64_t Step8(uint64_t state, const char* at) {
  return _mm_crc32_u64(state, LoadLittle<uint64_t>(at));
}
VARVE_CRC_TARGET inline uint64_t Step1(uint64_t state, const char* at) {
  return _mm_crc32_u8(static_cast<uint32_t>(state), static_cast<uint8_t>(*at));
}
#else
VARVE_CRC_TARGET inline uint64_t Step8(uint64_t state, const char* at) {
  return __crc32cd(static_cast<uint32_t>(state), LoadLittle<uint64_t>(at));
}
VARVE_CRC_TARGET inline uint64_t Step1(uint64_t state, const char* at) {
  return __crc32cb(static_cast<uint32_t>(state), static_cast<uint8_t>(*at));
}
#endif

// Consumes three streams of `stream` bytes each.
VARVE_CRC_TARGET inline uint64_t StepThree(uint64_t state, const char* at, size_t stream,
                                           const ShiftTable& shift) {
  uint64_t second = 0;
  uint64_t third = 0;
  for (size_t i = 0; i < stream; i += 8) {
    state = Step8(state, at + i);
    second = Step8(second, at + stream + i);
    third = Step8(third, at + 2 * stream + i);
  }
  state = Shift(shift, static_cast<uint32_t>(state)) ^ second;
  return Shift(shift, static_cast<uint32_t>(state)) ^ third;
}

}  // namespace

bool HasHardwareCrc32c() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("sse4.2") != 0;
#else
  return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}

VARVE_CRC_TARGET uint32_t ExtendCrc32cHardware(uint32_t crc, std::string_view bytes) {
  uint64_t state = static_cast<uint32_t>(~crc);
  const char* at = bytes.data();
  size_t rest = bytes.size();
  for (; rest >= 3 * kLongStream; rest -= 3 * kLongStream, at += 3 * kLongStream) {
    state = StepThree(state, at, kLongStream, kLongShift);
  }
  for (; rest >= 3 * kShortStream; rest -= 3 * kShortStream, at += 3 * kShortStream) {
    state = StepThree(state, at, kShortStream, kShortShift);
  }
  for (; rest >= 8; rest -= 8, at += 8) state = Step8(state, at);
  for (; rest > 0; --rest, ++at) state = Step1(state, at);
  return ~static_cast<uint32_t>(state);
}

#else

bool HasHardwareCrc32c() { return false; }
uint32_t ExtendCrc32cHardware(uint32_t crc, std::string_view bytes) {
  VARVE_CHECK(false, "this build has no CRC-32C instructions");
}

#endif
}  // namespace internal

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
  static const bool hardware = internal::HasHardwareCrc32c();
  return hardware ? internal::ExtendCrc32cHardware(crc, bytes)
                  : internal::ExtendCrc32cTable(crc, bytes);
}

}  // namespace varve
