// Appends to partition logs on a real file system, each entry waited for by its log until it is
// durable, beside the bare loop that nothing beats: one write and one fdatasync per entry. The
// directory is under TMPDIR.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "common/check.h"
#include "common/error.h"
#include "common/random.h"
#include "storage/data_directory.h"

namespace varve::storage {
namespace {

std::string MakeDirectory() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base == nullptr ? "/tmp" : base) + "/partition_log_bench.XXXXXX";
  VARVE_CHECK(mkdtemp(path.data()) != nullptr, path);
  return path;
}

void Check(const absl::Status& status) { VARVE_CHECK(status.ok(), MessageOf(status)); }

// The steps of one executor counted down by another thread.
class Latch {
 public:
  void Add(int n) { left_.fetch_add(n); }
  void Down() {
    if (left_.fetch_sub(1) == 1) left_.notify_all();
  }
  void Wait() {
    for (int left = left_.load(); left != 0; left = left_.load()) left_.wait(left);
  }

 private:
  std::atomic<int> left_ = 0;
};

class Host {
 public:
  Host() : path_(MakeDirectory()), random_(SystemRandom()) {
    DataDirectoryOptions options;
    options.path = path_;
    options.node = NodeId{1};
    auto opened =
        DataDirectory::Open(RealFileSystem(), RealClock(), *random_, options,
                            {journal_.get(), segments_.get(), sync_.get(), reader_.get()});
    Check(opened.status());
    directory_ = *std::move(opened);
  }
  ~Host() {
    OnShard([this] { logs_.clear(); });
    Latch closed;
    closed.Add(1);
    directory_->Close([&](const absl::Status& status) {
      Check(status);
      closed.Down();
    });
    closed.Wait();
    directory_.reset();
    std::filesystem::remove_all(path_);
  }

  void CreateLogs(int count) {
    Latch created;
    created.Add(count);
    Bootstrap bootstrap;
    bootstrap.configuration.voters = {{NodeId{1}, ReplicaEpoch{1}}};
    for (int i = 0; i < count; ++i) {
      directory_->CreateLog(kFirstTopicGroup + static_cast<uint64_t>(i), ReplicaEpoch{1}, bootstrap,
                            *shard_, [&](auto log) {
                              Check(log.status());
                              logs_.push_back(*std::move(log));
                              created.Down();
                            });
    }
    created.Wait();
  }

  // `in_flight` entries of every log, written one by one, until all are durable.
  void Round(int in_flight, size_t payload_bytes) {
    Latch durable;
    durable.Add(in_flight * static_cast<int>(logs_.size()));
    const size_t frame_bytes = kEntryHeaderBytes + payload_bytes;
    OnShard([&] {
      for (int i = 0; i < in_flight; ++i)
        for (const auto& log : logs_) WriteOne(*log, payload_bytes, &durable);
    });
    durable.Wait();
    bytes_ += frame_bytes * static_cast<size_t>(in_flight) * logs_.size();
  }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  [[nodiscard]] JournalStats stats() const { return directory_->journal_stats(); }

 private:
  // Zero-width entries: the log does not look into them, and charges the dirty budget itself. Their
  // checksum covers all bytes, as that of a batch does; it is part of what is measured.
  void WriteOne(PartitionLog& log, size_t payload_bytes, Latch* durable) {
    EntryHeader header;
    header.kind = EntryKind::kMeta;
    header.group = log.group();
    header.first_index = header.last_index = log.end().last_index + 1;
    header.term = Term{1};
    header.base_offset = log.end().next_offset;
    header.last_offset = header.base_offset - 1;
    header.append_time = log.end().append_time;
    LogWrite write;
    write.entries.push_back(FrameBuffer::Copy(std::string(payload_bytes, 'x')).Seal(header));
    log.Write(std::move(write), [durable](const absl::Status& status) {
      Check(status);
      durable->Down();
    });
  }
  void OnShard(const std::function<void()>& step) {
    Latch ran;
    ran.Add(1);
    shard_->Post([&] {
      step();
      ran.Down();
    });
    ran.Wait();
  }

  const std::string path_;
  const std::unique_ptr<Random> random_;
  const std::unique_ptr<Executor> journal_ = ThreadExecutor("journal");
  const std::unique_ptr<Executor> segments_ = ThreadExecutor("segments");
  const std::unique_ptr<Executor> sync_ = ThreadExecutor("sync");
  const std::unique_ptr<Executor> reader_ = ThreadExecutor("reader");
  const std::unique_ptr<Executor> shard_ = ThreadExecutor("shard");
  std::unique_ptr<DataDirectory> directory_;
  std::vector<std::unique_ptr<PartitionLog>> logs_;  // of the shard
  size_t bytes_ = 0;
};

// Arguments: logs, entries of each in flight, payload bytes.
void PartitionLogAppend(benchmark::State& state) {
  Host host;
  host.CreateLogs(static_cast<int>(state.range(0)));
  const auto in_flight = static_cast<int>(state.range(1));
  const auto payload_bytes = static_cast<size_t>(state.range(2));
  host.Round(in_flight, payload_bytes);
  const size_t bytes_before = host.bytes();
  const JournalStats before = host.stats();
  for (auto _ : state) host.Round(in_flight, payload_bytes);
  const JournalStats after = host.stats();
  const auto bytes = static_cast<double>(host.bytes() - bytes_before);
  state.SetBytesProcessed(static_cast<int64_t>(host.bytes() - bytes_before));
  state.SetItemsProcessed(static_cast<int64_t>(after.frames - before.frames));
  state.counters["commits"] = static_cast<double>(after.commits - before.commits);
  state.counters["journal/entry bytes"] = static_cast<double>(after.bytes - before.bytes) / bytes;
}
BENCHMARK(PartitionLogAppend)
    ->Args({1, 1, 128 << 10})
    ->Args({1, 32, 128 << 10})
    ->Args({1000, 1, 1 << 10})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// What the disk does for one writer: `range(0)` bytes and an fdatasync, one after another, into a
// file that already has its size.
void BareWriteAndSync(benchmark::State& state) {
  constexpr uint64_t kFileBytes = 64 << 20;
  const std::string directory = MakeDirectory();
  {
    auto file = RealFileSystem().Open(JoinPath(directory, "bare"), OpenMode::kCreate);
    Check(file.status());
    Check((*file)->Allocate(kFileBytes, true));
    Check((*file)->SyncData());
    const std::string bytes(static_cast<size_t>(state.range(0)), 'x');
    uint64_t position = 0;
    for (auto _ : state) {
      Check((*file)->WriteAt(position, bytes));
      Check((*file)->SyncData());
      position = (position + bytes.size()) % (kFileBytes - bytes.size());
    }
    state.SetBytesProcessed(state.iterations() * state.range(0));
  }
  std::filesystem::remove_all(directory);
}
BENCHMARK(BareWriteAndSync)
    ->Arg(128 << 10)
    ->Arg(4 << 20)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace varve::storage
