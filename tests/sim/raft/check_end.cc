// I18: counters return to zero at rest. L1: after healing one leader. L2: all replicas converge.
// L3: every proposal is answered. L4: an idle group sends heartbeats only, its terms stay.
// Progress: as many commits after healing as demanded.
#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

// Election timeouts are 1 to 2 s; a group that just has its majority loses some rounds.
constexpr uint64_t kLeaderWithinMs = 20'000;

class End final : public Checker {
 public:
  void AtEnd(const Ending& ending) override {
    if (!ending.healed) return;
    if (ending.leaders != 1) Violated("L1: ", ending.leaders, " leaders after healing");
    if (ending.leaderless_ms > kLeaderWithinMs) {
      Violated("L1: the first commit came ", ending.leaderless_ms, " ms after healing");
    }
    if (ending.committed_after_healing < ending.demanded_after_healing) {
      Violated("L1: ", ending.committed_after_healing, " entries committed after healing, not ",
               ending.demanded_after_healing);
    }
    if (!ending.converged) Violated("L2: the replicas differ after healing:", ending.differences);
    if (ending.unresolved > 0) Violated("L3: ", ending.unresolved, " proposals without an answer");
    if (!ending.idle_terms_fixed) Violated("L4: terms move in an idle group");
    if (ending.idle_other_messages > 0) {
      Violated("L4: ", ending.idle_other_messages,
               " messages besides heartbeats in an idle group, such as ", ending.idle_other_type);
    }
    for (const ReplicaState& state : ending.at_rest) {
      if (state.uncommitted_bytes + state.inflight + state.pending > 0) {
        Violated("I18: at rest ", state.uncommitted_bytes, " uncommitted, ", state.inflight,
                 " in flight, ", state.pending, " pending");
      }
    }
  }
};

}  // namespace

std::unique_ptr<Checker> EndChecker() { return std::make_unique<End>(); }

std::vector<std::unique_ptr<Checker>> AllCheckers(const Disks& disks, Ledger* ledger) {
  std::vector<std::unique_ptr<Checker>> all;
  all.push_back(ElectionChecker(ledger));
  all.push_back(LogChecker());
  all.push_back(CommitChecker(disks, ledger));
  all.push_back(MembershipChecker(ledger));
  all.push_back(ConductChecker(disks));
  all.push_back(ClientChecker(ledger));
  all.push_back(EndChecker());
  return all;
}

std::string Show(ReplicaId replica) { return StrCat(replica.node, ":", replica.epoch); }

}  // namespace varve::raftsim
