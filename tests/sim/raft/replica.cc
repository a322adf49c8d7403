#include "tests/sim/raft/replica.h"

#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/sim/trace_hash.h"

namespace varve::raftsim {

SimConfigurationAt LogImage::Newest() const {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (entry->configuration) return {entry->index, entry->configuration};
  }
  return base;
}

void LogImage::Truncate(Index from) {
  if (from > last_index()) return;
  entries.resize(from < start.index ? 0 : from - start.index);
}

void LogImage::Append(SimEntry entry) {
  uint64_t chain = entries.empty() ? start_chain : entries.back().chain;
  chain = MixHash(chain, entry.index.value());
  chain = MixHash(chain, entry.term.value());
  chain = MixHash(chain, static_cast<uint64_t>(entry.kind));
  chain = MixHash(chain, static_cast<uint64_t>(entry.base_offset.value()));
  chain = MixHash(chain, static_cast<uint64_t>(entry.next_offset.value()));
  entry.chain = MixHash(chain, entry.payload);
  entries.push_back(std::move(entry));
}

void LogImage::Trim(Index first) {
  if (first <= start.index) return;
  const uint64_t gone = first - start.index;
  VARVE_CHECK(gone <= entries.size());
  for (uint64_t i = 0; i < gone; ++i) {
    if (entries[i].configuration) base = {entries[i].index, entries[i].configuration};
  }
  const SimEntry& last_gone = entries[gone - 1];
  start = {first, last_gone.next_offset, last_gone.term};
  start_chain = last_gone.chain;
  entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(gone));
}

void LogImage::Apply(const DiskWrite& write) {
  if (write.truncate_from) Truncate(*write.truncate_from);
  if (write.install) {
    const HardState kept = hard_state;
    *this = *write.install;
    hard_state = kept;
  }
  if (write.trim_to) Trim(*write.trim_to);
  for (const SimEntry& entry : write.entries) Append(entry);
  if (write.hard_state) hard_state = *write.hard_state;
  commit = std::max(commit, std::min(write.commit, last_index()));
}

}  // namespace varve::raftsim
