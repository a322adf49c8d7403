// I5: what is committed is durable on a majority of each acting configuration, and what is
// acknowledged is durable. I7: a leader commits only through an entry of its own term. I9: all
// replicas commit the same entries. I13: nobody shows more than is committed.
#include <algorithm>

#include "tests/sim/raft/checker.h"
#include "tests/sim/raft/naive_quorum.h"

namespace varve::raftsim {
namespace {

class Commits final : public Checker {
 public:
  Commits(const Disks& disks, Ledger* ledger) : disks_(disks), ledger_(ledger) {}

  void OnStep(const Step& step) override {
    for (const Packet& packet : step.effects->messages) {
      const bool acknowledges =
          (packet.type == MessageType::kAppendReply || packet.type == MessageType::kInstallReply) &&
          !packet.reject;
      if (acknowledges && packet.acknowledged > step.view.durable->last_index()) {
        Violated("I5: ", Show(step.view.id), " acknowledges ", packet.acknowledged, " and holds ",
                 step.view.durable->last_index(), " durably");
      }
    }
    if (step.after.durable > step.view.durable->last_index() && !step.view.disk_failed) {
      Violated("I5: ", Show(step.view.id), " believes ", step.after.durable, " durable and holds ",
               step.view.durable->last_index());
    }
    const Index commit = step.after.commit;
    if (commit <= step.before.commit) return;
    const LogImage& log = *step.view.written;
    if (commit > log.last_index()) {
      return Violated("I13: ", Show(step.view.id), " shows ", commit, " and holds ",
                      log.last_index());
    }
    for (Index i = std::max(step.before.commit + 1, log.start.index);
         i <= std::min(commit, ledger_->last()); ++i) {
      if (log.At(i)->chain != ledger_->entries[i.value() - 1].entry.chain) {
        return Violated("I9: ", Show(step.view.id), " commits another entry ", i);
      }
    }
    if (commit > ledger_->last()) Extend(step);
  }

 private:
  void Extend(const Step& step) {
    const Index commit = step.after.commit;
    const LogImage& log = *step.view.written;
    const SimEntry& last = *log.At(commit);
    if (step.before.role != Role::kLeader) {
      return Violated("I13: ", Show(step.view.id), " follows and commits ", commit,
                      " before any leader");
    }
    if (last.term != step.before.term) {
      Violated("I7: ", Show(step.view.id), " commits ", commit, " of term ", last.term,
               " by counting in term ", step.before.term);
    }
    const auto durable = [&](ReplicaId voter) {
      const LogImage* image = disks_.DurableOf(voter);
      return image != nullptr && image->Holds(commit, last.term);
    };
    if (!HasMajority(*step.before.configuration, durable)) {
      Violated("I5: ", Show(step.view.id), " commits ", commit, " without a durable majority");
    }
    for (Index i = ledger_->last() + 1; i <= commit; ++i) {
      ledger_->entries.push_back({*log.At(i), step.before.term});
    }
  }

  const Disks& disks_;
  Ledger* const ledger_;
};

}  // namespace

std::unique_ptr<Checker> CommitChecker(const Disks& disks, Ledger* ledger) {
  return std::make_unique<Commits>(disks, ledger);
}

}  // namespace varve::raftsim
