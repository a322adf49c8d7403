// What ValidateRecordBatch refuses, and with which reason; and that the reader agrees with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/bytes.h"
#include "common/error.h"
#include "common/record_batch.h"
#include "common/record_batch_layout.h"
#include "tests/common/sample_batches.h"

namespace varve {
namespace {

using namespace batch_layout;  // NOLINT: positions and bits
using testing::BatchOf;
using testing::Encode;
using testing::FixCrc;
using testing::GoldenRecords;
using ::testing::HasSubstr;
using testing::RawBatch;
using testing::Sized;
using testing::Varint;

std::string Refusal(std::string_view batch, Reason reason, const BatchLimits& limits = {}) {
  const auto summary = ValidateRecordBatch(batch, limits);
  EXPECT_FALSE(summary.ok());
  EXPECT_EQ(InfoOf(ReasonOf(summary.status())).name, InfoOf(reason).name) << summary.status();
  return std::string(MessageOf(summary.status()));
}

// The golden batch with one header field overwritten and its CRC made right again.
template <class Int>
std::string Changed(size_t at, Int value) {
  std::string batch = BatchOf(GoldenRecords());
  StoreBig(batch.data() + at, value);
  FixCrc(&batch);
  return batch;
}

TEST(ValidateRecordBatch, RefusesEveryBrokenHeaderField) {
  const std::string good = BatchOf(GoldenRecords());
  const auto length = static_cast<int32_t>(good.size() - kBatchPrefixBytes);
  const struct {
    const char* name;
    std::string bytes;
    Reason reason;
    const char* says;
  } cases[] = {
      {"empty", "", Reason::CORRUPT_BATCH, "shorter"},
      {"cut header", good.substr(0, 60), Reason::CORRUPT_BATCH, "shorter"},
      {"cut records", good.substr(0, good.size() - 1), Reason::CORRUPT_BATCH, "claims"},
      {"tail", good + 'x', Reason::CORRUPT_BATCH, "behind"},
      {"negative length", Changed(kLengthAt, int32_t{-1}), Reason::CORRUPT_BATCH, "claims"},
      {"length below header", Changed(kLengthAt, int32_t{48}), Reason::CORRUPT_BATCH, "claims"},
      {"length too small", Changed(kLengthAt, length - 1), Reason::CORRUPT_BATCH, "behind"},
      {"length too large", Changed(kLengthAt, length + 1), Reason::CORRUPT_BATCH, "claims"},
      {"largest length", Changed(kLengthAt, int32_t{0x7fffffff}), Reason::CORRUPT_BATCH, "claims"},
      {"magic 1", Changed(kMagicAt, int8_t{1}), Reason::INVALID_BATCH, "magic 1"},
      {"magic 3", Changed(kMagicAt, int8_t{3}), Reason::INVALID_BATCH, "magic 3"},
      {"codec 5", Changed(kAttributesAt, uint16_t{5}), Reason::UNSUPPORTED_COMPRESSION, "number 5"},
      {"codec 7", Changed(kAttributesAt, uint16_t{7}), Reason::UNSUPPORTED_COMPRESSION, "number 7"},
      {"wrong codec", Changed(kAttributesAt, uint16_t{4}), Reason::INVALID_BATCH, "zstd"},
      {"append time", Changed(kAttributesAt, kLogAppendTimeBit), Reason::INVALID_TIMESTAMP, "time"},
      {"transactional", Changed(kAttributesAt, kTransactionalBit), Reason::INVALID_BATCH,
       "producer id"},
      {"control", Changed(kAttributesAt, kControlBit), Reason::INVALID_BATCH, "control"},
      {"delete horizon", Changed(kAttributesAt, kDeleteHorizonBit), Reason::INVALID_BATCH, "bits"},
      {"bit 7", Changed(kAttributesAt, uint16_t{0x80}), Reason::INVALID_BATCH, "bits"},
      {"bit 15", Changed(kAttributesAt, uint16_t{0x8000}), Reason::INVALID_BATCH, "bits"},
      {"delta too small", Changed(kLastOffsetDeltaAt, int32_t{2}), Reason::INVALID_BATCH, "delta"},
      {"delta too large", Changed(kLastOffsetDeltaAt, int32_t{4}), Reason::INVALID_BATCH, "delta"},
      {"count 0", Changed(kRecordCountAt, int32_t{0}), Reason::INVALID_BATCH, "counts 0"},
      {"count -1", Changed(kRecordCountAt, int32_t{-1}), Reason::INVALID_BATCH, "counts -1"},
      {"base timestamp", Changed(kBaseTimestampAt, int64_t{1'699'999'999'999}),
       Reason::INVALID_TIMESTAMP, "maximum"},
      {"max timestamp", Changed(kMaxTimestampAt, int64_t{1}), Reason::INVALID_TIMESTAMP, "maximum"},
      {"producer id", Changed(kProducerIdAt, int64_t{4}), Reason::INVALID_BATCH, "epoch -1"},
      {"producer id -2", Changed(kProducerIdAt, int64_t{-2}), Reason::INVALID_BATCH, "producer -2"},
  };
  ASSERT_TRUE(ValidateRecordBatch(good, {}).ok());
  BatchLimits accept_transactional;
  accept_transactional.accept_transactional = true;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Refusal(c.bytes, c.reason, accept_transactional), HasSubstr(c.says));
  }
}

