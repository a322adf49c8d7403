// varve perf produce
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>

#include "client/cli/perf_commands.h"
#include "client/cli/perf_load.h"
#include "client/cli/perf_progress.h"
#include "client/cli/quantity.h"
#include "client/cli/terminal.h"
#include "varve/producer.h"

namespace varve::cli {
namespace {

struct PerfProduceOptions {
  std::string topic;
  uint32_t partitions = 8;
  uint64_t size = 1024;
  PerfLimits limits;
  double rate = 0;
  uint64_t batch_bytes = 128 * 1024;
  uint64_t batch_max_bytes = 1024 * 1024;
  uint64_t buffer_bytes = 32 * 1024 * 1024;
  std::chrono::nanoseconds linger = std::chrono::milliseconds(2);
  std::chrono::nanoseconds warmup = std::chrono::seconds(1);
  Compression compression = Compression::kNone;
  uint32_t keys = 0;
  std::string payload;
  BrokerViewOptions broker;
};

constexpr std::chrono::milliseconds kDeliveryTimeout{120'000};

int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void SleepUntil(int64_t at_ns) {
  const timespec at{.tv_sec = at_ns / 1'000'000'000, .tv_nsec = at_ns % 1'000'000'000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

// What became of the records of one phase. Reports come on the client's thread.
struct PhaseCounts {
  ConcurrentHistogram latency;
  std::atomic<uint64_t> delivered = 0;
  std::atomic<uint64_t> failed = 0;
  std::atomic<int64_t> last_delivery_ns = 0;
  uint64_t record_bytes = 0;
  std::mutex mutex;
  Status first_error;  // under mutex

  void Fail(const Status& status) {
    ++failed;
    std::lock_guard lock(mutex);
    if (first_error.ok()) first_error = status;
  }
  void Report(const DeliveryReport& report, int64_t intended_ns) {
    if (!report.status.ok()) return Fail(report.status);
    const int64_t now = NowNs();
    latency.Record(static_cast<uint64_t>(std::max<int64_t>(0, now - intended_ns)));
    last_delivery_ns.store(now, std::memory_order_relaxed);
    delivered.fetch_add(1, std::memory_order_relaxed);
  }
  PerfSample Sample() {
    const uint64_t records = delivered.load(std::memory_order_relaxed);
    return {records, records * record_bytes, failed.load(std::memory_order_relaxed),
            latency.Snapshot()};
  }
};

class ProduceRun {
 public:
  ProduceRun(const PerfProduceOptions& options, std::string topic, PerfPayload& payload,
             Producer& producer)
      : options_(options), topic_(std::move(topic)), payload_(payload), producer_(producer) {}

  // Sends until a limit, an interrupt or a failure; then waits for every report. The next phase
  // starts with nothing under way, so that each one's figures are its own.
  Status Run(const PerfLimits& limits, PhaseCounts& counts) {
    begin_ns_ = NowNs();
    const int64_t end_ns =
        limits.duration.count() > 0 ? begin_ns_ + limits.duration.count() : INT64_MAX;
    const OpenLoop schedule(options_.rate, begin_ns_);
    for (uint64_t i = 0; limits.records == 0 || i < limits.records; ++i) {
      int64_t intended = NowNs();
      if (schedule.scheduled()) {
        const int64_t due = schedule.DueAt(i);
        if (due >= end_ns) break;
        if (due > intended) SleepUntil(due);
        intended = due;
      }
      // Behind its schedule it sends late rather than less: what was due is sent.
      if (intended >= end_ns || Interrupted() || counts.failed > 0) break;
      if (!SendOne(intended, counts)) break;
    }
    return producer_.Flush(kDeliveryTimeout);
  }
  [[nodiscard]] double SecondsOf(const PhaseCounts& counts) const {
    return static_cast<double>(std::max<int64_t>(0, counts.last_delivery_ns - begin_ns_)) / 1e9;
  }

 private:
  bool SendOne(int64_t intended_ns, PhaseCounts& counts) {
    ProducerRecord record{.topic = topic_, .value = payload_.NextValue()};
    if (payload_.keyed()) record.key = payload_.NextKey();
    // Two words: std::function holds them without allocating.
    const Status status =
        producer_.Send(record, [counts = &counts, intended_ns](const DeliveryReport& report) {
          counts->Report(report, intended_ns);
        });
    if (!status.ok()) counts.Fail(status);
    return status.ok();
  }

  const PerfProduceOptions& options_;
  const std::string topic_;
  PerfPayload& payload_;
  Producer& producer_;
  int64_t begin_ns_ = 0;
};

// The topic given, or one of its own that goes when this does.
class PerfTopic {
 public:
  explicit PerfTopic(Admin& admin) : admin_(admin) {}
  PerfTopic(const PerfTopic&) = delete;
  PerfTopic& operator=(const PerfTopic&) = delete;
  ~PerfTopic() {
    if (!created_) return;
    if (const Status status = admin_.DeleteTopic(name_); !status.ok())
      WriteErr("warning: the topic " + name_ + " is left behind: " + status.ToString() + "\n");
  }
  Status Prepare(const PerfProduceOptions& options) {
    name_ = options.topic;
    if (!name_.empty()) return Status();
    char text[64];
    std::snprintf(text, sizeof text, "perf-%lld-%d", static_cast<long long>(time(nullptr)),
                  static_cast<int>(getpid()));
    name_ = text;
    const auto created = admin_.CreateTopic({.name = name_, .partitions = options.partitions});
    created_ = created.ok();
    return created.status();
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Admin& admin_;
  std::string name_;
  bool created_ = false;
};

void DescribeLoad(const PerfProduceOptions& options, nlohmann::ordered_json& settings) {
  settings["record_bytes"] = options.size;
  settings["payload"] = options.payload.empty() ? "random bytes" : "bytes of " + options.payload;
  settings["keys"] = options.keys;
  settings["rate"] = options.rate;
  settings["batch_bytes"] = options.batch_bytes;
  settings["batch_max_bytes"] = std::max(options.batch_max_bytes, options.batch_bytes);
  settings["buffer_bytes"] = options.buffer_bytes;
  settings["linger"] = ExactDuration(options.linger);
  settings["compression"] = std::string(CompressionName(options.compression));
  settings["warmup"] = ExactDuration(options.warmup);
}

void AddBatchFigures(const ProducerStats& before, const ProducerStats& after,
                     nlohmann::ordered_json& settings) {
  const uint64_t batches = after.batches_sent - before.batches_sent;
  const uint64_t bytes = after.batch_bytes_sent - before.batch_bytes_sent;
  settings["batches"] = batches;
  settings["mean_batch_bytes"] = batches == 0 ? 0 : bytes / batches;
  settings["batches_resent"] = after.batches_resent - before.batches_resent;
}

Result<Producer> CreateProducer(const Client& client, const PerfProduceOptions& options) {
  ProducerOptions producer;
  producer.batch_bytes = options.batch_bytes;
  producer.batch_max_bytes = std::max(options.batch_max_bytes, options.batch_bytes);
  producer.buffer_bytes = options.buffer_bytes;
  producer.linger = std::chrono::duration_cast<std::chrono::microseconds>(options.linger);
  producer.compression = options.compression;
  producer.delivery_timeout = kDeliveryTimeout;
  return Producer::Create(client, producer);
}

Status Measure(const GlobalOptions& global, const PerfProduceOptions& options, ProduceRun& run,
               Producer& producer, PhaseCounts& counts, PerfReport& report) {
  counts.record_bytes = options.size;
  if (options.warmup.count() > 0) {
    PhaseCounts warmup;
    if (Status status = run.Run({.duration = options.warmup}, warmup); !status.ok()) return status;
    if (warmup.failed > 0) return warmup.first_error;
  }
  const ProducerStats before = producer.stats();
  CpuMeter cpu(options.broker.cpu);
  if (Status status = cpu.Start(); !status.ok()) return status;
  {
    const PerfProgress progress(global.quiet, "produce", "rec", [&] { return counts.Sample(); });
    if (Status status = run.Run(options.limits.OrDefault(), counts); !status.ok()) return status;
  }
  if (Status status = cpu.Finish(report); !status.ok()) return status;
  AddBatchFigures(before, producer.stats(), report.settings);
  return Status();
}

CommandEnd PerfProduce(const CommandContext& context, const PerfProduceOptions& options) {
  const GlobalOptions& global = context.options;
  Result<PerfPayload> payload = PerfPayload::Make(options.size, options.keys, options.payload);
  if (!payload.ok()) return payload.status();
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Result<Producer> producer = CreateProducer(*client, options);
  if (!producer.ok()) return producer.status();
  Admin admin(*client);
  PerfTopic topic(admin);
  if (Status status = topic.Prepare(options); !status.ok()) return status;
  CatchInterrupts();
  prctl(PR_SET_TIMERSLACK, 1UL);  // sleeps of the open loop end when they should

  PerfReport report;
  report.benchmark = "produce";
  report.command = context.command_text;
  report.context = ReadRunContext(options.broker.directory);
  if (Status status = DescribeTarget(admin, global, topic.name(), report.settings); !status.ok())
    return status;
  DescribeLoad(options, report.settings);
  ProduceRun run(options, topic.name(), *payload, *producer);
  // Outlives the producer's reports, also when the measurement fails half-way.
  auto counts = std::make_unique<PhaseCounts>();
  const Status measured = Measure(global, options, run, *producer, *counts, report);
  (void)producer->Close(std::chrono::seconds(5));
  if (!measured.ok()) return measured;
  report.seconds = run.SecondsOf(*counts);
  report.records = counts->delivered;
  report.bytes = report.records * options.size;
  report.failed = counts->failed;
  report.latency = counts->latency.Snapshot();
  report.latency_meaning =
      options.rate > 0
          ? "from the time a record was due (open loop) to its delivery report"
          : "from the call of Send to the delivery report, waiting for memory included";
  const CommandEnd end = FinishPerf(global, report);
  if (!end.error.ok() || report.failed == 0) return end;
  return report.records > 0 ? CommandEnd(kExitPartial, counts->first_error)
                            : CommandEnd(counts->first_error);
}

void AddLoadOptions(CLI::App& command, PerfProduceOptions& options) {
  command
      .add_option("--topic", options.topic, "Topic; default: one made for the run, deleted after")
      ->type_name("NAME");
  command
      .add_option("-p,--partitions", options.partitions, "Partitions of the topic made for the run")
      ->type_name("N")
      ->capture_default_str();
  AddPerfLimits(command, options.limits, "records");
  AddSize(command, "--size", options.size, "Size of a record's value");
  command
      .add_option(
          "--rate", options.rate,
          "Records per second, whatever the answers do (open loop); default: as fast as possible")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  command.add_option("--keys", options.keys, "Different keys; 0: records without key")
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--payload", options.payload, "Cut values from this file; default: random bytes")
      ->type_name("FILE");
  AddDuration(command, "--warmup", options.warmup, "Time before the measurement");
}

}  // namespace

void AddPerfProduce(CLI::App& perf, CommandContext& context) {
  auto options = std::make_shared<PerfProduceOptions>();
  CLI::App* command =
      AddCommand(perf, "produce", "Throughput and latency of producing",
                 {"varve perf produce --size 1KiB --duration 30s --partitions 8",
                  "varve perf produce --rate 5000 --duration 1m --linger 1ms -o json"});
  AddLoadOptions(*command, *options);
  AddSize(*command, "--batch-bytes", options->batch_bytes, "Size at which a batch is sent at once");
  AddSize(*command, "--batch-max-bytes", options->batch_max_bytes,
          "What a batch may grow to while the one before it is under way");
  AddSize(*command, "--buffer-bytes", options->buffer_bytes,
          "Memory for records under way; without --rate it sets the latency");
  AddDuration(*command, "--linger", options->linger, "How long a batch waits for more records");
  AddCompression(*command, options->compression);
  AddBrokerViewOptions(*command, options->broker);
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return PerfProduce(context, *options); };
  });
}

}  // namespace varve::cli
