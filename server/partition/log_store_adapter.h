// LogStoreAdapter: joins a Raft group to its PartitionLog; raft and storage do not know each other.
#ifndef VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_
#define VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_

#include <utility>
#include <vector>

#include "raft/log_store.h"
#include "storage/partition_log.h"

namespace varve::server {

// Shard-confined like the log, which must outlive it.
class LogStoreAdapter final : public raft::LogStore {
 public:
  explicit LogStoreAdapter(storage::PartitionLog& log) : log_(log) {}
  [[nodiscard]] LogEnd end() const override { return log_.end(); }
  [[nodiscard]] LogStart start() const override { return log_.start(); }
  [[nodiscard]] HardState hard_state() const override { return log_.hard_state(); }
  [[nodiscard]] Index commit_index() const override { return log_.commit_index(); }
  [[nodiscard]] Configurations configurations() const override { return log_.configurations(); }
  [[nodiscard]] std::vector<LogEnd> ends() const override { return log_.ends(); }
  [[nodiscard]] std::vector<EpochStart> epochs() const override { return log_.epochs(); }
  void Write(LogWrite write, Done done) override { log_.Write(std::move(write), std::move(done)); }

 private:
  storage::PartitionLog& log_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_LOG_STORE_ADAPTER_H_