TEST(ValidateRecordBatch, RefusesCountsThatDoNotMatchTheRecords) {
  for (const int32_t count : {3, 5}) {
    std::string batch = Changed(kRecordCountAt, count);
    StoreBig(batch.data() + kLastOffsetDeltaAt, count - 1);
    FixCrc(&batch);
    Refusal(batch, Reason::INVALID_BATCH);
  }
}

TEST(ValidateRecordBatch, RefusesWhatTheLimitsDoNotAccept) {
  const std::string good = BatchOf(GoldenRecords());
  BatchLimits limits;
  limits.max_batch_bytes = good.size();
  EXPECT_TRUE(ValidateRecordBatch(good, limits).ok());
  limits.max_batch_bytes = good.size() - 1;
  EXPECT_THAT(Refusal(good, Reason::BATCH_TOO_LARGE, limits), HasSubstr("at most"));
  limits = {};
  limits.max_records = 3;
  EXPECT_THAT(Refusal(good, Reason::BATCH_TOO_LARGE, limits), HasSubstr("4 records"));
  limits = {};
  limits.max_decompressed_bytes = good.size() - kBatchHeaderBytes - 1;
  Refusal(good, Reason::BATCH_TOO_LARGE, limits);
  limits = {};
  limits.latest_timestamp = WallTime{1'700'000'000'004};
  EXPECT_THAT(Refusal(good, Reason::INVALID_TIMESTAMP, limits), HasSubstr("record 1"));

  BatchOptions producer;
  producer.producer_id = 1;
  producer.producer_epoch = 0;
  producer.base_sequence = 0;
  Refusal(BatchOf(GoldenRecords(), producer), Reason::UNSUPPORTED_FEATURE);
  producer.transactional = true;
  Refusal(BatchOf(GoldenRecords(), producer), Reason::UNSUPPORTED_FEATURE);
  limits = {};
  limits.accept_producer_id = true;
  limits.accept_transactional = true;
  EXPECT_TRUE(ValidateRecordBatch(BatchOf(GoldenRecords(), producer), limits).ok());
  limits.accept_control = true;
  producer.control = true;
  EXPECT_THAT(Refusal(BatchOf(GoldenRecords(), producer), Reason::INVALID_BATCH, limits),
              HasSubstr("control batch of 4"));
}

// Some clients send zero for epoch and sequence when they have no producer id.
TEST(ValidateRecordBatch, IgnoresEpochAndSequenceWithoutProducerId) {
  std::string batch = Changed(kProducerEpochAt, int16_t{0});
  StoreBig(batch.data() + kBaseSequenceAt, int32_t{0});
  FixCrc(&batch);
  EXPECT_TRUE(ValidateRecordBatch(batch, {}).ok());
}

std::string Null() { return Varint(-1); }
// A record body of attributes, timestamp delta, offset delta; the caller adds the rest.
std::string Begin(int64_t timestamp_delta = 0, int64_t offset_delta = 0) {
  return '\0' + Varint(timestamp_delta) + Varint(offset_delta);
}

