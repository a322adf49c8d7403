// LogStoreAdapter: joins a Raft group to its PartitionLog; raft and storage do not know each other.
#ifndef VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_
#define VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "common/executor.h"
#include "raft/log_store.h"
#include "storage/data_directory.h"
#include "storage/partition_log.h"
#include "storage/staged_log.h"

namespace varve::server {

// Shard-confined like the log, which must outlive it.
//
// What a leader sent takes its room from the dirty budget here, as what was appended here did
// before it was proposed. Without room it waits, and what follows it waits too: so a replica
// acknowledges no faster than its segments are written.
class LogStoreAdapter final : public raft::LogStore {
 public:
  LogStoreAdapter(storage::PartitionLog& log, storage::DataDirectory& directory, Executor& shard);
  ~LogStoreAdapter() override;
  [[nodiscard]] LogEnd end() const override { return log_.end(); }
  [[nodiscard]] LogStart start() const override { return log_.start(); }
  [[nodiscard]] HardState hard_state() const override { return log_.hard_state(); }
  [[nodiscard]] Index commit_index() const override { return log_.commit_index(); }
  [[nodiscard]] Configurations configurations() const override { return log_.configurations(); }
  [[nodiscard]] std::vector<LogEnd> ends() const override { return log_.ends(); }
  [[nodiscard]] std::vector<EpochStart> epochs() const override { return log_.epochs(); }
  void Write(LogWrite write, Done done) override;
  void Install(const raft::InstallPoint& point, LogWrite write, Done done) override;
  void Read(Index from, size_t max_bytes, Entries done) override;

  // The files for the next Install; those of an install that never came go.
  void SetStaged(std::unique_ptr<storage::StagedLog> staged) { staged_ = std::move(staged); }

 private:
  struct Waiting {
    std::optional<raft::InstallPoint> install;
    std::unique_ptr<storage::StagedLog> staged;  // of `install`
    LogWrite write;
    Done done;
  };
  void Submit(Waiting next);
  void WriteWaiting();
  bool HasRoomFor(size_t bytes);
  void InstallNow(Waiting next);

  storage::PartitionLog& log_;
  storage::DataDirectory& directory_;
  Executor& shard_;
  std::unique_ptr<storage::StagedLog> staged_;
  std::deque<Waiting> waiting_;
  bool room_requested_ = false;
  std::shared_ptr<LogStoreAdapter*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_
