// What checkers see of a run, and the base of all of them. One small class per family of
// invariants; their numbers (I1, ..., L4) are those of docs/testing.md, "Simulator of Raft cores".
// Checkers are incremental: each looks only at what the last event changed.
#ifndef VARVE_TESTS_SIM_RAFT_CHECKER_H_
#define VARVE_TESTS_SIM_RAFT_CHECKER_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/strings.h"
#include "tests/sim/raft/replica.h"

namespace varve::raftsim {

// The shortest election timeout of the replicas.
inline constexpr uint64_t kLoyalTicks = 10;

// One replica, before or after an event.
struct ReplicaView {
  ReplicaId id;
  const LogImage* written = nullptr;  // all that it asked its disk for
  const LogImage* durable = nullptr;
  bool disk_failed = false;
  bool disk_slow = false;  // and it was told
};

// What each replica holds durably, up or down; of a wiped incarnation, what it held.
class Disks {
 public:
  virtual ~Disks() = default;
  [[nodiscard]] virtual const LogImage* DurableOf(ReplicaId replica) const = 0;
};

struct CommittedEntry {
  SimEntry entry;
  Term commit_term;  // of the leader that committed it
};

// One step of one replica, with its writes already in `view.written`.
struct Step {
  ReplicaView view;
  ReplicaState before;
  ReplicaState after;
  const Outbox* effects = nullptr;
  std::shared_ptr<const Packet> received;  // what the step was about, when it was a message
};

// What is demanded of the end of a run.
struct Ending {
  bool healed = false;  // the second phase was run
  uint64_t leaders = 0;
  uint64_t leaderless_ms = 0;  // from the end of all faults to the first commit
  bool converged = false;      // all members hold all that is committed
  std::string differences;
  uint64_t unresolved = 0;  // proposals without an answer
  uint64_t committed_after_healing = 0;
  uint64_t demanded_after_healing = 0;
  bool idle_terms_fixed = true;
  std::string idle_other_type;       // one of them
  uint64_t idle_other_messages = 0;  // other than heartbeats, while nobody asked for anything
  std::vector<ReplicaState> at_rest;
};

class Checker {
 public:
  virtual ~Checker() = default;
  // A replica began with what is on its disk.
  virtual void OnStart(const ReplicaView& /*view*/, const ReplicaState& /*state*/) {}
  // Before `write` is in view.written; `before` and `after` are of the step that asked for it.
  virtual void OnWrite(const ReplicaView& /*view*/, const ReplicaState& /*before*/,
                       const ReplicaState& /*after*/, const DiskWrite& /*write*/) {}
  virtual void OnStep(const Step& /*step*/) {}
  virtual void OnReadBegins(uint64_t /*read*/) {}
  virtual void AtEnd(const Ending& /*ending*/) {}

  // "I5: text"; the first violation ends the run.
  [[nodiscard]] const std::string& violation() const { return violation_; }

 protected:
  template <class... Pieces>
  void Violated(const Pieces&... pieces) {
    if (violation_.empty()) violation_ = StrCat(pieces...);
  }

 private:
  std::string violation_;
};

// Everything that was ever committed; shared by checkers, written by the commit checker alone.
struct Ledger {
  std::vector<CommittedEntry> entries;  // entries[i] has index i + 1
  [[nodiscard]] Index last() const { return Index{entries.size()}; }
};

// All checkers of one run, in the order in which they look.
std::vector<std::unique_ptr<Checker>> AllCheckers(const Disks& disks, Ledger* ledger);
std::unique_ptr<Checker> ElectionChecker(const Ledger* ledger);
std::unique_ptr<Checker> LogChecker();
std::unique_ptr<Checker> CommitChecker(const Disks& disks, Ledger* ledger);
std::unique_ptr<Checker> MembershipChecker(const Ledger* ledger);
std::unique_ptr<Checker> ConductChecker(const Disks& disks);
std::unique_ptr<Checker> ClientChecker(const Ledger* ledger);
std::unique_ptr<Checker> EndChecker();

std::string Show(ReplicaId replica);

}  // namespace varve::raftsim

#endif  // VARVE_TESTS_SIM_RAFT_CHECKER_H_
