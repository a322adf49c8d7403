// varve produce TOPIC [VALUE...]
#include <memory>
#include <optional>

#include "client/cli/command_options.h"
#include "client/cli/delivery_ledger.h"
#include "client/cli/record_format.h"
#include "client/cli/record_source.h"
#include "client/cli/terminal.h"
#include "varve/producer.h"

namespace varve::cli {
namespace {

struct ProduceOptions {
  std::string topic;
  std::vector<std::string> values;
  std::string file = "-";
  std::string key;
  bool key_given = false;
  std::string key_separator;
  std::vector<std::string> headers;
  int64_t partition = -1;
  std::string records = "lines";
  bool tombstones = false;
  Compression compression = Compression::kNone;
  uint64_t batch_bytes = 128 * 1024;
  std::chrono::nanoseconds linger = std::chrono::milliseconds(2);
  std::chrono::nanoseconds delivery_timeout = std::chrono::seconds(30);
};

// "k=v" to views into `texts`; "k" alone is a header without value.
Result<std::vector<HeaderView>> ParseHeaders(const std::vector<std::string>& texts) {
  std::vector<HeaderView> headers;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == 0 || text.empty())
      return UsageError("header \"" + text + "\" has no name", "Write -H name=value.");
    HeaderView header{.key = std::string_view(text).substr(0, equals)};
    if (equals != std::string::npos) header.value = std::string_view(text).substr(equals + 1);
    headers.push_back(header);
  }
  return headers;
}

// Sends what a source yields, until it ends, something fails or the user interrupts.
class Sender {
 public:
  Sender(const ProduceOptions& options, std::string separator, std::vector<HeaderView> headers,
         Producer& producer, DeliveryLedger& ledger)
      : options_(options),
        separator_(std::move(separator)),
        headers_(std::move(headers)),
        producer_(producer),
        ledger_(ledger) {}

  // False: stop.
  bool Send(std::string_view text) {
    const KeyedValue split = SplitKey(text, separator_);
    ProducerRecord record{.topic = options_.topic, .value = split.value, .headers = headers_};
    if (split.key) {
      record.key = split.key;
    } else if (options_.key_given) {
      record.key = options_.key;
    }
    if (options_.tombstones && split.value.empty()) record.value = std::nullopt;
    if (options_.partition >= 0) record.partition = static_cast<uint32_t>(options_.partition);
    const uint64_t bytes = split.value.size() + (record.key ? record.key->size() : 0);
    const Status status = producer_.Send(
        record,
        [ledger = &ledger_, bytes](const DeliveryReport& report) { ledger->Add(report, bytes); });
    if (!status.ok()) ledger_.AddRefused(status);
    return status.ok() && ledger_.failed() == 0;
  }

  void SendAll(RecordSource& source) {
    while (true) {
      const Result<std::optional<std::string_view>> record = source.Next();
      // The input may have been cut within a record by the interrupt.
      if (Interrupted()) return;
      if (!record.ok()) return ledger_.AddRefused(record.status());
      if (!record->has_value() || !Send(**record)) return;
    }
  }

 private:
  const ProduceOptions& options_;
  const std::string separator_;
  const std::vector<HeaderView> headers_;
  Producer& producer_;
  DeliveryLedger& ledger_;
};

Status SendInput(const ProduceOptions& options, Sender& sender) {
  if (!options.values.empty()) {
    for (const std::string& value : options.values) {
      if (!sender.Send(value)) break;
    }
    return Status();
  }
  const Result<RecordCut> cut = ParseRecordCut(options.records);
  if (!cut.ok()) return cut.status();
  Result<InputFile> input = InputFile::Open(options.file);
  if (!input.ok()) return input.status();
  RecordSource source(*cut, [&](char* buffer, size_t size) { return input->Read(buffer, size); });
  sender.SendAll(source);
  return Status();
}

