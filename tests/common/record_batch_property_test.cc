// Properties over random records, options and damage. RapidCheck prints the seed of a failure.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "common/record_batch.h"
#include "common/varint.h"
#include "tests/common/sample_batches.h"

namespace varve {
namespace {

using testing::BatchOf;
using testing::RecordsOf;

rc::Gen<std::optional<std::string>> AnyNullable() {
  return rc::gen::oneOf(rc::gen::just(std::optional<std::string>()),
                        rc::gen::map(rc::gen::arbitrary<std::string>(),
                                     [](std::string s) { return std::optional(std::move(s)); }));
}

Record AnyRecord() {
  Record out;
  out.timestamp = WallTime{*rc::gen::inRange<int64_t>(-1, 4'000'000'000'000)};
  out.key = *AnyNullable();
  out.value = *AnyNullable();
  const int headers = *rc::gen::inRange(0, 4);
  for (int i = 0; i < headers; ++i) {
    out.headers.push_back({*rc::gen::arbitrary<std::string>(), *AnyNullable()});
  }
  return out;
}

std::vector<Record> AnyRecords() {
  std::vector<Record> out;
  const int count = *rc::gen::inRange(1, 30);
  for (int i = 0; i < count; ++i) out.push_back(AnyRecord());
  return out;
}

BatchOptions AnyOptions() {
  BatchOptions out;
  out.codec = *rc::gen::elementOf(
      std::vector<Codec>(std::begin(testing::kAllCodecs), std::end(testing::kAllCodecs)));
  return out;
}

TEST(RecordBatchProperty, BuildValidateReadIsIdentity) {
  const bool holds = rc::check([] {
    const std::vector<Record> records = AnyRecords();
    const std::string batch = BatchOf(records, AnyOptions());
    const auto summary = ValidateRecordBatch(batch, {});
    RC_ASSERT(summary.ok());
    RC_ASSERT(summary->record_count == static_cast<int32_t>(records.size()));
    absl::Status status;
    RC_ASSERT(RecordsOf(batch, &status) == records);
    RC_ASSERT(status.ok());
  });
  EXPECT_TRUE(holds);
}

// Damage below the CRC: whatever the validator lets pass, the reader reads to its end.
TEST(RecordBatchProperty, ReaderAgreesWithValidatorOnDamagedRecords) {
  const bool holds = rc::check([] {
    BatchOptions options = AnyOptions();
    std::string batch = BatchOf(AnyRecords(), options);
    const int edits = *rc::gen::inRange(1, 4);
    for (int i = 0; i < edits; ++i) {
      const auto at = *rc::gen::inRange<size_t>(kBatchHeaderBytes, batch.size());
      batch[at] = *rc::gen::arbitrary<char>();
    }
    testing::FixCrc(&batch);
    const auto summary = ValidateRecordBatch(batch, {});
    absl::Status status;
    const auto read = RecordsOf(batch, &status);
    if (summary.ok()) {
      RC_ASSERT(status.ok());
      RC_ASSERT(read.size() == static_cast<size_t>(summary->record_count));
    }
  });
  EXPECT_TRUE(holds);
}

template <class Int>
void VarintsRoundTrip() {
  const bool holds = rc::check([](Int v, uint8_t shift) {
    const Int value = static_cast<Int>(v >> (shift % (sizeof(Int) * 8)));
    std::string bytes;
    AppendVarint(&bytes, value);
    RC_ASSERT(bytes.size() == VarintBytes(value));
    Int decoded = 0;
    RC_ASSERT(DecodeVarint(bytes, &decoded) == bytes.size());
    RC_ASSERT(decoded == value);
    for (size_t n = 0; n < bytes.size(); ++n) {
      RC_ASSERT(DecodeVarint(std::string_view(bytes).substr(0, n), &decoded) == 0u);
    }
  });
  EXPECT_TRUE(holds);
}

TEST(Varint, RoundTrips) {
  VarintsRoundTrip<int32_t>();
  VarintsRoundTrip<int64_t>();
}

TEST(Varint, KeepsItsBytesAtTheEdges) {
  const struct {
    int64_t value;
    std::string_view bytes;
  } cases[] = {{0, std::string_view("\0", 1)},
               {-1, "\1"},
               {1, "\2"},
               {63, "\x7e"},
               {-64, "\x7f"},
               {64, "\x80\1"},
               {std::numeric_limits<int64_t>::max(), "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"},
               {std::numeric_limits<int64_t>::min(), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"}};
  for (const auto& c : cases) {
    std::string bytes;
    AppendVarint(&bytes, c.value);
    EXPECT_EQ(bytes, c.bytes) << c.value;
  }
  int32_t small = 0;
  EXPECT_EQ(DecodeVarint("\xff\xff\xff\xff\x0f", &small), 5u);
  EXPECT_EQ(small, std::numeric_limits<int32_t>::min());
  EXPECT_EQ(DecodeVarint("\xff\xff\xff\xff\x1f", &small), 0u);  // 33 bits
}

}  // namespace
}  // namespace varve
