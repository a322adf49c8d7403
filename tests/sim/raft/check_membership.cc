// I11: at most one uncommitted configuration; neighbours overlap; the acting one is the newest in
// the log. I12: an install ends at a committed entry.
#include <algorithm>

#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

bool OneApart(const std::vector<ReplicaId>& a, const std::vector<ReplicaId>& b) {
  std::vector<ReplicaId> difference;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::back_inserter(difference));
  return difference.size() <= 1;
}

// Majorities of both share a voter (Ongaro's thesis 4.1 and 4.3).
bool Overlap(const Configuration& before, const Configuration& next) {
  if (before.voters.empty()) return true;
  if (before.outgoing.empty()) {
    return next.outgoing.empty() ? OneApart(before.voters, next.voters)
                                 : next.outgoing == before.voters;
  }
  return next.outgoing.empty() && (next.voters == before.voters || next.voters == before.outgoing);
}

class Memberships final : public Checker {
 public:
  explicit Memberships(const Ledger* ledger) : ledger_(ledger) {}

  void OnWrite(const ReplicaView& view, const ReplicaState& /*before*/, const ReplicaState& after,
               const DiskWrite& write) override {
    if (write.install) {
      const LogImage& image = *write.install;
      const Index last = image.last_index();
      const bool known = last <= ledger_->last();
      const uint64_t chain = image.entries.empty() ? image.start_chain : image.entries.back().chain;
      if (!known || ledger_->entries[last.value() - 1].entry.chain != chain) {
        Violated("I12: ", Show(view.id), " installs ", last, " that is not committed");
      }
    }
    for (const SimEntry& entry : write.entries) {
      if (!entry.configuration || after.role != Role::kLeader) continue;
      const SimConfigurationAt newest = view.written->Newest();
      if (newest.index > after.commit) {
        Violated("I11: ", Show(view.id), " appends a configuration at ", entry.index,
                 " while that of ", newest.index, " is not committed");
      }
      if (!Overlap(*newest.configuration, *entry.configuration)) {
        Violated("I11: ", Show(view.id), " jumps between configurations at ", entry.index);
      }
    }
  }

  void OnStep(const Step& step) override {
    const bool unchanged =
        step.effects->disk.empty() && step.before.configuration == step.after.configuration;
    if (unchanged) return;
    if (!(*step.view.written->Newest().configuration == *step.after.configuration)) {
      Violated("I11: ", Show(step.view.id),
               " acts on a configuration that its log does not end in");
    }
  }

 private:
  const Ledger* const ledger_;
};

}  // namespace

std::unique_ptr<Checker> MembershipChecker(const Ledger* ledger) {
  return std::make_unique<Memberships>(ledger);
}

}  // namespace varve::raftsim
