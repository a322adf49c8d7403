#include "tests/integration/support/numbered_records.h"

#include <cstring>

namespace varve::testing {
namespace {

constexpr size_t kHeadBytes = 16;
constexpr size_t kSmallestPattern = 16;
constexpr size_t kPatternSpread = 400;

// SplitMix64.
uint64_t Next(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

uint64_t Fnv1a(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace

std::string EncodeNumbered(const RecordNumber& number) {
  std::string value(kHeadBytes, '\0');
  std::memcpy(value.data(), &number.producer, 4);
  std::memcpy(value.data() + 4, &number.partition, 4);
  std::memcpy(value.data() + 8, &number.sequence, 8);
  uint64_t state = Fnv1a(value);
  const size_t size = kSmallestPattern + Next(state) % kPatternSpread;
  for (size_t i = 0; i < size; ++i) value.push_back(static_cast<char>('a' + Next(state) % 26));
  const uint64_t sum = Fnv1a(value);
  value.append(reinterpret_cast<const char*>(&sum), sizeof sum);
  return value;
}

std::optional<RecordNumber> DecodeNumbered(std::string_view value) {
  if (value.size() < kHeadBytes) return std::nullopt;
  RecordNumber number;
  std::memcpy(&number.producer, value.data(), 4);
  std::memcpy(&number.partition, value.data() + 4, 4);
  std::memcpy(&number.sequence, value.data() + 8, 8);
  if (EncodeNumbered(number) != value) return std::nullopt;
  return number;
}

}  // namespace varve::testing
