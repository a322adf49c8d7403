// LogPuller: fetches a part of a log from another replica, piece by piece, into staged files.
#ifndef VARVE_SERVER_PARTITION_LOG_PULLER_H_
#define VARVE_SERVER_PARTITION_LOG_PULLER_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/executor.h"
#include "raft/shell/group_peers.h"
#include "storage/partition_log.h"
#include "storage/staged_log.h"

namespace varve::server {

// Confined to the shard of the group; `done` runs there, never from within a call. One pull at a
// time; what the other replica sends is verified entry by entry before it is staged.
class LogPuller {
 public:
  // The finished files; UNAVAILABLE-like errors (TIMEOUT) when the other replica does not answer or
  // has not got the entries, else those of StagedLog.
  using Done = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<storage::StagedLog>>)>;

  // All must outlive the puller.
  LogPuller(GroupId group, ReplicaId self, raft::GroupPeers& peers, Executor& shard,
            const Clock& clock);
  ~LogPuller();

  // Entries [first, last] from `from` into `staged`. A pull under way is given up, without an
  // answer.
  void Pull(ReplicaId from, Index first, Index last, std::unique_ptr<storage::StagedLog> staged,
            Done done);
  void Cancel();
  [[nodiscard]] bool pulling() const { return staged_ != nullptr; }

  void OnPiece(raft::Piece piece);

 private:
  void Ask(Nanos repeat_after);
  void Send(Nanos repeat_after, MonoTime give_up);
  void OnStaged(uint64_t token, const absl::Status& status);
  void Finish(uint64_t token, absl::Status status);

  const GroupId group_;
  const ReplicaId self_id_;
  raft::GroupPeers& peers_;
  Executor& shard_;
  const Clock& clock_;

  uint64_t token_ = 0;  // of the question under way
  ReplicaId from_;
  Index next_, last_;
  bool staging_ = false;
  std::unique_ptr<storage::StagedLog> staged_;  // null: no pull
  Done done_;
  TimerId timer_;
  std::shared_ptr<LogPuller*> self_;
};

}  // namespace varve::server

#endif  // VARVE_SERVER_PARTITION_LOG_PULLER_H_