Result<Producer> CreateProducer(const GlobalOptions& global, const ProduceOptions& options) {
  const Result<Client> client = Connect(global);
  if (!client.ok()) return client.status();
  ProducerOptions producer;
  producer.batch_bytes = options.batch_bytes;
  producer.batch_max_bytes = std::max(producer.batch_max_bytes, producer.batch_bytes);
  producer.compression = options.compression;
  producer.linger = std::chrono::duration_cast<std::chrono::microseconds>(options.linger);
  producer.delivery_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.delivery_timeout);
  return Producer::Create(*client, producer);
}

CommandEnd Produce(const GlobalOptions& global, const ProduceOptions& options) {
  const Result<std::vector<HeaderView>> headers = ParseHeaders(options.headers);
  if (!headers.ok()) return headers.status();
  const Result<std::string> separator = Unescape(options.key_separator);
  if (!separator.ok()) return separator.status();
  if (options.key_given && !separator->empty())
    return UsageError("--key and --key-separator exclude each other", "Give one of them.");
  DeliveryLedger ledger(options.topic);
  Result<Producer> producer = CreateProducer(global, options);
  if (!producer.ok()) return producer.status();
  CatchInterrupts();
  Sender sender(options, *separator, *headers, *producer, ledger);
  const Status input = SendInput(options, sender);
  const Status closed = producer->Close(
      std::chrono::duration_cast<std::chrono::milliseconds>(options.delivery_timeout));
  if (!input.ok()) return input;
  const CommandEnd end = ledger.End();
  if (global.output == OutputFormat::kJson) {
    if (Status status = WriteOut(ledger.Json() + "\n"); !status.ok()) return status;
  } else if (!global.quiet) {
    WriteErr(ledger.Text() + "\n");
  }
  if (!end.error.ok() || closed.ok()) return end;
  return closed;
}

void AddInputOptions(CLI::App& command, ProduceOptions& options) {
  command.add_option("TOPIC", options.topic, "Topic to produce to")->required();
  command.add_option("VALUE", options.values,
                     "Values of the records; without any, the input is read");
  command.add_option("--file", options.file, "Input; - is standard input")
      ->type_name("FILE")
      ->capture_default_str();
  command
      .add_option("--records", options.records,
                  "How the input is cut: lines, length-prefixed (4 bytes, big endian) or "
                  "whole-file-chunks:SIZE")
      ->type_name("CUT")
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "-k,--key",
          [&options](const std::string& key) {
            options.key = key;
            options.key_given = true;
          },
          "Key of every record")
      ->type_name("KEY");
  command
      .add_option("--key-separator", options.key_separator,
                  "What separates key and value within a record; \\t and \\xHH are understood")
      ->type_name("SEP");
  command.add_option("-H,--header", options.headers, "Header of every record; repeatable")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  command.add_flag("--tombstones", options.tombstones,
                   "An empty value is sent as none: it deletes its key");
}

void AddSendOptions(CLI::App& command, ProduceOptions& options) {
  command
      .add_option("-p,--partition", options.partition,
                  "Partition; default: by key, or one after another")
      ->type_name("N")
      ->check(CLI::Range(int64_t{0}, int64_t{UINT32_MAX}));
  AddCompression(command, options.compression);
  AddSize(command, "--batch-bytes", options.batch_bytes, "Size at which a batch is sent at once");
  AddDuration(command, "--linger", options.linger, "How long a batch waits for more records");
  AddDuration(command, "--delivery-timeout", options.delivery_timeout,
              "How long a record may take, retries included");
}

}  // namespace

void AddProduceCommand(CLI::App& root, CommandContext& context) {
  auto options = std::make_shared<ProduceOptions>();
  CLI::App* command =
      AddCommand(root, "produce", "Send records and wait until they are durable",
                 {"varve produce orders 'first order' 'second order'",
                  "varve produce orders --key-separator : -H source=till < orders.txt",
                  "varve produce images --file photo.tar --records whole-file-chunks:64KiB"});
  AddInputOptions(*command, *options);
  AddSendOptions(*command, *options);
  AddCommonOptions(*command, context.options, {"table", "json"});
  command->callback([&context, options] {
    context.action = [&context, options] { return Produce(context.options, *options); };
  });
}

}  // namespace varve::cli
