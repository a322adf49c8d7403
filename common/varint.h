// Zigzag varints of the record batch: base 128, least significant group first, at most 5 bytes for
// 32 bits and 10 for 64. Small numbers of either sign are short.
#ifndef VARVE_COMMON_VARINT_H_
#define VARVE_COMMON_VARINT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace varve {

template <class Int>
inline constexpr size_t kMaxVarintBytes = (sizeof(Int) * 8 + 6) / 7;

template <class Int>
constexpr std::make_unsigned_t<Int> ZigZag(Int v) {
  using U = std::make_unsigned_t<Int>;
  return static_cast<U>(static_cast<U>(v) << 1) ^ static_cast<U>(v >> (sizeof(Int) * 8 - 1));
}
template <class U>
constexpr std::make_signed_t<U> UnZigZag(U v) {
  return static_cast<std::make_signed_t<U>>((v >> 1) ^ (U{0} - (v & 1)));
}

// Bytes that v takes.
template <class Int>
constexpr size_t VarintBytes(Int v) {
  return (static_cast<size_t>(std::bit_width(ZigZag(v) | 1u)) + 6) / 7;
}

// Writes v and returns the position behind it; room for VarintBytes(v) is the caller's duty.
template <class Int>
char* EncodeVarint(char* at, Int v) {
  auto rest = ZigZag(v);
  for (; rest >= 0x80; rest >>= 7) *at++ = static_cast<char>(rest | 0x80);
  *at++ = static_cast<char>(rest);
  return at;
}

template <class Int>
void AppendVarint(std::string* out, Int v) {
  char bytes[kMaxVarintBytes<Int>];
  out->append(bytes, static_cast<size_t>(EncodeVarint(bytes, v) - bytes));
}

// Bytes read; 0 when `bytes` ends too early or holds more than Int can take. Encodings longer than
// needed but within the maximum are read, as Kafka's clients do.
template <class Int>
size_t DecodeVarint(std::string_view bytes, Int* out) {
  using U = std::make_unsigned_t<Int>;
  constexpr size_t kMax = kMaxVarintBytes<Int>;
  constexpr uint8_t kLastByteLimit = 1u << (sizeof(Int) * 8 - 7 * (kMax - 1));
  U value = 0;
  const size_t end = bytes.size() < kMax ? bytes.size() : kMax;
  for (size_t i = 0; i < end; ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i == kMax - 1 && byte >= kLastByteLimit) return 0;
    value |= static_cast<U>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *out = UnZigZag(value);
      return i + 1;
    }
  }
  return 0;
}

}  // namespace varve

#endif  // VARVE_COMMON_VARINT_H_
