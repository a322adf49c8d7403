// What the client costs on the way from Send to the stream and from the stream to records, with a
// broker in memory in the same process. Answers: does the client keep up with a disk and a network?
// The broker's part (validation, copies) is in the times; read CPU figures with that in mind.
#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <string>

#include "common/record_batch_builder.h"
#include "tests/client/support/fake_broker.h"
#include "varve/varve.h"

namespace varve::testing {
namespace {

constexpr int kRecords = 200'000;

// Arguments: partitions, bytes of a record, codec.
void BulkProduce(benchmark::State& state) {
  const auto partitions = static_cast<uint32_t>(state.range(0));
  const std::string value(static_cast<size_t>(state.range(1)), 'v');
  for (auto _ : state) {
    state.PauseTiming();
    auto broker = std::make_unique<FakeBroker>();
    broker->AddTopic("t", partitions);
    auto client = Client::Create({.bootstrap = {broker->address()}});
    Producer producer =
        *Producer::Create(*client, {.compression = static_cast<Compression>(state.range(2))});
    std::atomic<int> delivered = 0;
    state.ResumeTiming();
    for (int i = 0; i < kRecords; ++i) {
      const Status status = producer.Send(
          {.topic = "t", .partition = static_cast<uint32_t>(i) % partitions, .value = value},
          [&](const DeliveryReport& report) { delivered += report.status.ok() ? 1 : 0; });
      if (!status.ok()) state.SkipWithError("not accepted");
    }
    if (!producer.Flush(kPatience).ok() || delivered != kRecords) state.SkipWithError("lost");
    state.PauseTiming();
    const ProducerStats stats = producer.stats();
    state.counters["records_per_batch"] =
        static_cast<double>(kRecords) / static_cast<double>(stats.batches_sent);
    static_cast<void>(producer.Close(kPatience));
    broker.reset();
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * kRecords * state.range(1));
}
BENCHMARK(BulkProduce)
    ->Args({1, 1024, 0})
    ->Args({8, 1024, 0})
    ->Args({8, 100, 0})
    ->Args({8, 1024, 3})
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

// Argument: bytes of a record.
void BulkRead(benchmark::State& state) {
  FakeBroker broker;
  broker.AddTopic("t", 1);
  const std::string value(static_cast<size_t>(state.range(0)), 'v');
  int64_t records = 0;
  while (records * state.range(0) < 200'000'000) {
    RecordBatchBuilder builder;
    while (builder.uncompressed_bytes() < 128 * 1024) {
      static_cast<void>(builder.Add(WallTime{1}, std::nullopt, value));
      ++records;
    }
    broker.Append("t", 0, *builder.Build());
  }
  auto client = Client::Create({.bootstrap = {broker.address()}});
  uint64_t checksum = 0;
  for (auto _ : state) {
    Reader reader = *Reader::Create(*client);
    if (!reader.Assign({{{"t", 0}, StartPosition::Start()}}).ok()) state.SkipWithError("assign");
    for (int64_t read = 0; read < records;) {
      const auto polled = reader.Poll(kPatience);
      if (!polled.ok() || polled->empty()) return state.SkipWithError("stuck");
      for (const ReadRecord& record : *polled) checksum += record.value->size();
      read += static_cast<int64_t>(polled->size());
    }
  }
  benchmark::DoNotOptimize(checksum);
  state.SetBytesProcessed(state.iterations() * records * state.range(0));
}
BENCHMARK(BulkRead)->Arg(1024)->Arg(100)->UseRealTime()->MeasureProcessCPUTime()->Unit(
    benchmark::kMillisecond);

}  // namespace
}  // namespace varve::testing
