// varve-history-record: loads a topic and writes down what its clients saw.
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/recorder/recorded_reader.h"
#include "tests/integration/recorder/recorded_run.h"
#include "tests/integration/recorder/recorded_writer.h"
#include "varve/admin.h"

namespace varve::testing {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Options {
  std::vector<std::string> servers;
  std::string topic = "history";
  std::string out;
  uint32_t writers = 2;  // for each partition; every second one sends what is unknown again
  uint32_t readers = 2;
  double rate = 1500;
  size_t record_bytes = 128;
  uint64_t seed = 0;
  uint32_t delivery_seconds = 60;
  uint32_t patience_seconds = 60;
};

int Fail(std::string_view what) {
  std::cerr << "varve-history-record: " << what << '\n';
  return kFailed;
}

// The partitions of the topic, once a broker answers.
Result<uint32_t> PartitionsOf(const Client& client, const std::string& topic) {
  Admin admin(client);
  const Result<TopicDescription> description = admin.GetTopic(topic);
  if (!description.ok()) return description.status();
  return description->partition_count;
}

class Recording {
 public:
  Recording(RecordedRun& run, const Options& options) : run_(run), options_(options) {}

  Status Start() {
    const auto partitions = static_cast<uint32_t>(run_.keys.size());
    const double rate = options_.rate / (partitions * options_.writers);
    for (uint32_t i = 0; i < partitions * options_.writers; ++i) {
      WriterOptions writer;
      writer.partition = i % partitions;
      writer.records_per_second = rate;
      writer.record_bytes = options_.record_bytes;
      writer.retry_unknown = (i / partitions) % 2 == 0;
      writer.delivery_timeout = std::chrono::seconds(options_.delivery_seconds);
      writers_.push_back(std::make_unique<RecordedWriter>(run_, writer));
      if (Status status = writers_.back()->Start(); !status.ok()) return status;
    }
    for (uint32_t i = 0; i < options_.readers; ++i) {
      readers_.push_back(std::make_unique<RecordedReader>(run_));
      readers_.back()->Start();
    }
    return Status();
  }

  // Until standard input ends. False when the history cannot be written.
  bool UntilInputEnds() {
    while (true) {
      pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
      char bytes[64];
      if (::poll(&input, 1, 100) > 0 && ::read(STDIN_FILENO, bytes, sizeof bytes) <= 0) return true;
      if (!run_.sink.Flush()) return false;
      Tell();
    }
  }

  // Ends the load; then reads everything once more.
  Status Finish() {
    const auto patience = std::chrono::seconds(options_.patience_seconds);
    for (const auto& writer : writers_) writer->Stop();
    for (const auto& writer : writers_) writer->Close(patience);
    for (const auto& reader : readers_) reader->Stop();
    ReaderProcess final(run_, std::vector<int64_t>(run_.keys.size(), 0));
    Status status = final.Start();
    if (status.ok()) status = final.ReadToEnd(patience);
    const std::vector<uint32_t> processes(status.ok() ? 1 : 0, final.process());
    if (!run_.sink.Finish(processes))
      return Status({.reason = "LOCAL_ERROR", .message = "the history could not be written"});
    Tell();
    return status;
  }

 private:
  // One line of counters for who drives the run.
  void Tell() {
    nlohmann::ordered_json line = {{"now", HistoryNow()}};
    for (const auto& count : run_.acknowledged) line["acknowledged"].push_back(count.load());
    line["failed"] = run_.failed.load();
    line["unknown"] = run_.unknown.load();
    line["read"] = run_.records_read.load();
    {
      std::lock_guard lock(run_.mutex);
      line["problem_count"] = run_.problem_count;
      line["problems"] = run_.problems;
    }
    std::cout << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  }

  RecordedRun& run_;
  const Options& options_;
  std::vector<std::unique_ptr<RecordedWriter>> writers_;
  std::vector<std::unique_ptr<RecordedReader>> readers_;
};

int Record(const Options& options) {
  Result<Client> client =
      Client::Create({.bootstrap = options.servers, .client_id = "varve-history-record"});
  if (!client.ok()) return Fail(client.status().ToString());
  RecordedRun run(*client);
  run.topic = options.topic;
  const Result<uint32_t> partitions = PartitionsOf(*client, options.topic);
  if (!partitions.ok()) return Fail(partitions.status().ToString());
  for (uint32_t i = 0; i < *partitions; ++i) {
    run.keys.push_back(options.topic + "/" + std::to_string(i));
    run.acknowledged.emplace_back(0);
  }
  if (!run.sink.Open(options.out, options.seed)) return Fail(options.out + " cannot be written");
  Recording recording(run, options);
  if (const Status status = recording.Start(); !status.ok()) return Fail(status.ToString());
  if (!recording.UntilInputEnds()) return Fail(options.out + " cannot be written");
  const Status status = recording.Finish();
  return status.ok() ? kDone : Fail(status.ToString());
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Loads a topic until standard input ends, reads it once more, and writes down what its "
      "clients saw (docs/history.md). Counters go to standard output, a JSON object every 100 ms.");
  app.add_option("--server", options.servers, "host:port of brokers")->required()->delimiter(',');
  app.add_option("--topic", options.topic, "An existing topic without retention")->required();
  app.add_option("--out", options.out, "File of the history")->required();
  app.add_option("--writers", options.writers,
                 "Producers for each partition; the second of two does not retry the unknown")
      ->check(CLI::Range(1, 100));
  app.add_option("--readers", options.readers, "Readers of all partitions");
  app.add_option("--rate", options.rate, "Records per second, of all writers")
      ->check(CLI::PositiveNumber);
  app.add_option("--size", options.record_bytes, "Bytes of a record's value")
      ->check(CLI::Range(1, 100'000));
  app.add_option("--seed", options.seed, "Of the run; goes into the history");
  app.add_option("--delivery-timeout", options.delivery_seconds, "Of the producers, in seconds");
  app.add_option("--patience", options.patience_seconds,
                 "Seconds for the last reports, and for the final read");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsage;
  }
  return Record(options);
}

}  // namespace
}  // namespace varve::testing

int main(int argc, char** argv) { return varve::testing::Main(argc, argv); }
