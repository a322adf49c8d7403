// Real threads and real files: logs that write, truncate, roll and are read all at once.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "common/error.h"
#include "common/strings.h"
#include "tests/storage/directory_host.h"
#include "tests/storage/storage_threads.h"

namespace varve::storage {
namespace {

constexpr int kLogs = 4;
constexpr int kWritesPerLog = 150;

// One log and its shard. Writes chain; reads of random places go on beside them.
struct Shard {
  Shard(GroupId g, uint64_t seed)
      : group(g),
        executor(ThreadExecutor(StrCat("shard", g.value()))),
        random(SeededRandom(seed)) {}

  void Write() {
    if (written == kWritesPerLog) return finished.set_value();
    ++written;
    LogWrite write;
    LogEnd end = log->end();
    std::vector<EpochStart> epochs = log->epochs();
    const Index committed = log->commit_index();
    if (random->OneIn(6) && end.last_index > committed + 1) {
      write.truncate_from = end.last_index;
      end = before_last;
      while (!epochs.empty() && epochs.back().index >= *write.truncate_from) epochs.pop_back();
      term = term + 1;
      write.hard_state = HardState{term, {}};
    }
    size_t bytes = 0;
    const auto add = [&](Entry entry) {
      before_last = end;
      end = EndAfter(entry);
      if (!entry.header.zero_width()) bytes += entry.frame.size();
      write.entries.push_back(std::move(entry));
    };
    if (random->OneIn(10)) add(RollEntry(group, end, term, epochs));
    for (uint64_t i = 0; i < 1 + random->Below(3); ++i)
      add(DataEntry(group, end, term, 1, random->Below(4000)));
    if (random->OneIn(8)) {
      const int64_t width = end.next_offset - log->start().offset;
      add(TrimEntry(group, end, term,
                    log->start().offset +
                        static_cast<int64_t>(random->Below(static_cast<uint64_t>(width) / 2 + 1))));
    }
    write.commit_index = Index{std::max<uint64_t>(committed.value(), end.last_index.value() - 3)};
    Reserve(bytes, std::move(write));
  }

  void Reserve(size_t bytes, LogWrite write) {
    auto held = std::make_shared<LogWrite>(std::move(write));
    Task again = [this, bytes, held] {
      executor->Post([this, bytes, held] { Reserve(bytes, std::move(*held)); });
    };
    if (bytes > 0 && !directory->TryReserveDirty(bytes, std::move(again))) return;
    log->Write(std::move(*held), [this](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      Write();
    });
    Read();
  }

  void Read() {
    const Index through = log->commit_index();
    const Index first = log->start().index;
    const Index from = first + random->Below(static_cast<uint64_t>(through - first) + 1);
    log->Read(from, through, 10'000, [this, from](absl::StatusOr<ReadResult> read) {
      // What a trim took since it was asked for is gone, and nothing else.
      EXPECT_TRUE(read.ok() || from < log->start().index) << read.status();
      if (!read.ok()) return;
      EXPECT_FALSE(read->entries.empty());
      if (!read->entries.empty()) {
        EXPECT_EQ(read->entries[0].header.first_index, from);
      }
      ++reads;
    });
    const Offset lowest = log->start().offset;
    const Offset offset = lowest + static_cast<int64_t>(random->Below(
                                       1 + static_cast<uint64_t>(log->end().next_offset - lowest)));
    log->ReadOffset(offset, log->end().last_index, 1, [this, offset](auto read) {
      EXPECT_TRUE(read.ok() || offset < log->start().offset) << read.status();
      ++reads;
    });
    log->FindAppendTime(WallTime{1000} + random->Below(600), through, [this](auto found) {
      EXPECT_TRUE(found.ok()) << found.status();
      ++reads;
    });
  }

  const GroupId group;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<Random> random;
  DataDirectory* directory = nullptr;
  std::unique_ptr<PartitionLog> log;
  Term term{1};
  LogEnd before_last;
  int written = 0;
  std::atomic<int> reads{0};
  std::promise<void> finished;
};

std::string FreshPath() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string path = StrCat(base == nullptr ? "." : base, "/segment_log_stress");
  std::filesystem::remove_all(path);
  return path;
}

