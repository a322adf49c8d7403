// MurmurHash2 as Kafka's default partitioner uses it, so that a key lands on the same partition
// whoever produces it. Part of the client library.
#ifndef VARVE_COMMON_MURMUR2_H_
#define VARVE_COMMON_MURMUR2_H_

#include <cstdint>
#include <string_view>

namespace varve {

// The 32-bit hash with Kafka's seed. Not for anything an attacker may load: collisions are easy to
// make.
uint32_t Murmur2(std::string_view bytes);

// Partition of a keyed record: the hash without its sign bit, modulo `partitions` (> 0).
inline uint32_t PartitionForKey(std::string_view key, uint32_t partitions) {
  return (Murmur2(key) & 0x7fffffffu) % partitions;
}

}  // namespace varve

#endif  // VARVE_COMMON_MURMUR2_H_
