// The leader's side of replication: what goes to whom, and what the answers say.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {

// Once for all that was appended since the effects were last taken.
void Core::SendWhatIsDue() {
  Index needed = log_.last_index() + 1;
  for (auto& [id, follower] : leadership_->followers) {
    SendAppends(id, follower);
    needed = std::min(needed, follower.next);
  }
  if (std::exchange(leadership_->probes_due, false)) SendReadProbes();
  recent_.DropThrough(needed - 1);
}

// Entries up to the floor may be gone from here, or combined; but none that is not known to be
// committed. An install ends there, so that nothing else brings those behind it.
bool Core::MustInstall(const Progress& progress) const {
  return progress.next < log_.start().index || progress.next <= std::min(floor_, commit_index());
}

void Core::SendAppends(ReplicaId to, Progress& progress) {
  while (!progress.paused() && !progress.loading && progress.next <= log_.last_index()) {
    if (MustInstall(progress)) {
      if (!Planted(Defect::kSendsFromBelowStart)) return BeginInstall(to, progress);
      return SendAppend(to, progress, {});
    }
    std::vector<Entry> entries = recent_.From(progress.next, options_.max_append_bytes);
    if (entries.empty()) {
      if (progress.full) return;
      progress.loading = true;
      effects_.loads.push_back({to, progress.next, options_.max_append_bytes});
      return;
    }
    if (progress.full) {
      const auto data = std::find_if(entries.begin(), entries.end(), [](const Entry& entry) {
        return entry.header.kind == EntryKind::kData;
      });
      entries.erase(data, entries.end());
      if (entries.empty()) return;
    }
    if (Planted(Defect::kLargeEntryWaits)) {
      size_t bytes = progress.window.bytes();
      for (const Entry& entry : entries) bytes += entry.header.frame_bytes();
      if (bytes > options_.window_bytes) return;
    }
    SendAppend(to, progress, std::move(entries));
  }
  // Who has everything hears at once what of it is committed (trap 25).
  const bool up_to_date = progress.state == ProgressState::kReplicate && !progress.loading &&
                          progress.next == log_.last_index() + 1;
  const bool untold =
      progress.sent_commit < commit_index() && !Planted(Defect::kIdleFollowerNotTold);
  if (up_to_date && untold) SendAppend(to, progress, {});
}

void Core::SendAppend(ReplicaId to, Progress& progress, std::vector<Entry> entries) {
  const auto prev_term = log_.TermAt(progress.next - 1);
  VARVE_CHECK(prev_term, "group ", options_.group, ": append from ", progress.next,
              " in a log from ", log_.start().index);
  AppendRequest append;
  append.prev_index = progress.next - 1;
  append.prev_term = *prev_term;
  append.commit = commit_index();
  append.floor = floor_;
  size_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.header.frame_bytes();
  const Index last = entries.empty() ? append.prev_index : entries.back().header.last_index;
  if (progress.state == ProgressState::kProbe) {
    progress.probe_sent = true;
  } else if (!entries.empty()) {
    progress.next = last + 1;
    progress.window.Add(last, bytes);
  }
  progress.sent_commit = std::max(progress.sent_commit, std::min(commit_index(), last));
  append.entries = std::move(entries);
  Send(to, std::move(append));
}

void Core::On(const Message& message, const AppendReply& reply) {
  Progress* progress = FollowerOf(message);
  if (progress == nullptr) return;
  if (reply.rejected) {
    OnRejection(reply, *progress);
  } else {
    OnReport(message, reply.report, *progress);
  }
}

// Late rejections would begin everything again, each of them: only one that can be the answer to
// what is under way counts.
void Core::OnRejection(const AppendReply& reply, Progress& progress) {
  if (reply.rejected_prev <= progress.match || progress.state == ProgressState::kInstall) return;
  const bool probing = progress.state == ProgressState::kProbe;
  if (reply.rejected_prev >= progress.next) return;
  if (probing && reply.rejected_prev + 1 != progress.next) return;
  // Both sides skip whole terms, so that the number of probes is that of the terms that differ.
  const Index below = std::min(reply.hint_index, reply.rejected_prev - 1);
  if (below + 1 < log_.start().index) return progress.Probe(below + 1);
  const Index agreed = log_.LargestIndexWithTermAtMost(below, reply.hint_term);
  progress.Probe(agreed + 1);
}

// The progress may be gone when this returns, and so may the leadership.
void Core::OnReport(const Message& message, const FollowerReport& report, Progress& progress) {
  if (report.match > log_.last_index() || report.received > log_.last_index()) {
    return Refuse(message, Refusal::kNotContiguous);
  }
  const bool news = progress.Take(report);
  const Index has = std::max(progress.match, report.received);
  if (progress.state == ProgressState::kInstall) {
    if (progress.offered && progress.match >= progress.offered->end.last_index) {
      progress.Replicate();
      progress.next = progress.match + 1;
    }
  } else if (progress.state == ProgressState::kProbe) {
    // While one probe is under way, an answer without news may be to an earlier one.
    if (news || has + 1 >= progress.next) {
      progress.Replicate();
      progress.next = has + 1;
    }
  } else if (report.full && has + 1 < progress.next) {
    progress.Probe(has + 1);  // it left entries out for lack of room
  } else {
    progress.next = std::max(progress.next, has + 1);
  }
  if (!news) return;
  AdvanceCommit();
  if (leadership_) ContinueTransfer();
}

void Core::On(EntriesLoaded loaded) {
  if (!leadership_) return;
  const auto found = leadership_->followers.find(loaded.peer);
  if (found == leadership_->followers.end() || !found->second.loading) return;
  Progress& progress = found->second;
  progress.loading = false;
  const bool wanted = progress.next == loaded.from && !progress.paused() && !progress.full;
  // The log start may have moved on meanwhile.
  const bool trimmed = MustInstall(progress) && !Planted(Defect::kLoadedBelowStart);
  if (!wanted || trimmed) return;
  if (loaded.entries.empty()) return BeginInstall(loaded.peer, progress);
  const EntryHeader& first = loaded.entries.front().header;
  const EntryHeader& last = loaded.entries.back().header;
  // What was loaded may be of a suffix that the log no longer has.
  if (first.first_index != loaded.from || !log_.Has(last.last_index, last.term)) return;
  SendAppend(loaded.peer, progress, std::move(loaded.entries));
}

}  // namespace varve::raft
