// I4: equal index and term mean equal entries and prefixes. I8: nothing at or below the commit
// index is truncated. I10: indices and offsets have no hole. I17: terms never fall along the log,
// and the epoch table of the replica says where they begin.
#include <algorithm>

#include "tests/sim/raft/checker.h"

namespace varve::raftsim {
namespace {

class Logs final : public Checker {
 public:
  void OnWrite(const ReplicaView& view, const ReplicaState& before, const ReplicaState& /*after*/,
               const DiskWrite& write) override {
    if (write.truncate_from && *write.truncate_from <= before.commit) {
      Violated("I8: ", Show(view.id), " truncates from ", *write.truncate_from,
               " and has committed ", before.commit);
    }
    if (write.install && write.install->last_index() < before.commit) {
      Violated("I8: ", Show(view.id), " installs up to ", write.install->last_index(),
               " and has committed ", before.commit);
    }
    if (write.trim_to && *write.trim_to > before.commit + 1) {
      Violated("I12: ", Show(view.id), " trims what is before ", *write.trim_to,
               " and has committed ", before.commit);
    }
    if (write.entries.empty()) return;
    const LogImage& log = *view.written;
    Index next = log.last_index() + 1;
    Offset offset = log.next_offset();
    Term term = log.last_term();
    if (write.truncate_from && *write.truncate_from < next) {
      const SimEntry* kept = log.At(*write.truncate_from - 1);
      next = *write.truncate_from;
      offset = kept != nullptr ? kept->next_offset : log.start.offset;
      term = kept != nullptr ? kept->term : log.start.previous_term;
    }
    for (const SimEntry& entry : write.entries) {
      if (entry.index != next || entry.base_offset != offset) {
        Violated("I10: ", Show(view.id), " appends index ", entry.index, " offset ",
                 entry.base_offset, " after ", next, " and ", offset);
      }
      if (entry.term < term) {
        Violated("I17: ", Show(view.id), " appends term ", entry.term, " behind ", term);
      }
      next = entry.index + 1;
      offset = entry.next_offset;
      term = entry.term;
    }
  }

  void OnStep(const Step& step) override {
    const LogImage& log = *step.view.written;
    const bool rewritten = std::any_of(
        step.effects->disk.begin(), step.effects->disk.end(), [](const DiskWrite& write) {
          return write.truncate_from || write.install || write.trim_to;
        });
    const auto& epochs = step.after.epochs;
    const bool newer = epochs && !log.entries.empty() &&
                       (epochs->empty() || epochs->back().term != log.last_term());
    if (rewritten || newer || step.before.epochs != epochs) CheckEpochs(step.view, *epochs);
    for (const DiskWrite& write : step.effects->disk) {
      for (const SimEntry& written : write.entries) {
        const SimEntry* entry = log.At(written.index);
        if (entry == nullptr || entry->term != written.term) continue;  // already replaced
        const uint64_t key = (entry->term.value() << 40) | entry->index.value();
        const auto [known, first] = chains_.try_emplace(key, entry->chain);
        if (!first && known->second != entry->chain) {
          Violated("I4: ", Show(step.view.id), " holds another prefix of (", entry->index,
                   ", term ", entry->term, ")");
        }
      }
    }
  }

 private:
  // The row that holds the first entry may begin before it; with no entry, it may be all there is.
  void CheckEpochs(const ReplicaView& view, const std::vector<EpochStart>& epochs) {
    const LogImage& log = *view.written;
    auto row = epochs.begin();
    Term term = log.start.previous_term;
    if (row != epochs.end() && row->index < log.start.index) {
      term = row->term;
      ++row;
    }
    for (const SimEntry& entry : log.entries) {
      const bool begins = row != epochs.end() && row->index == entry.index;
      if (begins && row->offset != entry.base_offset) {
        Violated("I17: ", Show(view.id), " has term ", row->term, " begin at offset ", row->offset,
                 ", not ", entry.base_offset);
      }
      if (begins) term = (row++)->term;
      if (entry.term != term) {
        Violated("I17: ", Show(view.id), " remembers term ", term, " at ", entry.index,
                 " and holds ", entry.term);
      }
    }
    if (row != epochs.end()) {
      Violated("I17: ", Show(view.id), " remembers that term ", row->term, " begins at ",
               row->index, " and holds ", log.last_index());
    }
  }

  std::unordered_map<uint64_t, uint64_t> chains_;  // looked up, never walked
};

}  // namespace

std::unique_ptr<Checker> LogChecker() { return std::make_unique<Logs>(); }

}  // namespace varve::raftsim
