#include "raft/core/progress.h"

#include <algorithm>

namespace varve::raft {

void Progress::Probe(Index from) {
  state = ProgressState::kProbe;
  next = std::max(from, match + 1);
  probe_sent = false;
  loading = false;
  window.Clear();
  preparing = false;
  offered.reset();
}

void Progress::Replicate() {
  state = ProgressState::kReplicate;
  probe_sent = false;
  window.Clear();
  preparing = false;
  offered.reset();
}

void Progress::Install() {
  state = ProgressState::kInstall;
  probe_sent = false;
  loading = false;
  window.Clear();
}

bool Progress::Take(const FollowerReport& report) {
  const bool news = report.match > match || report.received > received;
  match = std::max(match, report.match);
  received = std::max({received, report.received, match});
  known_commit = std::max(known_commit, report.commit);
  folded = std::max(folded, report.folded);
  full = report.full;
  window.FreeThrough(match);
  if (news) ticks_no_news = 0;
  return news;
}

}  // namespace varve::raft
