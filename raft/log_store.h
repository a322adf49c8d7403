// LogStore: what a Raft group needs of a log. The server adapts storage to it.
#ifndef VARVE_RAFT_LOG_STORE_H_
#define VARVE_RAFT_LOG_STORE_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/log_state.h"
#include "common/meta_entry.h"
#include "raft/core/message.h"

namespace varve::raft {

// Confined to the group's shard; callbacks run there and never from within the call.
class LogStore {
 public:
  using Done = absl::AnyInvocable<void(absl::Status)>;
  using Entries = absl::AnyInvocable<void(absl::StatusOr<std::vector<Entry>>)>;
  virtual ~LogStore() = default;
  [[nodiscard]] virtual LogEnd end() const = 0;
  [[nodiscard]] virtual LogStart start() const = 0;
  [[nodiscard]] virtual HardState hard_state() const = 0;
  [[nodiscard]] virtual Index commit_index() const = 0;
  [[nodiscard]] virtual Configurations configurations() const = 0;
  // Ends of the entry at the commit index, or the nearest below, and of all above; ascending. Empty
  // for a log without entries.
  [[nodiscard]] virtual std::vector<LogEnd> ends() const = 0;
  // Terms of the log with their first index and offset, ascending.
  [[nodiscard]] virtual std::vector<EpochStart> epochs() const = 0;
  // Durable as a whole or not at all when `done` gets OK; in the order of the calls.
  virtual void Write(LogWrite write, Done done) = 0;
  // The files that were staged for `point` replace the whole log, then comes `write`; all of it
  // durable or nothing. In the order of the writes.
  virtual void Install(const InstallPoint& point, LogWrite write, Done done) = 0;
  // Entries from `from` on, of at most `max_bytes` but at least one, verified. Out of range when
  // they are not in the log any more.
  virtual void Read(Index from, size_t max_bytes, Entries done) = 0;
};

}  // namespace varve::raft

#endif  // VARVE_RAFT_LOG_STORE_H_
