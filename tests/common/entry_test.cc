#include "common/entry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/limits.h"
#include "common/meta_entry.h"
#include "common/record_batch.h"
#include "tests/common/sample_batches.h"

namespace varve {
namespace {

using ::testing::HasSubstr;

EntryHeader Header(EntryKind kind) {
  EntryHeader header;
  header.kind = kind;
  header.group = GroupId{0x10007};
  header.first_index = Index{42};
  header.last_index = Index{42};
  header.term = Term{9};
  header.base_offset = Offset{1000};
  header.last_offset = Offset{999};
  header.append_time = WallTime{1'700'000'000'123};
  return header;
}

Entry DataEntry() {
  EntryHeader header = Header(EntryKind::kData);
  header.last_offset = Offset{1003};
  return FrameBuffer::Copy(testing::BatchOf(testing::GoldenRecords())).Seal(header);
}

Entry EntryOf(EntryKind kind) {
  switch (kind) {
    case EntryKind::kData:
      return DataEntry();
    case EntryKind::kBarrier:
      return FrameBuffer(0).Seal(Header(kind));
    case EntryKind::kConfig: {
      Configuration configuration;
      configuration.voters = {{NodeId{1}, ReplicaEpoch{1}}};
      return FrameBuffer::Copy(EncodeConfiguration(configuration)).Seal(Header(kind));
    }
    case EntryKind::kMeta:
      return FrameBuffer::Copy(EncodeMeta(Trim{Offset{5}})).Seal(Header(kind));
  }
  return {};
}

constexpr EntryKind kKinds[] = {EntryKind::kData, EntryKind::kBarrier, EntryKind::kConfig,
                                EntryKind::kMeta};

TEST(EntryFrame, KeepsItsBytes) {
  std::string expected(
      "\x48\0\0\0"                   // length 72
      "\0\0\0\0"                     // checksum, below
      "\1\2\0\0\0\0\0\0"             // version, kind, flags, reserved
      "\7\0\1\0\0\0\0\0"             // group
      "\x2a\0\0\0\0\0\0\0"           // first index
      "\x2a\0\0\0\0\0\0\0"           // last index
      "\x09\0\0\0\0\0\0\0"           // term
      "\xe8\3\0\0\0\0\0\0"           // base offset
      "\xe7\3\0\0\0\0\0\0"           // last offset
      "\x7b\x68\xe5\xcf\x8b\1\0\0",  // append time
      72);
  StoreLittle(expected.data() + 4, Crc32c(expected.substr(0, 4) + expected.substr(8)));
  EXPECT_EQ(EntryOf(EntryKind::kBarrier).frame.view(), expected);
}

TEST(EntryFrame, EveryKindRoundTrips) {
  for (const EntryKind kind : kKinds) {
    const Entry entry = EntryOf(kind);
    EXPECT_EQ(entry.frame.size(), entry.header.frame_bytes());
    const auto verified = VerifyEntryFrame(entry.frame.view());
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_EQ(*verified, entry.header);
    const auto decoded = DecodeEntryHeader(entry.frame.view().substr(0, kEntryHeaderBytes));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(*decoded, entry.header);
    EXPECT_EQ(entry.header.zero_width(), kind != EntryKind::kData);
  }
}

TEST(EntryFrame, SealStampsTheBatchAndLeavesTheRest) {
  const std::string batch = testing::BatchOf(testing::GoldenRecords());
  const Entry entry = DataEntry();
  const auto view = RecordBatchView::Parse(entry.payload());
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->base_offset(), Offset{1000});
  EXPECT_EQ(view->leader_epoch(), 9);
  EXPECT_EQ(view->last_offset(), Offset{1003});
  EXPECT_TRUE(view->crc_ok());
  EXPECT_EQ(entry.payload().substr(16), std::string_view(batch).substr(16));
}

TEST(EntryFrame, SealEmptiesTheBuffer) {
  FrameBuffer buffer = FrameBuffer::Copy(EncodeMeta(Trim{Offset{5}}));
  const Entry entry = std::move(buffer).Seal(Header(EntryKind::kMeta));
  EXPECT_TRUE(buffer.empty());  // NOLINT: the state after sealing is part of the contract
  EXPECT_EQ(entry.header.payload_bytes, 12u);
}

// Every byte is covered: by the frame's checksum, or by the batch's.
TEST(EntryFrame, EverySingleByteFlipIsNoticed) {
  for (const EntryKind kind : kKinds) {
    const std::string good(EntryOf(kind).frame.view());
    for (size_t at = 0; at < good.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        const auto verified = VerifyEntryFrame(bad);
        ASSERT_FALSE(verified.ok()) << "kind " << static_cast<int>(kind) << " byte " << at;
        EXPECT_EQ(ReasonOf(verified.status()), Reason::DATA_LOSS);
      }
    }
  }
}

TEST(EntryFrame, EveryCutAndAnyTailIsRefused) {
  for (const EntryKind kind : kKinds) {
    const std::string good(EntryOf(kind).frame.view());
    for (size_t n = 0; n < good.size(); ++n) {
      ASSERT_FALSE(VerifyEntryFrame(std::string_view(good).substr(0, n)).ok()) << n;
    }
    EXPECT_FALSE(VerifyEntryFrame(good + 'x').ok());
  }
}

