#include "common/crc32c.h"

#include <gtest/gtest.h>

#include <random>

#include "common/crc32c_variants.h"

namespace varve {
namespace {

struct Variant {
  const char* name;
  uint32_t (*extend)(uint32_t, std::string_view);
  bool hardware;
};

class Crc32cVariant : public ::testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    if (GetParam().hardware && !internal::HasHardwareCrc32c()) {
      GTEST_SKIP() << "this CPU has no CRC-32C instructions";
    }
  }
  static uint32_t Crc(std::string_view bytes) { return GetParam().extend(0, bytes); }
};

std::string Ascending() {
  std::string out;
  for (char i = 0; i < 32; ++i) out.push_back(i);
  return out;
}

// RFC 3720, appendix B.4, and the usual check value.
TEST_P(Crc32cVariant, MatchesPublishedVectors) {
  const std::string ascending = Ascending();
  EXPECT_EQ(Crc(""), 0u);
  EXPECT_EQ(Crc("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc(ascending), 0x46dd794eu);
  EXPECT_EQ(Crc(std::string(ascending.rbegin(), ascending.rend())), 0x113fdb5cu);
  const std::string read_command(
      "\x01\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x14\0\0\0\0\0\x04\0\0\0\0\x14\0\0\0\x18\x28\0\0\0\0\0\0"
      "\0"
      "\x02\0\0\0\0\0\0\0",
      48);
  EXPECT_EQ(Crc(read_command), 0xd9963a56u);
}

uint32_t BitByBit(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

// Lengths around every block size of the variants, at every alignment.
TEST_P(Crc32cVariant, AgreesWithTheDefinitionAtEveryLength) {
  std::mt19937 random(7);
  std::string bytes(40'000, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  const std::string_view all = bytes;
  for (const size_t length : {0, 1, 7, 8, 9, 63, 255, 767, 768, 769, 1535, 1536, 4096, 12'287,
                              12'288, 12'289, 13'056, 24'576, 39'000}) {
    for (const size_t at : {0, 1, 3, 8}) {
      const std::string_view part = all.substr(at, length);
      ASSERT_EQ(Crc(part), BitByBit(part)) << length << " bytes at " << at;
    }
  }
}

TEST_P(Crc32cVariant, ExtendsOverAnySplit) {
  const std::string bytes(5000, 'x');
  const std::string_view all = bytes;
  for (size_t split = 0; split <= all.size(); split += 97) {
    ASSERT_EQ(GetParam().extend(Crc(all.substr(0, split)), all.substr(split)), Crc(all)) << split;
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, Crc32cVariant,
                         ::testing::Values(Variant{"table", internal::ExtendCrc32cTable, false},
                                           Variant{"hardware", internal::ExtendCrc32cHardware,
                                                   true},
                                           Variant{"chosen", ExtendCrc32c, false}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace varve
