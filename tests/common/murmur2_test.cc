#include "common/murmur2.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

// The vectors of Kafka's own public tests.
TEST(Murmur2, MatchesKafkasVectors) {
  const std::pair<std::string_view, int32_t> vectors[] = {
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  for (const auto& [key, hash] : vectors) {
    EXPECT_EQ(static_cast<int32_t>(Murmur2(key)), hash) << key;
  }
}

TEST(Murmur2, PartitionDropsTheSignBit) {
  EXPECT_EQ(PartitionForKey("abc", 10), 479470107u % 10);
  EXPECT_EQ(PartitionForKey("21", 7), (static_cast<uint32_t>(-973932308) & 0x7fffffffu) % 7);
  EXPECT_EQ(PartitionForKey("anything", 1), 0u);
}

TEST(Murmur2, ReadsBytesAsUnsigned) {
  EXPECT_NE(Murmur2("\x80"), Murmur2(std::string_view("\0", 1)));
  EXPECT_NE(Murmur2("ab\xff"), Murmur2("ab\x7f"));
}

}  // namespace
}  // namespace varve