// The header with one field overwritten; the checksum is not what refuses it.
template <class Int>
std::string Changed(const Entry& entry, size_t at, Int value) {
  std::string bytes(entry.frame.view());
  StoreLittle(bytes.data() + at, value);
  return bytes;
}

TEST(EntryFrame, HeaderRefusesContradictions) {
  const Entry data = DataEntry();
  const Entry barrier = EntryOf(EntryKind::kBarrier);
  const Entry config = EntryOf(EntryKind::kConfig);
  const int64_t huge = std::numeric_limits<int64_t>::max();
  const struct {
    const char* name;
    std::string bytes;
    const char* says;
  } cases[] = {
      {"length below header", Changed(data, 0, uint32_t{71}), "length"},
      {"length beyond limit",
       Changed(data, 0,
               static_cast<uint32_t>(kEntryHeaderBytes + limits::kMaxEntryPayloadBytes + 1)),
       "limit"},
      {"short batch", Changed(data, 0, uint32_t{72 + 60}), "fit"},
      {"barrier with payload", Changed(barrier, 0, uint32_t{73}), "fit"},
      {"short configuration", Changed(config, 0, uint32_t{72 + 19}), "fit"},
      {"version", Changed(data, 8, uint8_t{2}), "version"},
      {"kind 0", Changed(data, 9, uint8_t{0}), "kind"},
      {"kind 5", Changed(data, 9, uint8_t{5}), "kind"},
      {"flag", Changed(data, 10, uint16_t{2}), "flags"},
      {"reserved", Changed(data, 12, uint32_t{1}), "reserved"},
      {"group", Changed(data, 16, uint64_t{0}), "group"},
      {"index 0", Changed(data, 24, uint64_t{0}), "indices"},
      {"several indices", Changed(data, 32, uint64_t{43}), "indices"},
      {"indices swapped", Changed(data, 32, uint64_t{41}), "indices"},
      {"term 0", Changed(data, 40, uint64_t{0}), "term"},
      {"term of 32 bits", Changed(data, 40, uint64_t{0x80000000}), "term"},
      {"negative offset", Changed(data, 48, int64_t{-1}), "offsets"},
      {"offsets swapped", Changed(data, 56, int64_t{998}), "offsets"},
      {"too many offsets", Changed(data, 56, int64_t{1000} + 0x80000000), "offsets"},
      {"last offset without next", Changed(data, 56, huge), "offsets"},
      {"barrier with width", Changed(barrier, 56, int64_t{1000}), "offsets"},
  };
  for (const auto& c : cases) {
    const auto decoded = DecodeEntryHeader(c.bytes);
    ASSERT_FALSE(decoded.ok()) << c.name;
    EXPECT_EQ(ReasonOf(decoded.status()), Reason::DATA_LOSS) << c.name;
    EXPECT_THAT(std::string(MessageOf(decoded.status())), HasSubstr(c.says)) << c.name;
  }
}

TEST(EntryFrame, CompactedFrameCoversSeveralIndices) {
  EntryHeader header = Header(EntryKind::kData);
  header.flags = kEntryFlagCompacted;
  header.last_index = Index{50};
  header.last_offset = Offset{1003};
  const Entry entry = FrameBuffer::Copy(testing::BatchOf(testing::GoldenRecords())).Seal(header);
  const auto verified = VerifyEntryFrame(entry.frame.view());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->last_index, Index{50});
}

// A frame whose checksums hold, but whose header and batch say different things.
TEST(EntryFrame, HeaderAndBatchMustAgree) {
  EntryHeader header = Header(EntryKind::kData);
  header.last_offset = Offset{1004};  // the batch has four records
  const Entry entry = FrameBuffer::Copy(testing::BatchOf(testing::GoldenRecords())).Seal(header);
  const auto verified = VerifyEntryFrame(entry.frame.view());
  ASSERT_FALSE(verified.ok());
  EXPECT_THAT(std::string(MessageOf(verified.status())), HasSubstr("last offset"));
}

TEST(EntryFrame, BatchDamagedBeforeSealingIsRefused) {
  std::string batch = testing::BatchOf(testing::GoldenRecords());
  batch.back() = static_cast<char>(batch.back() ^ 1);
  EntryHeader header = Header(EntryKind::kData);
  header.last_offset = Offset{1003};
  const Entry entry = FrameBuffer::Copy(batch).Seal(header);
  const auto verified = VerifyEntryFrame(entry.frame.view());
  ASSERT_FALSE(verified.ok());
  EXPECT_THAT(std::string(MessageOf(verified.status())), HasSubstr("CRC"));
}

TEST(EntryFrameDeathTest, SealRefusesAContradiction) {
  EXPECT_DEATH(FrameBuffer(0).Seal(Header(EntryKind::kData)), "length does not fit");
  EntryHeader header = Header(EntryKind::kBarrier);
  header.group = GroupId{0};
  EXPECT_DEATH(FrameBuffer(0).Seal(header), "no group");
}

}  // namespace
}  // namespace varve
