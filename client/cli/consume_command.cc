// varve consume TOPIC
#include <algorithm>
#include <chrono>
#include <memory>

#include "client/cli/command_options.h"
#include "client/cli/position.h"
#include "client/cli/quantity.h"
#include "client/cli/record_format.h"
#include "client/cli/terminal.h"
#include "varve/admin.h"
#include "varve/reader.h"

namespace varve::cli {
namespace {

// How soon an interrupt is noticed.
constexpr std::chrono::milliseconds kPollTime{100};

struct ConsumeOptions {
  std::string topic;
  std::string partition = "all";
  std::string from = "start";
  uint64_t count = 0;
  bool exit_at_end = false;
  std::string format = "%v\\n";
  bool format_given = false;
};

Result<std::vector<uint32_t>> ParsePartitions(Admin& admin, const ConsumeOptions& options) {
  if (options.partition != "all") {
    const Result<uint64_t> number = ParseCount(options.partition);
    if (!number.ok() || *number > UINT32_MAX)
      return UsageError("\"" + options.partition + "\" is not a partition",
                        "Write a number, or all.");
    return std::vector<uint32_t>{static_cast<uint32_t>(*number)};
  }
  const Result<TopicDescription> topic = admin.GetTopic(options.topic);
  if (!topic.ok()) return topic.status();
  std::vector<uint32_t> all(topic->partition_count);
  for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

// Prints records until the count, the end or an interrupt.
class Printer {
 public:
  Printer(const GlobalOptions& global, const ConsumeOptions& options, RecordFormat format,
          bool json)
      : global_(global), options_(options), format_(std::move(format)), json_(json) {}

  // The first error of a partition does not stop the others; the last one is how the command ends.
  CommandEnd Run(Reader& reader) {
    while (!Done() && !Interrupted()) {
      Result<Records> records = reader.Poll(kPollTime);
      if (!records.ok()) {
        if (!GoOnAfter(records.status(), reader)) break;
        continue;
      }
      if (!records->empty()) silent_since_ = {};
      if (records->empty() && options_.exit_at_end && reader.AtStop()) break;
      if (Status status = Print(*records); !status.ok()) return status;
    }
    if (failure_.ok()) return Status();
    return printed_ > 0 ? CommandEnd(kExitPartial, failure_) : CommandEnd(failure_);
  }

  [[nodiscard]] std::string Summary() const {
    return "consumed " + std::to_string(printed_) + (printed_ == 1 ? " record, " : " records, ") +
           HumanSize(bytes_) + ", from " + options_.topic;
  }

 private:
  [[nodiscard]] bool Done() const { return options_.count > 0 && printed_ >= options_.count; }

  // Connection trouble passes while following, and is told once; a reader of what is there now
  // waits no longer than --timeout. The failure of one partition leaves the others.
  bool GoOnAfter(const Status& status, Reader& reader) {
    if (status.retryable()) {
      const auto now = std::chrono::steady_clock::now();
      if (silent_since_ == std::chrono::steady_clock::time_point()) {
        silent_since_ = now;
        if (!global_.quiet) WriteErr("warning: " + std::string(status.message()) + "; retrying\n");
      }
      if (!options_.exit_at_end || now - silent_since_ < global_.timeout) return true;
      failure_ = status;
      return false;
    }
    if (failure_.ok()) failure_ = status;
    return !status.Detail("partition").empty() && ++failed_partitions_ < reader.positions().size();
  }

  Status Print(const Records& records) {
    out_.clear();
    for (const ReadRecord& record : records) {
      if (Done()) break;
      if (json_) {
        AppendJson(record, out_);
        out_ += '\n';
      } else {
        format_.Append(record, out_);
      }
      ++printed_;
      bytes_ += (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
    }
    return WriteOut(out_);
  }

  const GlobalOptions& global_;
  const ConsumeOptions& options_;
  const RecordFormat format_;
  const bool json_;
  std::string out_;
  uint64_t printed_ = 0;
  uint64_t bytes_ = 0;
  size_t failed_partitions_ = 0;
  Status failure_;
  std::chrono::steady_clock::time_point silent_since_;  // the epoch: not silent
};

CommandEnd Consume(const GlobalOptions& global, const ConsumeOptions& options) {
  const bool json = global.output == OutputFormat::kJsonLines;
  if (json && options.format_given)
    return UsageError("--format and -o jsonl exclude each other", "Give one of them.");
  const Result<RecordFormat> format = RecordFormat::Parse(options.format);
  if (!format.ok()) return format.status();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const Result<FromPosition> from = ParsePosition(
      options.from, std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  if (!from.ok()) return from.status();

  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  Admin admin(*client);
  const Result<std::vector<uint32_t>> partitions = ParsePartitions(admin, options);
  if (!partitions.ok()) return partitions.status();
  Result<std::vector<Assignment>> start =
      ResolvePositions(admin, options.topic, *partitions, *from);
  if (!start.ok()) return start.status();
  Result<Reader> reader = Reader::Create(*client);
  if (!reader.ok()) return reader.status();
  CatchInterrupts();
  if (Status status = reader->Assign(std::move(*start)); !status.ok()) return status;
  if (options.exit_at_end) {
    if (Status status = reader->StopAtEnd(TimeoutOf(global)); !status.ok()) return status;
  }
  Printer printer(global, options, *format, json);
  CommandEnd end = printer.Run(*reader);
  reader->Close();
  if (!global.quiet && (Interrupted() || IsTerminal(2))) WriteErr(printer.Summary() + "\n");
  return end;
}

}  // namespace

void AddConsumeCommand(CLI::App& root, CommandContext& context) {
  auto options = std::make_shared<ConsumeOptions>();
  CLI::App* command =
      AddCommand(root, "consume", "Print records of a topic, and follow it until interrupted",
                 {"varve consume orders --from -10 -e",
                  "varve consume orders --from @2h -n 100 -f '%p %o %k=%v\\n'",
                  "varve consume orders -e -o jsonl | jq -r .value"});
  command->add_option("TOPIC", options->topic, "Topic to read")->required();
  command->add_option("-p,--partition", options->partition, "Partition, or all")
      ->type_name("N|all")
      ->capture_default_str();
  command
      ->add_option("--from", options->from,
                   "start, end, an offset, -N (the last N of each partition), @2h (since two hours "
                   "ago) or a time (RFC 3339)")
      ->type_name("POSITION")
      ->capture_default_str();
  command->add_option("-n,--count", options->count, "Stop after so many records")->type_name("N");
  command->add_flag("-e,--exit", options->exit_at_end, "Stop at the end instead of following");
  command
      ->add_option_function<std::string>(
          "-f,--format",
          [options](const std::string& format) {
            options->format = format;
            options->format_given = true;
          },
          "%k key, %v value, %h headers, %t topic, %p partition, %o offset, %T timestamp in ms, %D "
          "timestamp, %K and %V lengths, \\n \\t \\xHH")
      ->type_name("FORMAT")
      ->default_str("%v\\n");
  AddCommonOptions(*command, context.options, {"table", "jsonl"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Consume(context.options, *options); };
  });
}

}  // namespace varve::cli