TEST(ValidateRecordBatch, RefusesEveryBrokenRecordField) {
  const std::string none = Varint(0);
  const std::string overlong(9, '\x80');
  const struct {
    const char* name;
    std::string blob;
    Reason reason;
    const char* says;
  } cases[] = {
      {"nothing", "", Reason::INVALID_BATCH, "length"},
      {"negative length", Varint(-1), Reason::INVALID_BATCH, "length"},
      {"length cut", "\x80", Reason::INVALID_BATCH, "length"},
      {"length of 6 bytes", std::string(5, '\x80') + '\1', Reason::INVALID_BATCH, "length"},
      {"length of 33 bits", "\xff\xff\xff\xff\x1f", Reason::INVALID_BATCH, "length"},
      {"empty record", Varint(0), Reason::INVALID_BATCH, "cut short"},
      {"length beyond batch", Varint(1000) + Begin(), Reason::INVALID_BATCH, "cut short"},
      {"attributes", Sized('\1' + Begin().substr(1) + Null() + Null() + none),
       Reason::INVALID_BATCH, "attributes"},
      {"timestamp cut", Sized(std::string("\0\x80", 2)), Reason::INVALID_BATCH, "timestamp"},
      {"timestamp too long", Sized('\0' + overlong + "\x7f"), Reason::INVALID_BATCH, "timestamp"},
      {"offset cut", Sized(std::string("\0\0", 2)), Reason::INVALID_BATCH, "offset"},
      {"first offset 1", Sized(Begin(0, 1) + Null() + Null() + none), Reason::INVALID_BATCH,
       "place"},
      {"key missing", Sized(Begin()), Reason::INVALID_BATCH, "length"},
      {"key length -2", Sized(Begin() + Varint(-2) + Null() + none), Reason::INVALID_BATCH,
       "negative"},
      {"key too long", Sized(Begin() + Varint(5) + "abc"), Reason::INVALID_BATCH, "beyond"},
      {"value length -2", Sized(Begin() + Null() + Varint(-2) + none), Reason::INVALID_BATCH,
       "negative"},
      {"value into next", Sized(Begin() + Null() + Varint(3) + none), Reason::INVALID_BATCH,
       "beyond"},
      {"largest value", Sized(Begin() + Null() + Varint(0x7fffffff)), Reason::INVALID_BATCH,
       "beyond"},
      {"headers missing", Sized(Begin() + Null() + Null()), Reason::INVALID_BATCH, "header"},
      {"header count -1", Sized(Begin() + Null() + Null() + Varint(-1)), Reason::INVALID_BATCH,
       "negative"},
      {"header count claimed", Sized(Begin() + Null() + Null() + Varint(1000)),
       Reason::INVALID_BATCH, "cut short"},
      {"too many headers", Sized(Begin() + Null() + Null() + Varint(1001)), Reason::INVALID_BATCH,
       "too many"},
      {"header without key", Sized(Begin() + Null() + Null() + Varint(1) + Null() + Null()),
       Reason::INVALID_BATCH, "no key"},
      {"header value -2", Sized(Begin() + Null() + Null() + Varint(1) + none + Varint(-2)),
       Reason::INVALID_BATCH, "negative"},
      {"byte behind fields", Sized(Begin() + Null() + Null() + none + 'x'), Reason::INVALID_BATCH,
       "longer"},
      {"byte behind records", Sized(Begin() + Null() + Null() + none) + 'x', Reason::INVALID_BATCH,
       "more bytes"},
      {"first timestamp", Sized(Begin(5) + Null() + Null() + none), Reason::INVALID_TIMESTAMP,
       "base"},
  };
  const RawBatch good{Sized(Begin() + Null() + Null() + none)};
  ASSERT_TRUE(ValidateRecordBatch(Encode(good), {}).ok());
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_THAT(Refusal(Encode(RawBatch{c.blob}), c.reason), HasSubstr(c.says));
    // The same inside each codec: the stream behaves as memory does.
    for (const Codec codec : testing::kAllCodecs) {
      RawBatch raw{*Compress(codec, c.blob)};
      raw.attributes = static_cast<uint16_t>(codec);
      EXPECT_THAT(Refusal(Encode(raw), c.reason), HasSubstr(c.says)) << CodecName(codec);
    }
  }
}

