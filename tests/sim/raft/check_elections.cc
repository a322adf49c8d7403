// I1: at most one leader per term. I2: at most one durable vote per term and incarnation, and only
// incarnations named in the configuration count. I3: term and commit never go back. I6: a new
// leader holds every entry that was committed before its term. I19: a failed disk never votes or
// acknowledges.
#include <set>
#include <utility>

#include "tests/sim/raft/checker.h"
#include "tests/sim/raft/naive_quorum.h"

namespace varve::raftsim {
namespace {

class Elections final : public Checker {
 public:
  explicit Elections(const Ledger* ledger) : ledger_(ledger) {}

  void OnStep(const Step& step) override {
    const ReplicaState& after = step.after;
    if (after.floor < step.before.floor) {
      Violated("I3: ", Show(step.view.id), " lowers the floor from ", step.before.floor, " to ",
               after.floor);
    }
    if (after.term < step.before.term || after.commit < step.before.commit) {
      Violated("I3: ", Show(step.view.id), " went back from term ", step.before.term, " commit ",
               step.before.commit, " to ", after.term, " and ", after.commit);
    }
    // Else one that can never win keeps those that can from trying.
    const bool waits_again = after.role == step.before.role && after.term == step.before.term &&
                             after.waited_ticks < step.before.waited_ticks;
    const bool asked = step.received && step.received->type == MessageType::kPreVote;
    if (asked && waits_again) {
      Violated("L1: ", Show(step.view.id), " waits again because another asked for a pre-vote");
    }
    for (const Packet& packet : step.effects->messages) {
      OnMessage(step, packet);
      CheckLoyalty(step, packet);
    }
    const bool elected = after.role == Role::kLeader &&
                         (step.before.role != Role::kLeader || step.before.term != after.term);
    if (elected) OnLeader(step);
  }

 private:
  void OnMessage(const Step& step, const Packet& packet) {
    const bool vote = packet.type == MessageType::kVoteReply && !packet.reject;
    const bool acknowledges =
        (packet.type == MessageType::kAppendReply || packet.type == MessageType::kInstallReply) &&
        !packet.reject;
    if (step.view.disk_failed && (vote || acknowledges)) {
      Violated("I19: ", Show(step.view.id), " promises on a failed disk");
    }
    if (!vote) return;
    CastVote(step, packet.term, packet.to);
    const HardState& durable = step.view.durable->hard_state;
    if (durable.term == packet.term && durable.vote != packet.to) {
      Violated("I2: ", Show(step.view.id), " votes for ", Show(packet.to), " in term ", packet.term,
               " and has another vote on disk");
    } else if (durable.term < packet.term) {
      Violated("I2: ", Show(step.view.id), " votes in term ", packet.term, " before it is durable");
    }
  }

  // Who hears its leader deposes it only when it asked for that (thesis 4.2.3).
  void CheckLoyalty(const Step& step, const Packet& packet) {
    const bool grants = !packet.reject && (packet.type == MessageType::kPreVoteReply ||
                                           packet.type == MessageType::kVoteReply);
    const bool asked = step.received && !step.received->forced && step.received->from == packet.to;
    const ReplicaState& before = step.before;
    if (grants && asked && !before.leader.empty() && before.ticks_without_leader < kLoyalTicks) {
      Violated("L1: ", Show(step.view.id), " votes for ", Show(packet.to), " and hears ",
               Show(before.leader));
    }
  }

  void CastVote(const Step& step, Term term, ReplicaId candidate) {
    const auto [cast, first] = votes_.try_emplace({step.view.id, term}, candidate);
    if (!first && cast->second != candidate) {
      Violated("I2: ", Show(step.view.id), " votes in term ", term, " for ", Show(cast->second),
               " and for ", Show(candidate));
    }
  }

  void OnLeader(const Step& step) {
    const ReplicaId id = step.view.id;
    const Term term = step.after.term;
    const auto [leader, first] = leaders_.try_emplace(term, id);
    if (!first) {
      Violated("I1: term ", term, " has leaders ", Show(leader->second), " and ", Show(id));
    }
    const HardState& durable = step.view.durable->hard_state;
    if (durable.term != term || durable.vote != id) {
      Violated("I2: ", Show(id), " leads term ", term, " without its own vote on disk");
    }
    const auto granted = [&](ReplicaId voter) {
      if (voter == id) return true;
      const auto cast = votes_.find({voter, term});
      return cast != votes_.end() && cast->second == id;
    };
    if (!HasMajority(*step.before.configuration, granted)) {
      Violated("I2: ", Show(id), " leads term ", term, " without a majority of named voters");
    }
    for (Index i = ledger_->last(); i > Index{0}; i = i - 1) {
      const CommittedEntry& committed = ledger_->entries[i.value() - 1];
      if (committed.commit_term >= term) continue;
      // Equal terms at an index mean equal prefixes (I4), so the newest one is enough.
      if (!step.view.written->Holds(i, committed.entry.term)) {
        Violated("I6: ", Show(id), " leads term ", term, " without committed entry ", i);
      }
      break;
    }
  }

  const Ledger* const ledger_;
  std::map<Term, ReplicaId> leaders_;
  std::map<std::pair<ReplicaId, Term>, ReplicaId> votes_;
};

}  // namespace

std::unique_ptr<Checker> ElectionChecker(const Ledger* ledger) {
  return std::make_unique<Elections>(ledger);
}

}  // namespace varve::raftsim
