#include "common/record_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/error.h"
#include "common/record_batch_builder.h"
#include "common/record_batch_layout.h"
#include "tests/common/sample_batches.h"

namespace varve {
namespace {

using testing::BatchOf;
using testing::Encode;
using testing::FromHex;
using testing::GoldenRecords;
using testing::kAllCodecs;
using testing::LogText;
using testing::RawBatch;
using testing::RecordsOf;

struct Golden {
  const char* name;
  Codec codec;
  std::string bytes;
};

std::vector<Golden> Goldens() {
  using enum Codec;
  std::vector<Golden> out;
#define GOLDEN(name, codec, hex) out.push_back({name, codec, FromHex(hex)});
#include "tests/common/golden_batches.inc"
#undef GOLDEN
  return out;
}

BatchLimits AcceptAll() {
  BatchLimits limits;
  limits.accept_producer_id = true;
  limits.accept_transactional = true;
  limits.accept_control = true;
  limits.accept_log_append_time = true;
  return limits;
}

TEST(RecordBatch, OneRecordByHand) {
  RecordBatchBuilder builder;
  const RecordHeaderView header{"h", std::nullopt};
  ASSERT_TRUE(builder.Add(WallTime{1000}, "k", "v", {&header, 1}).ok());
  const auto built = builder.Build();
  ASSERT_TRUE(built.ok()) << built.status();
  const std::string before_crc = FromHex(
      "0000000000000000"  // base offset
      "0000003d"          // length: 49 of the header, 12 of the record
      "ffffffff"          // leader epoch
      "02");              // magic
  const std::string after_crc = FromHex(
      "0000"              // attributes
      "00000000"          // last offset delta
      "00000000000003e8"  // base timestamp
      "00000000000003e8"  // max timestamp
      "ffffffffffffffff"  // producer id
      "ffff"              // producer epoch
      "ffffffff"          // base sequence
      "00000001"          // records
      "16"                // record: 11 bytes
      "00"                // attributes
      "00"                // timestamp delta
      "00"                // offset delta
      "026b"              // key
      "0276"              // value
      "02"                // one header
      "0268"              // its key
      "01");              // its value is null
  EXPECT_EQ(built->substr(0, 17), before_crc);
  EXPECT_EQ(built->substr(21), after_crc);
  EXPECT_TRUE(RecordBatchView::Parse(*built)->crc_ok());
}

TEST(RecordBatch, ReadsWhatAnIndependentEncoderWrote) {
  for (const Golden& golden : Goldens()) {
    const auto summary = ValidateRecordBatch(golden.bytes, AcceptAll());
    ASSERT_TRUE(summary.ok()) << golden.name << ": " << summary.status();
    EXPECT_EQ(summary->codec, golden.codec) << golden.name;
    EXPECT_EQ(summary->record_count, 4) << golden.name;
    EXPECT_EQ(summary->null_keys, 1u) << golden.name;
    EXPECT_EQ(summary->base_timestamp, WallTime{1'700'000'000'000}) << golden.name;
    EXPECT_EQ(summary->max_timestamp, WallTime{1'700'000'000'005}) << golden.name;
    absl::Status status;
    EXPECT_EQ(RecordsOf(golden.bytes, &status), GoldenRecords()) << golden.name;
    EXPECT_TRUE(status.ok()) << golden.name << ": " << status;
  }
}

TEST(RecordBatch, BuildsTheBytesOfAnIndependentEncoder) {
  EXPECT_EQ(BatchOf(GoldenRecords()), Goldens().front().bytes);
  BatchOptions options;
  options.producer_id = 4711;
  options.producer_epoch = 3;
  options.base_sequence = 99;
  options.transactional = true;
  EXPECT_EQ(BatchOf(GoldenRecords(), options), Goldens().back().bytes);
}

TEST(RecordBatch, ViewReadsEveryField) {
  std::string bytes = Goldens().back().bytes;
  StampBatch(bytes.data(), Offset{77}, 12);
  const auto view = RecordBatchView::Parse(bytes);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->base_offset(), Offset{77});
  EXPECT_EQ(view->last_offset(), Offset{80});
  EXPECT_EQ(view->leader_epoch(), 12);
  EXPECT_TRUE(view->crc_ok());
  EXPECT_EQ(view->codec(), Codec::kNone);
  EXPECT_EQ(view->timestamp_type(), TimestampType::kCreateTime);
  EXPECT_TRUE(view->is_transactional());
  EXPECT_FALSE(view->is_control());
  EXPECT_FALSE(view->has_delete_horizon());
  EXPECT_EQ(view->last_offset_delta(), 3);
  EXPECT_EQ(view->base_timestamp(), WallTime{1'700'000'000'000});
  EXPECT_EQ(view->max_timestamp(), WallTime{1'700'000'000'005});
  EXPECT_EQ(view->producer_id(), 4711);
  EXPECT_EQ(view->producer_epoch(), 3);
  EXPECT_EQ(view->base_sequence(), 99);
  EXPECT_EQ(view->record_count(), 4);
  EXPECT_EQ(view->records().size(), bytes.size() - kBatchHeaderBytes);
}

TEST(RecordBatch, PrefixTakesTheFirstOfSeveral) {
  const std::string one = BatchOf(GoldenRecords());
  const std::string two = one + Goldens()[1].bytes;
  const auto first = RecordBatchView::ParsePrefix(two);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->bytes(), one);
  EXPECT_EQ(ReasonOf(RecordBatchView::Parse(two).status()), Reason::CORRUPT_BATCH);
}

