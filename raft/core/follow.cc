// The follower's side of replication.
#include <algorithm>
#include <utility>

#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {

void Core::On(const Message& message, const AppendRequest& append) {
  if (!Planted(Defect::kAppendDoesNotVouch)) HearLeader();
  floor_ = std::max(floor_, append.floor);
  if (const auto why = WhyRefused(message, append)) return Refuse(message, *why);
  const bool trimmed = append.prev_index < log_.start().index - 1;
  const bool matches =
      (trimmed && !Planted(Defect::kPreviousBelowStartRejected)) ||
      log_.Has(append.prev_index, append.prev_term) ||
      (Planted(Defect::kPreviousNotChecked) && append.prev_index <= log_.last_index());
  if (!matches) return RejectAppend(message, append);
  const size_t known = Planted(Defect::kKnownEntriesTakenAgain) ? 0 : CountKnown(append);
  const size_t until = CountFitting(append, known);
  const Index last_proven = append.prev_index + until;
  if (until > known) {
    TakeEntries(append, known, until);
  } else if (Planted(Defect::kTruncationOnAnyAppend) && last_proven < log_.last_index() &&
             last_proven >= commit_index()) {
    TruncateFrom(last_proven + 1);
  }
  // Only as far as this message proved the log (trap 15).
  proven_ = std::max(proven_, std::min(last_proven, log_.last_index()));
  const Index bound = Planted(Defect::kAppendCommitsUnproven) ? log_.last_index() : last_proven;
  CommitThrough(std::min({append.commit, bound, log_.last_index()}));
  Acknowledge();
}

// What no correct leader sends. Everything is looked at before anything changes.
std::optional<Refusal> Core::WhyRefused(const Message& message, const AppendRequest& append) const {
  Index index = append.prev_index;
  Term term = append.prev_term;
  std::optional<Offset> offset;
  WallTime time;
  for (const Entry& entry : append.entries) {
    const EntryHeader& header = entry.header;
    const bool single = header.first_index == header.last_index;
    if (header.group != options_.group || !single) return Refusal::kBadEntry;
    const bool continues =
        header.first_index == index + 1 && header.term >= term && header.term <= message.term &&
        (!offset || header.base_offset == *offset) && (!offset || header.append_time >= time);
    if (!continues) return Refusal::kNotContiguous;
    if (header.kind == EntryKind::kConfig && !DecodeConfiguration(entry.payload()).ok()) {
      return Refusal::kBadEntry;
    }
    index = header.last_index;
    term = header.term;
    offset = header.next_offset();
    time = header.append_time;
  }
  const size_t known = CountKnown(append);
  if (known == append.entries.size()) return std::nullopt;
  const EntryHeader& first = append.entries[known].header;
  const bool matches =
      append.prev_index < log_.start().index - 1 || log_.Has(append.prev_index, append.prev_term);
  if (!matches) return std::nullopt;  // will be rejected, and nothing of it taken
  if (first.first_index <= commit_index()) return Refusal::kContradictsCommitted;
  const LogEnd& before = log_.EndAt(first.first_index - 1);
  if (first.base_offset != before.next_offset || first.append_time < before.append_time) {
    return Refusal::kNotContiguous;
  }
  return std::nullopt;
}

size_t Core::CountKnown(const AppendRequest& append) const {
  size_t known = 0;
  while (known < append.entries.size()) {
    const EntryHeader& header = append.entries[known].header;
    // What is trimmed was committed, so it was the same.
    const bool trimmed = header.first_index < log_.start().index;
    if (!trimmed && !log_.Has(header.first_index, header.term)) break;
    ++known;
  }
  return known;
}

// Without room, entries up to the first new one that carries data.
size_t Core::CountFitting(const AppendRequest& append, size_t known) const {
  size_t until = append.entries.size();
  if (!disk_full_) return until;
  for (size_t i = known; i < until; ++i) {
    if (append.entries[i].header.kind == EntryKind::kData) until = i;
  }
  return until;
}

void Core::RejectAppend(const Message& message, const AppendRequest& append) {
  AppendReply reply;
  reply.rejected = true;
  reply.report = Report();
  reply.rejected_prev = append.prev_index;
  reply.hint_index = log_.LargestIndexWithTermAtMost(append.prev_index - 1, append.prev_term);
  reply.hint_term = *log_.TermAt(reply.hint_index);
  Send(message.from, reply);
}

void Core::TakeEntries(const AppendRequest& append, size_t known, size_t until) {
  const Index from = append.entries[known].header.first_index;
  if (from <= log_.last_index()) TruncateFrom(from);
  for (size_t i = known; i < until; ++i) {
    const Entry& entry = append.entries[i];
    std::optional<Configuration> configuration;
    if (entry.header.kind == EntryKind::kConfig) {
      configuration = *DecodeConfiguration(entry.payload());
    }
    WriteEntry(entry, std::move(configuration));
    if (!entry.header.zero_width())
      effects_.disk.back().write.received_bytes += entry.header.frame_bytes();
  }
}

// A match is an acknowledgement, so it waits for the term to be durable, too.
FollowerReport Core::Report() const {
  FollowerReport report;
  if (HardStateIsDurable()) report.match = std::min(proven_, durable_index_);
  report.received = proven_;
  report.commit = commit_index();
  report.folded = folded_;
  report.full = disk_full_;
  return report;
}

void Core::Acknowledge() {
  AppendReply reply;
  reply.report = Report();
  if (Planted(Defect::kAcknowledgedBeforeDurable)) {
    reply.report.match = proven_;
    return Send(leader_, reply);
  }
  const bool complete = reply.report.match == proven_;
  acknowledgement_due_ = !complete;
  if (!complete && reply.report.match <= acknowledged_) return;
  acknowledged_ = std::max(acknowledged_, reply.report.match);
  Send(leader_, reply);
}

}  // namespace varve::raft
