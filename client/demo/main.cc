// varve-demo: a real file through a broker that is killed on the way.
//
// Cuts the file into chunks, sends them through 8 partitions and every codec, kills the broker with
// SIGKILL while batches are unacknowledged, starts it again, reads the log to learn what arrived,
// checks that every acknowledged chunk is there and in order, sends the rest, and writes the file
// back from the log.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "client/demo/broker_process.h"
#include "client/demo/file_lanes.h"
#include "varve/varve.h"

namespace varve::demo {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr char kTopic[] = "demo-file";
constexpr size_t kChunkBytes = 64 * 1024;
// Batches that must be under way when the broker is killed.
constexpr uint64_t kUnacknowledgedAtKill = 10;

[[noreturn]] void Fail(const std::string& what) {
  std::cerr << "error: " << what << "\n";
  std::exit(1);
}

void Check(const Status& status, const std::string& what) {
  if (!status.ok()) Fail(what + ": " + status.ToString());
}

// Calls again while the connection to a broker that was just restarted is coming back.
template <class Call>
void CheckWithRetry(Call call, const std::string& what) {
  const auto give_up = steady_clock::now() + seconds(30);
  Status status = call();
  while (!status.ok() && status.retryable() && steady_clock::now() < give_up) {
    std::this_thread::sleep_for(milliseconds(20));
    status = call();
  }
  Check(status, what);
}

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// The file, mapped; the page cache holds it.
class InputFile {
 public:
  explicit InputFile(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size == 0)
      Fail("cannot read " + path + ": " + std::strerror(errno) +
           ". Give a file that is not empty.");
    size_ = static_cast<size_t>(info.st_size);
    void* at = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (at == MAP_FAILED) Fail("cannot map " + path + ": " + std::strerror(errno));
    bytes_ = static_cast<const char*>(at);
  }
  ~InputFile() { munmap(const_cast<char*>(bytes_), size_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] uint64_t chunks() const { return (size_ + kChunkBytes - 1) / kChunkBytes; }
  [[nodiscard]] std::string_view Chunk(uint64_t n) const {
    const size_t at = n * kChunkBytes;
    return {bytes_ + at, std::min(kChunkBytes, size_ - at)};
  }

 private:
  const char* bytes_ = nullptr;
  size_t size_ = 0;
};

// One round of sending: from where each lane stands to the end of the file, or to the broker's
// death.
class Loader {
 public:
  Loader(const Client& client, const InputFile& file, LaneLedger& ledger)
      : client_(client), file_(file), ledger_(ledger) {}

  // Sends until everything is acknowledged, or a batch fails. `on_progress` is called every few
  // milliseconds with the counts.
  struct Counts {
    uint64_t sent = 0, acknowledged = 0, unknown = 0, failed = 0;
  };
  template <class OnProgress>
  Counts Run(OnProgress on_progress) {
    std::vector<std::thread> senders;
    for (uint32_t codec = 0; codec < std::size(kCodecs); ++codec) {
      ProducerOptions options;
      options.compression = kCodecs[codec];
      options.retry_unknown = false;  // the log says what arrived; nothing may arrive twice
      options.batch_bytes = 1024;     // each chunk is a batch of its own
      options.batch_max_bytes = 2 * kChunkBytes;
      options.buffer_bytes = 4 * 1024 * 1024;
      options.delivery_timeout = seconds(120);
      auto producer = Producer::Create(client_, options);
      Check(producer.status(), "creating a producer");
      producers_.push_back(std::make_unique<Producer>(std::move(*producer)));
    }
    for (uint32_t codec = 0; codec < std::size(kCodecs); ++codec)
      senders.emplace_back([this, codec] { SendCodec(codec); });
    while (left_.load() > 0 && !stop_.load()) {
      on_progress(Read());
      std::this_thread::sleep_for(milliseconds(2));
    }
    for (std::thread& sender : senders) sender.join();
    for (auto& producer : producers_)
      (void)producer->Close(stop_.load() ? milliseconds(200) : milliseconds(60000));
    return Read();
  }
  void Stop() { stop_.store(true); }

 private:
  Counts Read() {
    Counts out;
    for (const auto& producer : producers_) out.sent += producer->stats().batches_sent;
    out.acknowledged = acknowledged_.load();
    out.unknown = unknown_.load();
    out.failed = failed_.load();
    return out;
  }

