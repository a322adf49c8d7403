#include <gtest/gtest.h>

#include "storage/index_row.h"
#include "storage/segment_names.h"

namespace varve::storage {
namespace {

constexpr FileNumber kFile{7};
constexpr IndexRow kRow{Index{5}, Offset{100}, 70'000, WallTime{12}, WallTime{-1}};

TEST(IndexRow, ReadsWhatItWrote) {
  std::string bytes;
  EncodeIndexRow(kRow, kFile, &bytes);
  ASSERT_EQ(bytes.size(), kIndexRowBytes);
  EXPECT_EQ(DecodeIndexRow(bytes, kFile), kRow);
}

// Rows of a file that had the same name before say nothing about this one.
TEST(IndexRow, OfAnotherFileIsRefused) {
  std::string bytes;
  EncodeIndexRow(kRow, kFile, &bytes);
  EXPECT_EQ(DecodeIndexRow(bytes, kFile + 1), std::nullopt);
}

TEST(IndexRow, EveryFlippedBitOfAFieldIsFound) {
  std::string bytes;
  EncodeIndexRow(kRow, kFile, &bytes);
  for (size_t bit = 0; bit < 44 * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(DecodeIndexRow(flipped, kFile), std::nullopt) << bit;
  }
}

TEST(IndexRow, ACutRowIsRefused) {
  std::string bytes;
  EncodeIndexRow(kRow, kFile, &bytes);
  for (size_t size = 0; size < 44; ++size)
    EXPECT_EQ(DecodeIndexRow(std::string_view(bytes).substr(0, size), kFile), std::nullopt) << size;
}

TEST(SegmentNames, ReadWhatTheyWrote) {
  for (const int64_t base : {int64_t{0}, int64_t{850}, INT64_MAX}) {
    for (const uint64_t file : {uint64_t{1}, UINT64_MAX}) {
      const auto segment = ParseGroupFileName(SegmentFileName(Offset{base}, FileNumber{file}));
      ASSERT_TRUE(segment.has_value()) << base << " " << file;
      EXPECT_EQ(segment->base_offset, Offset{base});
      EXPECT_EQ(segment->file, FileNumber{file});
      EXPECT_EQ(segment->kind, GroupFileKind::kSegment);
      const auto index = ParseGroupFileName(IndexFileName(Offset{base}, FileNumber{file}));
      ASSERT_TRUE(index.has_value()) << base << " " << file;
      EXPECT_EQ(index->kind, GroupFileKind::kIndex);
    }
  }
  EXPECT_EQ(SegmentFileName(Offset{850}, FileNumber{10}),
            "00000000000000000850-00000000000000000010.log");
  EXPECT_EQ(GroupDirectoryName(GroupId{65'537}), "0000000000010001");
  EXPECT_EQ(ParseGroupDirectoryName("0000000000010001"), GroupId{65'537});
}

TEST(SegmentNames, OthersAreNotOurs) {
  for (const std::string_view name : {"", "LOCK", "00000000000000000850-00000000000000000010.tmp",
                                      "0000000000000000850-00000000000000000010.log",
                                      "00000000000000000850_00000000000000000010.log",
                                      "0000000000000000085x-00000000000000000010.log",
                                      "00000000000000000850-99999999999999999999.log",
                                      "-0000000000000000850-00000000000000000010.log",
                                      "-0000000000000000000-00000000000000000010.log",
                                      "00000000000000000850-0000000000000000001 .log"}) {
    EXPECT_FALSE(ParseGroupFileName(name).has_value()) << name;
  }
  for (const std::string_view name :
       {"", "0", "000000000001000g", "000000000001000A", "00000000000100011"})
    EXPECT_FALSE(ParseGroupDirectoryName(name).has_value()) << name;
}

}  // namespace
}  // namespace varve::storage