TEST(RecordBatch, LogAppendTimeOverridesTheRecords) {
  RawBatch raw;
  raw.blob = testing::Sized(std::string("\0\0\0\1\1\0", 6));
  raw.attributes = batch_layout::kLogAppendTimeBit;
  raw.max_timestamp = 5555;
  const std::string batch = Encode(raw);
  ASSERT_TRUE(ValidateRecordBatch(batch, AcceptAll()).ok());
  absl::Status status;
  const auto records = RecordsOf(batch, &status);
  ASSERT_EQ(records.size(), 1u) << status;
  EXPECT_EQ(records[0].timestamp, WallTime{5555});
  EXPECT_EQ(ReasonOf(ValidateRecordBatch(batch, {}).status()), Reason::INVALID_TIMESTAMP);
}

TEST(RecordBatch, DecompressedCopyHasTheSameRecords) {
  for (const Codec codec : kAllCodecs) {
    BatchOptions options;
    options.codec = codec;
    std::string batch = BatchOf(GoldenRecords(), options);
    StampBatch(batch.data(), Offset{5}, 3);
    const auto plain = DecompressRecordBatch(*RecordBatchView::Parse(batch), 1 << 20);
    ASSERT_TRUE(plain.ok()) << plain.status();
    const auto view = RecordBatchView::Parse(*plain);
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_TRUE(view->crc_ok());
    EXPECT_EQ(view->codec(), Codec::kNone);
    EXPECT_EQ(view->base_offset(), Offset{5});
    EXPECT_EQ(view->leader_epoch(), 3);
    absl::Status status;
    EXPECT_EQ(RecordsOf(*plain, &status), GoldenRecords()) << status;
  }
}

// Records below, at and far above the validator's window, so that they span it in every way.
TEST(RecordBatch, RecordsThatSpanWindowsRoundTrip) {
  std::vector<Record> records;
  int64_t now = 1'000'000;
  for (const size_t size : {0, 1, 65'530, 10, 65'536, 65'537, 3, 200'000, 1'000'000, 0, 131'072}) {
    Record& record = records.emplace_back();
    record.timestamp = WallTime{now++};
    record.key = LogText(size / 7, 2);
    record.value = LogText(size, static_cast<uint32_t>(size));
    record.headers.push_back({LogText(size / 11, 3), LogText(size / 5, 4)});
  }
  for (const Codec codec : kAllCodecs) {
    BatchOptions options;
    options.codec = codec;
    const std::string batch = BatchOf(records, options);
    BatchLimits limits;
    limits.max_batch_bytes = 16 << 20;
    const auto summary = ValidateRecordBatch(batch, limits);
    ASSERT_TRUE(summary.ok()) << CodecName(codec) << ": " << summary.status();
    EXPECT_GT(summary->largest_record_bytes, 1'000'000u);
    absl::Status status;
    EXPECT_TRUE(RecordsOf(batch, &status) == records) << CodecName(codec) << ": " << status;
  }
}

TEST(RecordBatch, ManySmallRecordsSpanWindowsToo) {
  RecordBatchBuilder builder({.codec = Codec::kZstd});
  constexpr int kCount = 100'000;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_TRUE(builder.Add(WallTime{i}, std::to_string(i), std::to_string(i * 7)).ok());
  }
  const auto batch = builder.Build();
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto summary = ValidateRecordBatch(*batch, {});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->record_count, kCount);
  RecordBatchReader reader(*RecordBatchView::Parse(*batch));
  int i = 0;
  while (const RecordView* record = reader.Next()) {
    ASSERT_EQ(record->offset, Offset{i});
    ASSERT_EQ(record->value, std::to_string(i * 7));
    ++i;
  }
  EXPECT_TRUE(reader.status().ok()) << reader.status();
  EXPECT_EQ(i, kCount);
}

