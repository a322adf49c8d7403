// I14: an acknowledged proposal is at its index for ever, a lost one never appears. I15: a read
// barrier answers at least what was acknowledged before it began.
#include <algorithm>
#include <set>

#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

class Clients final : public Checker {
 public:
  explicit Clients(const Ledger* ledger) : ledger_(ledger) {}

  void OnStep(const Step& step) override {
    for (const Result& result : step.effects->results) {
      if (result.outcome == Outcome::kLost) lost_.insert(result.proposal);
      if (result.outcome != Outcome::kCommitted) continue;
      acknowledged_ = std::max(acknowledged_, result.index);
      const bool there = result.index <= ledger_->last() && result.index > Index{0};
      if (!there || ledger_->entries[result.index.value() - 1].entry.payload != result.proposal) {
        Violated("I14: ", Show(step.view.id), " acknowledges proposal ", result.proposal, " at ",
                 result.index, " and something else is committed there");
      }
    }
    for (const ReadResult& read : step.effects->reads) {
      const auto began = reads_.find(read.read);
      if (began == reads_.end()) continue;
      if (read.index && *read.index < began->second) {
        Violated("I15: ", Show(step.view.id), " answers a barrier with ", *read.index, " after ",
                 began->second, " was acknowledged");
      }
      reads_.erase(began);
    }
  }

  void AtEnd(const Ending& /*ending*/) override {
    for (const CommittedEntry& committed : ledger_->entries) {
      if (lost_.contains(committed.entry.payload)) {
        Violated("I14: proposal ", committed.entry.payload, " was lost and is committed");
      }
    }
  }
  void OnReadBegins(uint64_t read) override { reads_[read] = acknowledged_; }

 private:
  const Ledger* const ledger_;
  Index acknowledged_;
  std::set<uint64_t> lost_;
  std::map<uint64_t, Index> reads_;  // what was acknowledged when they began
};

}  // namespace

std::unique_ptr<Checker> ClientChecker(const Ledger* ledger) {
  return std::make_unique<Clients>(ledger);
}

}  // namespace varve::raftsim