DataDirectoryOptions Options(const std::string& path) {
  DataDirectoryOptions options = SmallOptions();
  options.path = path;
  options.journal.file_bytes = 512 << 10;
  options.sync_interval = 10 * kMillisecond;
  options.trash_delay = 20 * kMillisecond;
  options.scrub_period = 20 * kMillisecond;
  return options;
}

template <class Step>
void RunOn(Executor& executor, Step step) {
  std::promise<void> ran;
  executor.Post([&] {
    step();
    ran.set_value();
  });
  ran.get_future().wait();
}

void Create(DataDirectory& directory, Shard& shard) {
  std::promise<void> created;
  shard.directory = &directory;
  directory.CreateLog(shard.group, ReplicaEpoch{1}, TestBootstrap(), *shard.executor,
                      [&](auto log) {
                        EXPECT_TRUE(log.ok()) << log.status();
                        if (log.ok()) shard.log = *std::move(log);
                        created.set_value();
                      });
  created.get_future().wait();
}

// Scrubbing beside all the writes accuses none.
void ExpectSound(const DataDirectory& directory) {
  EXPECT_TRUE(directory.health().ok()) << directory.health();
  const ScrubStats scrubbed = directory.scrub_stats();
  EXPECT_EQ(scrubbed.damaged, 0u);
  EXPECT_EQ(scrubbed.errors, 0u);
  EXPECT_GT(scrubbed.bytes, 0u);
}

TEST(SegmentLogStress, ConcurrentLogsAndReaders) {
  const std::string path = FreshPath();
  std::vector<LogEnd> ends;
  {
    // Shards go last: answers are posted to them until the threads of the storage have ended.
    std::vector<std::unique_ptr<Shard>> shards;
    Shard passing(GroupId{500}, 9);  // created and removed beside them
    StorageThreads threads;
    auto random = SeededRandom(1);
    auto directory = DataDirectory::Open(RealFileSystem(), RealClock(), *random, Options(path),
                                         threads.executors());
    ASSERT_TRUE(directory.ok()) << directory.status();
    for (uint64_t i = 0; i < kLogs; ++i) {
      shards.push_back(std::make_unique<Shard>(GroupId{100 + i}, i));
      ASSERT_NO_FATAL_FAILURE(Create(**directory, *shards.back()));
    }
    for (auto& shard : shards) {
      shard->executor->Post([&shard] {
        shard->log->Write({{}, {}, HardState{Term{1}, {}}, {}, {}},
                          [&shard](const absl::Status& s) {
                            EXPECT_TRUE(s.ok()) << s;
                            shard->before_last = {};
                            shard->Write();
                          });
      });
    }
    for (int i = 0; i < 10; ++i) {
      ASSERT_NO_FATAL_FAILURE(Create(**directory, passing));
      std::promise<void> removed;
      RunOn(*passing.executor, [&] { passing.log.reset(); });
      (*directory)->RemoveLog(passing.group, *passing.executor, [&](const absl::Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        removed.set_value();
      });
      removed.get_future().wait();
    }
    for (auto& shard : shards) {
      shard->finished.get_future().wait();
      RunOn(*shard->executor, [&] {
        ends.push_back(shard->log->end());
        shard->log.reset();
      });
      EXPECT_GT(shard->reads, 0);
    }
    ExpectSound(**directory);
    // No Close: the directory goes while tasks of it still wait on the executors.
    directory->reset();
  }
  StorageThreads threads;
  auto random = SeededRandom(2);
  auto directory = DataDirectory::Open(RealFileSystem(), RealClock(), *random, Options(path),
                                       threads.executors());
  ASSERT_TRUE(directory.ok()) << directory.status();
  auto shard = ThreadExecutor("shard");
  ASSERT_EQ((*directory)->groups().size(), ends.size());
  for (size_t i = 0; i < ends.size(); ++i) {
    auto log = (*directory)->OpenLog(GroupId{100 + i}, *shard);
    ASSERT_TRUE(log.ok());
    RunOn(*shard, [&] {
      EXPECT_EQ((*log)->end(), ends[i]);
      log->reset();
    });
  }
  std::promise<absl::Status> closed;
  (*directory)->Close([&](absl::Status status) { closed.set_value(std::move(status)); });
  const absl::Status status = closed.get_future().get();
  EXPECT_TRUE(status.ok()) << status;
  directory->reset();
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace varve::storage
