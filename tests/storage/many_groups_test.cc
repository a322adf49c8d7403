// One busy log among a thousand idle ones: nobody starves, and nobody holds up the others' files.
#include <gtest/gtest.h>

#include "common/limits.h"
#include "tests/storage/directory_host.h"

namespace varve::storage {
namespace {

// Passes everything on and counts the files that are open.
class CountingFiles final : public FileSystem {
 public:
  explicit CountingFiles(FileSystem& inner) : inner_(inner) {}
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = inner_.Open(path, mode);
    if (!file.ok()) return file.status();
    most = std::max(most, ++*open_);
    return std::make_unique<CountedFile>(*std::move(file), open_);
  }
  absl::Status CreateDirectory(const std::string& path) override {
    return inner_.CreateDirectory(path);
  }
  absl::StatusOr<std::vector<DirectoryEntry>> List(const std::string& path) override {
    return inner_.List(path);
  }
  absl::StatusOr<DirectoryEntry> Stat(const std::string& path) override {
    return inner_.Stat(path);
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    return inner_.Rename(from, to);
  }
  absl::Status RemoveFile(const std::string& path) override { return inner_.RemoveFile(path); }
  absl::Status RemoveDirectory(const std::string& path) override {
    return inner_.RemoveDirectory(path);
  }
  absl::Status SyncDirectory(const std::string& path) override {
    return inner_.SyncDirectory(path);
  }
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return inner_.Lock(path);
  }
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override { return inner_.Space(path); }

  int most = 0;

 private:
  class CountedFile final : public File {
   public:
    CountedFile(std::unique_ptr<File> inner, std::shared_ptr<int> open)
        : inner_(std::move(inner)), open_(std::move(open)) {}
    ~CountedFile() override { --*open_; }
    absl::Status WriteAt(uint64_t position, std::span<const std::string_view> pieces) override {
      return inner_->WriteAt(position, pieces);
    }
    absl::StatusOr<size_t> ReadAt(uint64_t position, size_t length, char* out) override {
      return inner_->ReadAt(position, length, out);
    }
    absl::Status SyncData() override { return inner_->SyncData(); }
    absl::Status StartWriteBack(uint64_t position, uint64_t length) override {
      return inner_->StartWriteBack(position, length);
    }
    absl::Status Truncate(uint64_t size) override { return inner_->Truncate(size); }
    absl::Status Allocate(uint64_t size, bool zero_fill) override {
      return inner_->Allocate(size, zero_fill);
    }
    absl::StatusOr<uint64_t> Size() override { return inner_->Size(); }

   private:
    const std::unique_ptr<File> inner_;
    const std::shared_ptr<int> open_;
  };

  FileSystem& inner_;
  const std::shared_ptr<int> open_ = std::make_shared<int>(0);
};

