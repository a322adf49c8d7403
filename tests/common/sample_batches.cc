#include "tests/common/sample_batches.h"

#include <gtest/gtest.h>

#include <random>

#include "absl/strings/escaping.h"
#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/record_batch_layout.h"
#include "common/strings.h"
#include "common/varint.h"

namespace varve::testing {

std::vector<Record> GoldenRecords() {
  constexpr int64_t kBase = 1'700'000'000'000;
  std::string worlds;
  for (int i = 0; i < 40; ++i) worlds += "world";
  return {
      {WallTime{kBase}, "k0", "hello", {}},
      {WallTime{kBase + 5}, std::nullopt, worlds, {{"h1", "v1"}, {"", std::nullopt}}},
      {WallTime{kBase - 3}, "k2", std::nullopt, {}},
      {WallTime{kBase + 1}, "", "", {{"trace", ""}}},
  };
}

std::string BatchOf(const std::vector<Record>& records, const BatchOptions& options) {
  RecordBatchBuilder builder(options);
  for (const Record& record : records) {
    const absl::Status added = builder.Add(record);
    EXPECT_TRUE(added.ok()) << added;
  }
  auto built = builder.Build();
  EXPECT_TRUE(built.ok()) << built.status();
  return built.ok() ? *std::move(built) : std::string();
}

std::vector<Record> RecordsOf(std::string_view batch, absl::Status* status) {
  std::vector<Record> out;
  const auto view = RecordBatchView::Parse(batch);
  *status = view.status();
  if (!view.ok()) return out;
  RecordBatchReader reader(*view);
  while (const RecordView* record = reader.Next()) out.push_back(CopyRecord(*record));
  *status = reader.status();
  return out;
}

void FixCrc(std::string* batch) {
  const uint32_t crc = Crc32c(std::string_view(*batch).substr(kBatchCrcCoversFrom));
  StoreBig(batch->data() + batch_layout::kCrcAt, crc);
}

std::string Encode(const RawBatch& raw) {
  using namespace batch_layout;  // NOLINT: positions
  std::string out(kBatchHeaderBytes, '\0');
  out += raw.blob;
  StampBatch(out.data(), Offset{0}, kNoLeaderEpoch);
  StoreBig(out.data() + kLengthAt, static_cast<int32_t>(out.size() - kBatchPrefixBytes));
  StoreBig(out.data() + kMagicAt, kBatchMagic);
  StoreBig(out.data() + kAttributesAt, raw.attributes);
  StoreBig(out.data() + kLastOffsetDeltaAt, raw.count - 1);
  StoreBig(out.data() + kBaseTimestampAt, raw.base_timestamp);
  StoreBig(out.data() + kMaxTimestampAt, raw.max_timestamp);
  StoreBig(out.data() + kProducerIdAt, kNoProducerId);
  StoreBig(out.data() + kProducerEpochAt, kNoProducerEpoch);
  StoreBig(out.data() + kBaseSequenceAt, kNoSequence);
  StoreBig(out.data() + kRecordCountAt, raw.count);
  FixCrc(&out);
  return out;
}

std::string Varint(int64_t v) {
  std::string out;
  AppendVarint(&out, v);
  return out;
}

std::string Sized(std::string_view body) {
  std::string out = Varint(static_cast<int64_t>(body.size()));
  out += body;
  return out;
}

std::string FromHex(std::string_view hex) { return absl::HexStringToBytes(ToAbsl(hex)); }

std::string LogText(size_t bytes, uint32_t seed) {
  static constexpr std::string_view kWords[] = {"GET ",  "PUT ",  "/index.html ", "200 ",
                                                "404 ",  "user=", "took ",        "ms\n",
                                                "host ", "10.0.", "agent ",       "curl "};
  std::mt19937 random(seed);
  std::string out;
  while (out.size() < bytes) {
    out += kWords[random() % std::size(kWords)];
    out += std::to_string(random() % 1000);
  }
  out.resize(bytes);
  return out;
}

}  // namespace varve::testing