TEST(ValidateRecordBatch, ChecksTimestampsOfRecords) {
  const std::string tail = Null() + Null() + Varint(0);
  RawBatch raw;
  raw.blob = Sized(Begin() + tail) + Sized(Begin(-1001, 1) + tail);
  raw.count = 2;
  EXPECT_TRUE(ValidateRecordBatch(Encode(raw), {}).ok());  // -1: no timestamp
  raw.blob = Sized(Begin() + tail) + Sized(Begin(-1002, 1) + tail);
  EXPECT_THAT(Refusal(Encode(raw), Reason::INVALID_TIMESTAMP), HasSubstr("-2"));
  raw.blob = Sized(Begin() + tail) + Sized(Begin(std::numeric_limits<int64_t>::max(), 1) + tail);
  Refusal(Encode(raw), Reason::INVALID_TIMESTAMP);
  raw.blob = Sized(Begin() + tail) + Sized(Begin(1, 1) + tail);
  EXPECT_THAT(Refusal(Encode(raw), Reason::INVALID_TIMESTAMP), HasSubstr("1001"));
}

// Each flip is refused, but for those in the two fields that the broker overwrites.
TEST(ValidateRecordBatch, EverySingleByteFlipIsRefusedOrOutsideTheCrc) {
  for (const Codec codec : testing::kAllCodecs) {
    BatchOptions options;
    options.codec = codec;
    const std::string good = BatchOf(GoldenRecords(), options);
    for (size_t at = 0; at < good.size(); ++at) {
      const bool stamped = at < kLengthAt || (at >= kLeaderEpochAt && at < kMagicAt);
      for (int flip = 1; flip < 256; flip += 6) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ flip);
        const auto summary = ValidateRecordBatch(bad, {});
        ASSERT_EQ(summary.ok(), stamped) << CodecName(codec) << " byte " << at << " ^ " << flip;
        if (stamped) continue;
        const Reason reason = ReasonOf(summary.status());
        ASSERT_EQ(reason, at == kMagicAt ? Reason::INVALID_BATCH : Reason::CORRUPT_BATCH) << at;
      }
    }
  }
}

TEST(ValidateRecordBatch, BombsOfEveryCodecStopAtTheLimit) {
  // One record of 64 MiB of zeroes, well-formed: only its size speaks against it.
  const std::string body = Begin() + Null() + Varint(64 << 20);
  const std::string whole = body + std::string(64 << 20, '\0') + Varint(0);
  const std::string blob = Sized(whole);
  for (const Codec codec : testing::kAllCodecs) {
    RawBatch raw{*Compress(codec, blob)};
    raw.attributes = static_cast<uint16_t>(codec);
    const std::string batch = Encode(raw);
    BatchLimits limits;
    limits.max_batch_bytes = batch.size();
    limits.max_decompressed_bytes = 8 << 20;
    SCOPED_TRACE(CodecName(codec));
    Refusal(batch, Reason::BATCH_TOO_LARGE, limits);
    RecordBatchReader reader(*RecordBatchView::Parse(batch), limits.max_decompressed_bytes);
    if (codec != Codec::kNone) {
      EXPECT_EQ(reader.Next(), nullptr);
      EXPECT_EQ(ReasonOf(reader.status()), Reason::BATCH_TOO_LARGE) << reader.status();
    }
    limits.max_decompressed_bytes = 65 << 20;
    EXPECT_TRUE(ValidateRecordBatch(batch, limits).ok());
  }
}

TEST(ValidateRecordBatch, CompressedBytesLeftOverAreRefused) {
  for (const Codec codec : testing::kAllCodecs) {
    RawBatch raw{*Compress(codec, Sized(Begin() + Null() + Null() + Varint(0))) + "tail"};
    raw.attributes = static_cast<uint16_t>(codec);
    SCOPED_TRACE(CodecName(codec));
    Refusal(Encode(raw), Reason::INVALID_BATCH);
  }
}

}  // namespace
}  // namespace varve