constexpr GroupId kHot{70'000};
constexpr uint64_t kIdle = 1000;
constexpr GroupId IdleGroup(uint64_t i) { return GroupId{100'000 + i}; }

DataDirectoryOptions Options() {
  DataDirectoryOptions options = SmallOptions();
  options.journal.file_bytes = 8 << 20;  // 20 times the checkpoint of so many replicas
  options.journal.max_live_files = 2;
  options.dirty_budget_bytes = 16 << 20;
  options.max_open_files = 32;
  options.max_unsynced_files = 16;
  return options;
}

class ManyGroups : public ::testing::Test {
 protected:
  void SetUp() override {
    host.files = &files;
    ASSERT_TRUE(host.Open().ok());
    int waiting = 0;
    const auto create = [&](GroupId group) {
      ++waiting;
      host.directory->CreateLog(group, ReplicaEpoch{1}, TestBootstrap(), *host.shard,
                                [&, group](auto log) {
                                  ASSERT_TRUE(log.ok()) << log.status();
                                  host.logs[group] = *std::move(log);
                                  --waiting;
                                });
    };
    create(kHot);
    for (uint64_t i = 0; i < kIdle; ++i) create(IdleGroup(i));
    ASSERT_TRUE(host.scheduler.RunUntil([&] { return waiting == 0; }, 10 * kSecond));
    // A disk that takes its time, so that there is always something to write.
    host.disk.AddFault({.kind = SimFault::Kind::kStall,
                        .path_prefix = "data/journal",
                        .stall = 500 * kMicrosecond});
  }
  // What follows in the hot group, `bytes` long.
  void WriteHot(size_t bytes) {
    LogWrite write;
    const PartitionLog& log = host.log(kHot);
    write.entries.push_back(DataEntry(kHot, log.end(), Term{1}, 1, bytes));
    write.commit_index = log.end().last_index;
    const size_t frame = write.entries[0].frame.size();
    if (!host.directory->TryReserveDirty(frame, nullptr)) return;
    ++hot_waiting;
    host.log(kHot).Write(std::move(write), [this](const absl::Status& status) {
      ASSERT_TRUE(status.ok()) << status;
      --hot_waiting;
      ++hot_done;
      last_done = host.scheduler.Now();
    });
  }
  // Runs `span` while the hot group has as much under way as the dirty budget takes.
  void RunHot(Nanos span, absl::AnyInvocable<void()> each = nullptr) {
    const MonoTime end = host.scheduler.Now() + span;
    while (host.scheduler.Now() < end) {
      host.OnShard([&] {
        for (int i = 0; i < 4 && hot_waiting < 40; ++i) WriteHot(200'000);
      });
      host.scheduler.RunFor(100 * kMicrosecond);
      most_gap = std::max(most_gap, host.scheduler.Now() - last_done);
      if (each) each();
    }
  }
  JournalStats Stats() { return host.directory->journal_stats(); }

  DirectoryHost host{5, Options()};
  CountingFiles files{host.disk};
  uint64_t hot_waiting = 0, hot_done = 0;
  MonoTime last_done = host.scheduler.Now();
  Nanos most_gap = 0;
};

TEST_F(ManyGroups, ABusyGroupStarvesNobody) {
  size_t largest = 0;
  host.disk.SetObserver([&](const SimFileOp& op) {
    if (op.name == "write" && op.path.starts_with("data/journal/0") && op.position > 0)
      largest = std::max<size_t>(largest, op.length);
  });
  RunHot(5 * kMillisecond);
  uint64_t asked = 0;
  uint64_t answered = 0;
  uint64_t most_commits = 0;
  RunHot(400 * kMillisecond, [&] {
    const GroupId group = IdleGroup(asked++ % kIdle);
    LogWrite write;
    write.entries.push_back(DataEntry(group, host.log(group).end(), Term{1}, 1, 100));
    const uint64_t before = Stats().commits;
    host.Submit(group, std::move(write), [&, before](const absl::Status& status) {
      ASSERT_TRUE(status.ok()) << status;
      ++answered;
      most_commits = std::max(most_commits, Stats().commits - before);
    });
  });
  host.disk.SetObserver(nullptr);
  host.scheduler.RunFor(kSecond);
  EXPECT_EQ(answered, asked);
  EXPECT_GT(asked, 200u);
  EXPECT_GT(hot_done, 500u);
  // The one that is being written, and the next.
  EXPECT_LE(most_commits, 3u);
  EXPECT_GT(largest, limits::kMaxCommitBytes / 2);
  EXPECT_LE(largest, limits::kMaxCommitBytes);
}

TEST_F(ManyGroups, AllAtOnceShareTheNextCommits) {
  RunHot(5 * kMillisecond);
  const uint64_t before = Stats().commits;
  uint64_t answered = 0;
  host.OnShard([&] {
    for (uint64_t i = 0; i < kIdle; ++i) {
      PartitionLog& log = host.log(IdleGroup(i));
      for (int times = 0; times < 3; ++times) {
        LogWrite write;
        write.entries.push_back(BarrierEntry(IdleGroup(i), log.end(), Term{1}));
        if (times == 1) write.hard_state = HardState{Term{1}, {}};
        log.Write(std::move(write), [&, times, group = IdleGroup(i),
                                     end = log.end()](const absl::Status& status) {
          ASSERT_TRUE(status.ok()) << status;
          EXPECT_EQ(host.log(group).durable_index(), end.last_index + 1) << "out of order";
          ++answered;
        });
      }
    }
  });
  uint64_t commits = 0;
  RunHot(50 * kMillisecond, [&] {
    if (answered == 3 * kIdle && commits == 0) commits = Stats().commits - before;
  });
  EXPECT_EQ(answered, 3 * kIdle);
  EXPECT_LE(commits, 6u);
}

TEST_F(ManyGroups, IdleAndStuckReplicasPinNoJournalFile) {
  // Each kind of standing still: voted, truncated, removed, its log closed.
  for (uint64_t i = 0; i < 40; ++i) {
    LogWrite write;
    PartitionLog& log = host.log(IdleGroup(i));
    if (i % 4 == 0) write.hard_state = HardState{Term{7}, {}};
    if (i % 4 == 1) {
      write.entries.push_back(BarrierEntry(IdleGroup(i), log.end(), Term{1}));
      ASSERT_TRUE(host.Write(IdleGroup(i), std::move(write)).ok());
      write = {};
      write.truncate_from = log.end().last_index;
    }
    ASSERT_TRUE(host.Write(IdleGroup(i), std::move(write)).ok());
    if (i % 4 == 2) {
      ASSERT_TRUE(host.Remove(IdleGroup(i)).ok());
    }
    if (i % 4 == 3) host.logs.erase(IdleGroup(i));
  }
  // Segments fall behind until the journal waits for them.
  host.disk.AddFault(
      {.kind = SimFault::Kind::kStall, .path_prefix = "data/groups", .stall = kMillisecond});
  uint64_t most_live = 0;
  const uint64_t checkpoints = Stats().checkpoints;
  last_done = host.scheduler.Now();
  RunHot(2 * kSecond, [&] { most_live = std::max(most_live, Stats().live_files); });
  EXPECT_GT(Stats().checkpoints, checkpoints + 12);
  EXPECT_LE(most_live, host.options.journal.max_live_files);
  // Blocked writes ask for syncs themselves and do not wait for the next pass by age.
  EXPECT_LT(most_gap, kSecond);
  host.scheduler.RunFor(2 * host.options.sync_interval);
  RunHot(20 * kMillisecond);
  host.scheduler.RunFor(2 * host.options.sync_interval);
  EXPECT_LE(Stats().live_files, 3u);
  EXPECT_TRUE(host.directory->health().ok());
}

TEST_F(ManyGroups, ManyDirtyLogsKeepFewFilesOpen) {
  files.most = 0;
  for (int round = 0; round < 3; ++round) {
    for (uint64_t i = 0; i < kIdle; ++i) {
      LogWrite write;
      write.entries.push_back(BarrierEntry(IdleGroup(i), host.log(IdleGroup(i)).end(), Term{1}));
      host.Submit(IdleGroup(i), std::move(write),
                  [](const absl::Status& status) { ASSERT_TRUE(status.ok()) << status; });
    }
    host.scheduler.RunFor(100 * kMillisecond);
  }
  EXPECT_TRUE(host.directory->health().ok()) << host.directory->health();
  // The pool, those that wait for their sync, and some of the journal.
  EXPECT_LE(files.most,
            static_cast<int>(host.options.max_open_files + host.options.max_unsynced_files + 8));
  host.scheduler.RunFor(2 * host.options.sync_interval);
  EXPECT_EQ(host.directory->dirty_bytes(), 0u);
  const absl::Status closed = host.Close();
  EXPECT_TRUE(closed.ok()) << closed;
  ASSERT_TRUE(host.Open().ok());
  EXPECT_EQ(host.log(IdleGroup(kIdle - 1)).end().last_index, Index{4});
  EXPECT_EQ(host.directory->recovery().frames_replayed, 0u);
}

}  // namespace
}  // namespace varve::storage