TEST(RecordBatch, ReaderTakesWhatCompactionLeaves) {
  // Records 0 and 1 of 10 are gone, then all.
  RawBatch thinned;
  thinned.blob = testing::Sized(std::string("\0\0\4\1\1\0", 6)) +
                 testing::Sized(std::string("\0\0\x0c\1\1\0", 6));
  thinned.count = 2;
  std::string batch = Encode(thinned);
  StoreBig(batch.data() + batch_layout::kLastOffsetDeltaAt, int32_t{9});
  StampBatch(batch.data(), Offset{100}, 1);
  RecordBatchReader reader(*RecordBatchView::Parse(batch));
  EXPECT_EQ(reader.Next()->offset, Offset{102});
  EXPECT_EQ(reader.Next()->offset, Offset{106});
  EXPECT_EQ(reader.Next(), nullptr);
  EXPECT_TRUE(reader.status().ok()) << reader.status();

  RawBatch bare;
  bare.count = 0;
  bare.attributes = static_cast<uint16_t>(Codec::kZstd);
  const std::string empty = Encode(bare);
  RecordBatchReader none(*RecordBatchView::Parse(empty));
  EXPECT_EQ(none.Next(), nullptr);
  EXPECT_TRUE(none.status().ok()) << none.status();
}

TEST(RecordBatchBuilder, TellsSizesBeforeAndAfter) {
  RecordBatchBuilder builder({.codec = Codec::kGzip});
  EXPECT_EQ(builder.uncompressed_bytes(), kBatchHeaderBytes);
  const std::string value = LogText(10'000);
  ASSERT_TRUE(builder.Add(WallTime{1}, std::nullopt, value).ok());
  EXPECT_LE(builder.uncompressed_bytes(),
            kBatchHeaderBytes + RecordBatchBuilder::RecordBound(std::nullopt, value));
  EXPECT_EQ(builder.estimated_bytes(), builder.uncompressed_bytes());
  const auto first = builder.Build();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(builder.empty());
  ASSERT_TRUE(builder.Add(WallTime{1}, std::nullopt, value).ok());
  EXPECT_NEAR(static_cast<double>(builder.estimated_bytes()), static_cast<double>(first->size()),
              2);
  EXPECT_EQ(*builder.Build(), *first);
}

TEST(RecordBatchBuilder, RefusesWhatDoesNotFit) {
  RecordBatchBuilder builder;
  EXPECT_EQ(ReasonOf(builder.Build().status()), Reason::INVALID_BATCH);
  const std::vector<RecordHeaderView> headers(limits::kMaxRecordHeaders + 1);
  EXPECT_EQ(ReasonOf(builder.Add(WallTime{1}, "k", "v", headers)), Reason::INVALID_BATCH);
  ASSERT_TRUE(builder.Add(WallTime{std::numeric_limits<int64_t>::max()}, "k", "v").ok());
  EXPECT_EQ(ReasonOf(builder.Add(WallTime{-2}, "k", "v")), Reason::INVALID_BATCH);
  EXPECT_EQ(builder.record_count(), 1);
}

}  // namespace
}  // namespace varve
