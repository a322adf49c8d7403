// varve perf consume
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>

#include "client/cli/perf_commands.h"
#include "client/cli/perf_progress.h"
#include "client/cli/position.h"
#include "client/cli/terminal.h"
#include "varve/reader.h"

namespace varve::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPollTime{100};

struct PerfConsumeOptions {
  std::string topic;
  std::string from = "start";
  PerfLimits limits;
  uint64_t window_bytes = 8 * 1024 * 1024;
  BrokerViewOptions broker;
};

struct ReadCounts {
  std::atomic<uint64_t> records = 0;
  std::atomic<uint64_t> bytes = 0;
  std::atomic<uint64_t> checksum = 0;
};

// Walks every record, reading a byte of its value, as any program that uses them would.
void Walk(const Records& records, ReadCounts& counts) {
  uint64_t bytes = 0, sum = 0;
  for (const ReadRecord& record : records) {
    if (record.key) bytes += record.key->size();
    if (record.value) {
      bytes += record.value->size();
      if (!record.value->empty()) sum += static_cast<unsigned char>(record.value->back());
    }
  }
  counts.records += records.size();
  counts.bytes += bytes;
  counts.checksum += sum;
}

// Until the end of the topic as it was at the start, a limit, or an interrupt.
Result<double> ReadThrough(const GlobalOptions& global, const PerfConsumeOptions& options,
                           Reader& reader, ReadCounts& counts) {
  if (Status status = reader.StopAtEnd(TimeoutOf(global)); !status.ok()) return status;
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  while (!Interrupted()) {
    const Clock::time_point now = Clock::now();
    if (options.limits.records > 0 && counts.records >= options.limits.records) break;
    if (options.limits.duration.count() > 0 && now - begin >= options.limits.duration) break;
    const Result<Records> records = reader.Poll(kPollTime);
    if (!records.ok()) {
      if (!records.status().retryable() || now - last > global.timeout) return records.status();
      continue;
    }
    if (!records->empty()) {
      Walk(*records, counts);
      last = Clock::now();
    } else if (reader.AtStop()) {
      break;
    }
  }
  return std::chrono::duration<double>(last - begin).count();
}

Status AssignAll(Admin& admin, const PerfConsumeOptions& options, uint32_t partition_count,
                 const FromPosition& from, Reader& reader) {
  std::vector<uint32_t> partitions(partition_count);
  std::iota(partitions.begin(), partitions.end(), 0);
  Result<std::vector<Assignment>> start = ResolvePositions(admin, options.topic, partitions, from);
  if (!start.ok()) return start.status();
  return reader.Assign(std::move(*start));
}

CommandEnd PerfConsume(const CommandContext& context, const PerfConsumeOptions& options) {
  const GlobalOptions& global = context.options;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const Result<FromPosition> from = ParsePosition(
      options.from, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (!from.ok()) return from.status();
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  PerfReport report;
  report.benchmark = "consume";
  report.command = context.command_text;
  report.context = ReadRunContext(options.broker.directory);
  if (Status status = DescribeTarget(admin, global, options.topic, report.settings); !status.ok())
    return status;
  report.settings.erase("acks");
  report.settings["from"] = options.from;
  report.settings["window_bytes"] = options.window_bytes;
  report.settings["checked"] = "CRC of every batch; every record walked";

  Result<Reader> reader = Reader::Create(*client, {.window_bytes = options.window_bytes});
  if (!reader.ok()) return reader.status();
  CatchInterrupts();
  CpuMeter cpu(options.broker.cpu);
  if (Status status = cpu.Start(); !status.ok()) return status;
  if (Status status =
          AssignAll(admin, options, report.settings["partitions"].get<uint32_t>(), *from, *reader);
      !status.ok())
    return status;
  ReadCounts counts;
  Result<double> seconds = 0.0;
  {
    const PerfProgress progress(global.quiet, "consume", "rec", [&] {
      return PerfSample{.records = counts.records, .bytes = counts.bytes};
    });
    seconds = ReadThrough(global, options, *reader, counts);
  }
  if (!seconds.ok()) return seconds.status();
  if (Status status = cpu.Finish(report); !status.ok()) return status;
  report.settings["batch_bytes_received"] = reader->stats().batch_bytes;
  report.settings["value_checksum"] = counts.checksum.load();
  report.seconds = *seconds;
  report.records = counts.records;
  report.bytes = counts.bytes;
  return FinishPerf(global, report);
}

}  // namespace

void AddPerfConsume(CLI::App& perf, CommandContext& context) {
  auto options = std::make_shared<PerfConsumeOptions>();
  CLI::App* command =
      AddCommand(perf, "consume", "Throughput of reading a topic to its end",
                 {"varve perf consume --topic orders",
                  "varve perf consume --topic orders --from @1h --duration 10s -o json"});
  command->add_option("--topic", options->topic, "Topic to read")->type_name("NAME")->required();
  command->add_option("--from", options->from, "Where to begin, as in varve consume")
      ->type_name("POSITION")
      ->capture_default_str();
  command->add_option("--records", options->limits.records, "Stop after about so many records")
      ->type_name("N");
  AddDuration(*command, "--duration", options->limits.duration, "Stop after this time");
  AddSize(*command, "--window-bytes", options->window_bytes, "What may be received ahead");
  AddBrokerViewOptions(*command, options->broker);
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return PerfConsume(context, *options); };
  });
}

}  // namespace varve::cli
