// CRC-32C, and building, walking and validating record batches, for each codec.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "common/check.h"
#include "common/crc32c.h"
#include "common/crc32c_variants.h"
#include "common/entry.h"
#include "common/record_batch_builder.h"

namespace varve {
namespace {

constexpr int kRecords = 1000;
constexpr size_t kValueBytes = 200;
constexpr int64_t kCodecs[] = {0, 1, 2, 3, 4};

// Values that compress about as logs do.
std::vector<std::string> Values() {
  static constexpr std::string_view kWords[] = {"GET ",  "PUT ",  "/index.html ", "200 ",  "404 ",
                                                "user=", "took ", "ms\n",         "host ", "10.0."};
  std::mt19937 random(1);
  std::vector<std::string> out(kRecords);
  for (std::string& value : out) {
    while (value.size() < kValueBytes) {
      value += kWords[random() % std::size(kWords)];
      value += std::to_string(random() % 1000);
    }
    value.resize(kValueBytes);
  }
  return out;
}

std::string BuildBatch(Codec codec, const std::vector<std::string>& values) {
  RecordBatchBuilder builder({.codec = codec});
  int64_t now = 1'700'000'000'000;
  for (const std::string& value : values) {
    const auto added = builder.Add(WallTime{now++}, std::string_view(value).substr(0, 16), value);
    VARVE_CHECK(added.ok());
  }
  auto batch = builder.Build();
  VARVE_CHECK(batch.ok());
  return *std::move(batch);
}

void Report(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes));
}

template <auto Extend>
void BM_Crc32c(benchmark::State& state) {
  const std::string bytes(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(Extend(0, bytes));
  Report(state, bytes.size());
}
BENCHMARK(BM_Crc32c<internal::ExtendCrc32cTable>)->Name("Crc32c/table")->Arg(1 << 16);
BENCHMARK(BM_Crc32c<ExtendCrc32c>)
    ->Name("Crc32c/chosen")
    ->Arg(64)
    ->Arg(1 << 10)
    ->Arg(1 << 13)
    ->Arg(1 << 16)
    ->Arg(1 << 20);

// Bytes are those of the records before compression, here and below.
void BM_Build(benchmark::State& state) {
  const std::vector<std::string> values = Values();
  const auto codec = static_cast<Codec>(state.range(0));
  const size_t bytes = BuildBatch(Codec::kNone, values).size();
  size_t built = 0;
  for (auto _ : state) {
    const std::string batch = BuildBatch(codec, values);
    built = batch.size();
    benchmark::DoNotOptimize(batch.data());
  }
  Report(state, bytes);
  state.counters["ratio"] = static_cast<double>(bytes) / static_cast<double>(built);
  state.SetLabel(std::string(CodecName(codec)));
}
BENCHMARK(BM_Build)->Name("BatchBuild")->ArgsProduct({{std::begin(kCodecs), std::end(kCodecs)}});

void BM_Walk(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  const std::string batch = BuildBatch(codec, Values());
  const auto view = RecordBatchView::Parse(batch);
  VARVE_CHECK(view.ok());
  size_t bytes = 0;
  for (auto _ : state) {
    bytes = 0;
    RecordBatchReader reader(*view);
    while (const RecordView* record = reader.Next()) bytes += record->value->size() + 16;
    VARVE_CHECK(reader.status().ok());
  }
  Report(state, bytes);
  state.SetItemsProcessed(state.iterations() * kRecords);
  state.SetLabel(std::string(CodecName(codec)));
}
BENCHMARK(BM_Walk)->Name("BatchWalk")->ArgsProduct({{std::begin(kCodecs), std::end(kCodecs)}});

void Validate(benchmark::State& state, const std::vector<std::string>& values) {
  const auto codec = static_cast<Codec>(state.range(0));
  const std::string batch = BuildBatch(codec, values);
  size_t bytes = 0;
  for (auto _ : state) {
    const auto summary = ValidateRecordBatch(batch, {});
    VARVE_CHECK(summary.ok());
    bytes = summary->decompressed_bytes;
  }
  Report(state, bytes);
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(values.size()));
  state.SetLabel(std::string(CodecName(codec)));
}
void BM_Validate(benchmark::State& state) { Validate(state, Values()); }
BENCHMARK(BM_Validate)
    ->Name("BatchValidate")
    ->ArgsProduct({{std::begin(kCodecs), std::end(kCodecs)}});
// What one small batch costs: mostly making a decompressor.
void BM_ValidateSmall(benchmark::State& state) { Validate(state, {std::string(100, 'v')}); }
BENCHMARK(BM_ValidateSmall)
    ->Name("BatchValidateSmall")
    ->ArgsProduct({{std::begin(kCodecs), std::end(kCodecs)}});

void BM_Seal(benchmark::State& state) {
  const std::string batch = BuildBatch(Codec::kNone, Values());
  EntryHeader header;
  header.group = GroupId{1};
  header.first_index = Index{1};
  header.last_index = Index{1};
  header.term = Term{1};
  header.last_offset = Offset{kRecords - 1};
  for (auto _ : state) {
    const Entry entry = FrameBuffer::Copy(batch).Seal(header);
    benchmark::DoNotOptimize(entry.frame.view().data());
  }
  Report(state, batch.size());
}
BENCHMARK(BM_Seal)->Name("EntryCopyAndSeal");

}  // namespace
}  // namespace varve
