#include "server/partition/log_store_adapter.h"

#include "common/error.h"
#include "server/defect.h"

namespace varve::server {

LogStoreAdapter::LogStoreAdapter(storage::PartitionLog& log, storage::DataDirectory& directory,
                                 Executor& shard)
    : log_(log),
      directory_(directory),
      shard_(shard),
      self_(std::make_shared<LogStoreAdapter*>(this)) {}

LogStoreAdapter::~LogStoreAdapter() { *self_ = nullptr; }

void LogStoreAdapter::Write(LogWrite write, Done done) {
  Submit({std::nullopt, nullptr, std::move(write), std::move(done)});
}

void LogStoreAdapter::Install(const raft::InstallPoint& point, LogWrite write, Done done) {
  Submit({point, std::exchange(staged_, nullptr), std::move(write), std::move(done)});
}

void LogStoreAdapter::Submit(Waiting next) {
  if (Planted(Defect::kWritesOvertake) && !next.install && next.write.received_bytes == 0)
    return log_.Write(std::move(next.write), std::move(next.done));
  waiting_.push_back(std::move(next));
  WriteWaiting();
}

void LogStoreAdapter::WriteWaiting() {
  while (!waiting_.empty()) {
    if (!HasRoomFor(waiting_.front().write.received_bytes)) return;
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    if (next.install) {
      InstallNow(std::move(next));
    } else {
      log_.Write(std::move(next.write), std::move(next.done));
    }
  }
}

bool LogStoreAdapter::HasRoomFor(size_t bytes) {
  if (bytes == 0) return true;
  if (room_requested_) return false;
  const bool granted = directory_.TryReserveDirty(bytes, [&shard = shard_, self = self_] {
    // Runs on any thread; the adapter is only touched on its shard, which outlives it.
    shard.Post([self] {
      if (*self == nullptr) return;
      (*self)->room_requested_ = false;
      if (!Planted(Defect::kRoomUnnoticed)) (*self)->WriteWaiting();
    });
  });
  room_requested_ = !granted;
  return granted;
}

// Two frames in one order: the second is durable only if the first is, and a crash between them
// leaves the installed log with the hard state from before, which nobody was told otherwise.
void LogStoreAdapter::InstallNow(Waiting next) {
  const raft::InstallPoint& point = *next.install;
  LogWrite& write = next.write;
  if (next.staged == nullptr || next.staged->end() != point.end) {
    directory_.ReturnDirty(write.received_bytes);
    return shard_.Post([done = std::move(next.done)]() mutable {
      done(MakeError(Reason::INTERNAL, "no files are staged for this install"));
    });
  }
  storage::InstalledLog as{point.start, {point.configuration, std::nullopt}, point.consistent_from};
  if (write.configurations) as.configurations = *write.configurations;
  struct Outcome {
    absl::Status installed;
    Done done;
  };
  auto outcome = std::make_shared<Outcome>();
  outcome->done = std::move(next.done);
  log_.Install(std::move(next.staged), std::move(as), [outcome](absl::Status status) {
    outcome->installed = std::move(status);
    // Refused, nothing follows it.
    if (!outcome->installed.ok() && outcome->done)
      std::exchange(outcome->done, nullptr)(outcome->installed);
  });
  if (log_.end() != point.end) return directory_.ReturnDirty(write.received_bytes);
  log_.Write(std::move(write), [outcome](absl::Status status) {
    if (outcome->done) std::exchange(outcome->done, nullptr)(std::move(status));
  });
}

void LogStoreAdapter::Read(Index from, size_t max_bytes, Entries done) {
  log_.Read(from, log_.end().last_index, max_bytes,
            [done = std::move(done)](absl::StatusOr<storage::ReadResult> read) mutable {
              if (!read.ok()) return done(read.status());
              done(std::move(read->entries));
            });
}

}  // namespace varve::server
