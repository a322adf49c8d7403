// The logs that the conformance suite of raft::LogStore asks.
#ifndef VARVE_TESTS_SERVER_LOG_STORE_HOSTS_H_
#define VARVE_TESTS_SERVER_LOG_STORE_HOSTS_H_

#include <gtest/gtest.h>

#include <memory>

#include "common/error.h"
#include "common/sim/faulty_file_system.h"
#include "server/partition/log_store_adapter.h"
#include "tests/raft/memory_log_store.h"
#include "tests/storage/directory_host.h"

namespace varve::server {

inline constexpr GroupId kConformanceGroup{100};

// A log with its bootstrap entry, committed, and the shard that it is confined to.
class LogStoreHost {
 public:
  virtual ~LogStoreHost() = default;
  virtual SimScheduler& scheduler() = 0;
  virtual Executor& shard() = 0;
  virtual raft::LogStore& store() = 0;
  // What a caller must hold before it writes entries of so many bytes.
  virtual void Reserve(size_t bytes) = 0;
  // The machine loses power, and comes back with what the log then holds.
  virtual void Restart() = 0;
  // Nothing becomes durable any more, until Restart.
  virtual void BreakDisk() = 0;
};

class SegmentLogHost final : public LogStoreHost {
 public:
  explicit SegmentLogHost(uint64_t seed) : host_(seed) {
    host_.files = &faulty_;
    EXPECT_EQ(host_.Open(), absl::OkStatus());
    EXPECT_EQ(host_.Create(kConformanceGroup), absl::OkStatus());
    Adapt();
  }
  ~SegmentLogHost() override { host_.Kill(); }  // its files go through what goes first
  SimScheduler& scheduler() override { return host_.scheduler; }
  Executor& shard() override { return *host_.shard; }
  raft::LogStore& store() override { return *adapter_; }
  void Reserve(size_t bytes) override {
    EXPECT_TRUE(host_.scheduler.RunUntil(
        [&] { return host_.directory->TryReserveDirty(bytes, nullptr); }, 10 * kSecond));
  }
  void Restart() override {
    adapter_.reset();
    faulty_.ClearFaults();
    host_.Crash(true);
    const absl::Status opened = host_.Open();
    ASSERT_TRUE(opened.ok()) << opened;
    Adapt();
  }
  void BreakDisk() override {
    faulty_.AddFault({.ops = {FileOp::kSync}, .path_prefix = "data/journal"});
  }

 private:
  void Adapt() {
    adapter_ = std::make_unique<LogStoreAdapter>(host_.log(kConformanceGroup), *host_.directory,
                                                 *host_.shard);
  }

  storage::DirectoryHost host_;
  FaultyFileSystem faulty_{host_.disk};
  std::unique_ptr<LogStoreAdapter> adapter_;
};

class MemoryLogHost final : public LogStoreHost {
 public:
  explicit MemoryLogHost(uint64_t seed) : scheduler_(seed) {
    raft::CoreState state;
    state.end = {Index{1}, Term{0}, Offset{0}, storage::TestBootstrap().append_time};
    state.commit_index = Index{1};
    state.configurations.committed = {Index{0}, storage::OneVoter()};
    state.ends = {state.end};
    state.epochs = {{Term{0}, Index{1}, Offset{0}}};
    Open(std::move(state));
  }
  SimScheduler& scheduler() override { return scheduler_; }
  Executor& shard() override { return *shard_; }
  raft::LogStore& store() override { return *store_; }
  void Reserve(size_t /*bytes*/) override {}
  void Restart() override { Open(store_->durable()); }
  void BreakDisk() override { store_->Fail(MakeError(Reason::DISK_FAILED, "fdatasync: EIO")); }

 private:
  void Open(raft::CoreState state) {
    shard_ = scheduler_.NewExecutor("shard");  // the old one drops what it would have completed
    store_ = std::make_unique<raft::MemoryLogStore>(scheduler_, *shard_, 2 * kMillisecond,
                                                    std::move(state));
  }

  SimScheduler scheduler_;
  std::unique_ptr<Executor> shard_;
  std::unique_ptr<raft::MemoryLogStore> store_;
};

}  // namespace varve::server

#endif  // VARVE_TESTS_SERVER_LOG_STORE_HOSTS_H_