  void SendCodec(uint32_t codec) {
    std::map<uint64_t, uint32_t>
        next;  // chunk -> its partition; lanes of this codec, lowest chunk first
    for (uint32_t lane = codec * kPartitions; lane < (codec + 1) * kPartitions; ++lane)
      if (const auto chunk = ledger_.NextOf(lane)) next[*chunk] = PlaceChunk(*chunk).partition;
    while (!next.empty() && !stop_.load()) {
      auto node = next.extract(next.begin());
      const uint64_t chunk = node.key();
      if (!SendChunk(*producers_[codec], chunk, node.mapped())) break;
      if (chunk + kLanes < file_.chunks()) next[chunk + kLanes] = node.mapped();
    }
    (void)producers_[codec]->Flush(stop_.load() ? milliseconds(1) : milliseconds(120'000));
    left_.fetch_sub(1);
  }

  bool SendChunk(Producer& producer, uint64_t chunk, uint32_t partition) {
    const std::string key = ChunkKey(chunk);
    ProducerRecord record;
    record.topic = kTopic;
    record.partition = partition;
    record.key = key;
    record.value = file_.Chunk(chunk);
    const Status status = producer.Send(record, [this, chunk](const DeliveryReport& report) {
      if (report.status.ok()) {
        std::lock_guard lock(mutex_);
        ledger_.Acknowledge(chunk);
        acknowledged_.fetch_add(1);
        return;
      }
      (report.status.outcome() == RequestOutcome::kUnknown ? unknown_ : failed_).fetch_add(1);
      stop_.store(true);
    });
    if (!status.ok()) stop_.store(true);
    return status.ok();
  }

  const Client& client_;
  const InputFile& file_;
  LaneLedger& ledger_;  // guarded by mutex_ while callbacks run
  std::mutex mutex_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::atomic<uint64_t> acknowledged_{0}, unknown_{0}, failed_{0};
  std::atomic<uint32_t> left_{std::size(kCodecs)};
  std::atomic<bool> stop_{false};
};

// Reads the whole log into the ledger; with `output`, also writes each chunk to its place.
uint64_t ReadBack(const Client& client, LaneLedger& ledger, int output) {
  ledger.BeginReading();
  auto reader = Reader::Create(client);
  Check(reader.status(), "creating a reader");
  CheckWithRetry([&] { return reader->AssignTopic(kTopic, StartPosition::Start(), seconds(30)); },
                 "assigning the topic");
  CheckWithRetry([&] { return reader->StopAtEnd(seconds(30)); }, "finding the end of the topic");
  uint64_t records = 0;
  while (!reader->AtStop()) {
    auto batch = reader->Poll(seconds(10));
    if (!batch.ok() && batch.status().retryable()) continue;
    Check(batch.status(), "reading");
    for (const ReadRecord& record : *batch) {
      const auto chunk = ParseChunkKey(record.key.value_or(""));
      if (!chunk)
        Fail("a record without a chunk number at offset " + std::to_string(record.offset));
      if (std::string wrong = ledger.Read(*chunk, record.partition); !wrong.empty()) Fail(wrong);
      if (output >= 0 && pwrite(output, record.value->data(), record.value->size(),
                                static_cast<off_t>(*chunk * kChunkBytes)) !=
                             static_cast<ssize_t>(record.value->size()))
        Fail(std::string("cannot write the output: ") + std::strerror(errno));
      ++records;
    }
  }
  return records;
}

struct Options {
  std::string varved, file, output, directory;
};

Options ParseOptions(int argc, char** argv) {
  Options out;
  const std::map<std::string, std::string*> known = {{"--varved", &out.varved},
                                                     {"--file", &out.file},
                                                     {"--output", &out.output},
                                                     {"--directory", &out.directory}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto at = known.find(argv[i]);
    if (at != known.end()) *at->second = argv[i + 1];
  }
  if (out.varved.empty() || out.file.empty() || out.output.empty() || out.directory.empty()) {
    std::cerr
        << "usage: varve-demo --varved PROGRAM --file INPUT --output FILE --directory DIR\n"
           "  Sends INPUT through a broker with its data in DIR, kills the broker on the way, and\n"
           "  writes what the log holds to FILE.\n";
    std::exit(2);
  }
  return out;
}

// Loads until the kill; true when enough batches were under way.
bool LoadAndKill(BrokerProcess& broker, const Client& client, const InputFile& file,
                 LaneLedger& ledger) {
  Loader loader(client, file, ledger);
  bool killed = false;
  const uint64_t enough = file.chunks() * 2 / 5;
  const auto counts = loader.Run([&](const Loader::Counts& now) {
    if (killed || now.acknowledged < enough || now.sent < now.acknowledged + kUnacknowledgedAtKill)
      return;
    broker.Kill();
    killed = true;
    std::printf("  kill -9 of the broker: %lu chunks acknowledged, %lu batches under way\n",
                static_cast<unsigned long>(now.acknowledged),
                static_cast<unsigned long>(now.sent - now.acknowledged));
  });
  if (!killed) Fail("the broker was never killed: the file is too small for this demonstration");
  std::printf("  batches whose fate the loader does not know: %lu\n",
              static_cast<unsigned long>(counts.unknown));
  return counts.unknown >= kUnacknowledgedAtKill;
}

void RunJob(const Options& options) {
  const InputFile file(options.file);
  LaneLedger ledger(file.chunks());
  BrokerProcess broker(
      {options.varved, options.directory + "/data", options.directory + "/varved.log", {}});
  auto begin = steady_clock::now();
  if (std::string wrong = broker.Start(); !wrong.empty()) Fail(wrong);
  std::printf("  broker ready on %s in %.0f ms\n", broker.grpc_address().c_str(),
              SecondsSince(begin) * 1000);
  ClientOptions client_options;
  client_options.bootstrap = {broker.grpc_address()};
  client_options.client_id = "varve-demo";
  auto client = Client::Create(client_options);
  Check(client.status(), "creating the client");
  NewTopic topic;
  topic.name = kTopic;
  topic.partitions = kPartitions;
  Check(Admin(*client).CreateTopic(topic).status(), "creating the topic");
  std::printf(
      "  sending %lu chunks of %zu KiB through %u partitions with none, gzip, snappy, lz4, zstd\n",
      static_cast<unsigned long>(file.chunks()), kChunkBytes / 1024, kPartitions);
  begin = steady_clock::now();
  if (!LoadAndKill(broker, *client, file, ledger))
    Fail("fewer than 10 batches were unacknowledged at the kill; run it again");

  const auto restart = steady_clock::now();
  if (std::string wrong = broker.Start(); !wrong.empty()) Fail(wrong);
  std::printf("  broker restarted and ready in %.0f ms\n", SecondsSince(restart) * 1000);
  const uint64_t found = ReadBack(*client, ledger, -1);
  if (std::string loss = ledger.FindLoss(); !loss.empty()) Fail("LOST: " + loss);
  std::printf(
      "  the log holds %lu chunks: all %lu acknowledged ones, in order, and %lu of the others\n",
      static_cast<unsigned long>(found), static_cast<unsigned long>(ledger.acknowledged_count()),
      static_cast<unsigned long>(ledger.unacknowledged_seen()));
  Loader rest(*client, file, ledger);
  const auto counts = rest.Run([](const Loader::Counts&) {});
  if (counts.unknown + counts.failed > 0) Fail("the second part of the file was not acknowledged");
  std::printf("  resumed behind them: %lu more chunks acknowledged\n",
              static_cast<unsigned long>(counts.acknowledged));
  const double load_seconds = SecondsSince(begin);

  const int output = open(options.output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (output < 0) Fail("cannot create " + options.output + ": " + std::strerror(errno));
  begin = steady_clock::now();
  const uint64_t records = ReadBack(*client, ledger, output);
  close(output);
  if (records != file.chunks())
    Fail("the log holds " + std::to_string(records) + " chunks in the end");
  std::printf("  loaded in %.1f s (kill and restart included), read back in %.1f s (%.0f MB/s)\n",
              load_seconds, SecondsSince(begin),
              static_cast<double>(file.size()) / 1e6 / SecondsSince(begin));
  if (const int code = broker.Terminate(); code != 0)
    Fail("varved ended with exit code " + std::to_string(code) + " on SIGTERM");
  std::printf("  broker stopped cleanly\n");
}

}  // namespace
}  // namespace varve::demo

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  varve::demo::RunJob(varve::demo::ParseOptions(argc, argv));
  return 0;
}
