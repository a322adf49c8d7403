// Proposals: what is refused, and how an accepted one enters the log.
#include <limits>
#include <utility>

#include "common/record_batch.h"
#include "raft/core/core.h"
#include "raft/core/defect.h"

namespace varve::raft {
namespace {

// Smallest Meta body: its type and version.
constexpr size_t kMinMetaBytes = 4;

bool PayloadFits(EntryKind kind, const FrameBuffer& payload, uint32_t records) {
  if (payload.empty()) return false;
  switch (kind) {
    case EntryKind::kData:
      return payload.payload_bytes() >= kBatchHeaderBytes && records > 0 &&
             records <= uint32_t{std::numeric_limits<int32_t>::max()};
    case EntryKind::kConfig:
      return records == 0;
    case EntryKind::kMeta:
      return payload.payload_bytes() >= kMinMetaBytes && records == 0;
    case EntryKind::kBarrier:
      return false;  // the core alone writes barriers
  }
  return false;
}

}  // namespace

std::optional<Reason> Core::WhyNotLeading(const Propose& propose) const {
  const bool leads = role_ == Role::kLeader ||
                     (Planted(Defect::kFollowerTakesProposals) && leadership_.has_value());
  if (!leads) return leader_.empty() ? Reason::LEADER_UNKNOWN : Reason::NOT_LEADER;
  if (propose.expected_term && *propose.expected_term != hard_state_.term) {
    return Reason::NOT_LEADER;
  }
  if (leadership_->transfer_to) return Reason::OVERLOADED;
  if (disk_full_ && propose.kind == EntryKind::kData) return Reason::NO_SPACE;
  return std::nullopt;
}

std::optional<Reason> Core::WhyMalformed(const Propose& propose) const {
  if (propose.payload.payload_bytes() > limits::kMaxEntryPayloadBytes) {
    return Reason::BATCH_TOO_LARGE;
  }
  if (!PayloadFits(propose.kind, propose.payload, propose.records)) return Reason::INVALID_REQUEST;
  constexpr int64_t kLargestOffset = std::numeric_limits<int64_t>::max() - 1;
  if (kLargestOffset - log_.end().next_offset.value() < propose.records)
    return Reason::INVALID_REQUEST;
  return std::nullopt;
}

void Core::On(Propose propose) {
  const auto refuse = [&](Reason reason) {
    effects_.results.push_back({propose.id, ProposalRefused{reason}});
  };
  if (leader_.empty() && !leadership_ && Planted(Defect::kFollowerTakesProposals)) {
    leadership_.emplace();
  }
  if (const auto reason = WhyNotLeading(propose)) return refuse(*reason);
  if (const auto reason = WhyMalformed(propose)) return refuse(*reason);
  std::optional<Configuration> configuration;
  if (propose.kind == EntryKind::kConfig) {
    auto decoded = DecodeConfiguration(propose.payload.payload_view());
    if (!decoded.ok()) return refuse(Reason::INVALID_REQUEST);
    configuration = *std::move(decoded);
    if (const auto reason = WhyNotNow(*configuration)) return refuse(*reason);
  }
  const size_t frame_bytes = kEntryHeaderBytes + propose.payload.payload_bytes();
  // The first always fits, or an entry above the limit could never be written; and so does a
  // configuration, of which there is one at a time, or load would keep a dead voter in the group.
  const bool first = uncommitted_bytes_ == 0 && !Planted(Defect::kLargeProposalRefused);
  const bool fits = first || propose.kind == EntryKind::kConfig;
  if (!fits && uncommitted_bytes_ + frame_bytes > options_.max_uncommitted_bytes) {
    return refuse(Reason::OVERLOADED);
  }
  AppendOwn(propose.kind, std::move(propose.payload), propose.records, propose.now, propose.id);
}

// An entry that was truncated here may still be committed by others that have it. What decides is
// the entry that is committed at its index.
void Core::AnswerProposals(Index through) {
  while (!pending_.empty() && pending_.begin()->first.first <= through) {
    const auto& [index, term] = pending_.begin()->first;
    const Pending& pending = pending_.begin()->second;
    ProposalResult result{pending.id, ProposalUnknown{}};
    if (const auto committed = log_.TermAt(index)) {
      if (*committed == term || Planted(Defect::kResultByIndex)) {
        result.result = ProposalCommitted{index, pending.base_offset, pending.append_time};
      } else {
        result.result = ProposalLost{};
      }
    }
    effects_.results.push_back(result);
    if (pending.frame_bytes == 0) --pending_aside_;
    if (!Planted(Defect::kUncommittedLeak)) uncommitted_bytes_ -= pending.frame_bytes;
    pending_.erase(pending_.begin());
  }
}

// Proposals of a lost leadership stay pending, for the commit at their index decides; but that may
// come late, so that they must not count against a later leadership (trap 22).
void Core::SetPendingAside() {
  if (pending_aside_ == 0) ticks_pending_ = 0;
  for (auto& [at, pending] : pending_) pending.frame_bytes = 0;
  if (!Planted(Defect::kLostLeadershipCounts)) uncommitted_bytes_ = 0;
  if (Planted(Defect::kResultForgotten)) pending_.clear();
  pending_aside_ = pending_.size();
}

// A replica that was removed, or is cut off, may never hear what was committed; one that leads
// again may not come as far for long.
void Core::TickPendingAside(uint64_t n) {
  if (pending_aside_ == 0 || Planted(Defect::kPendingForEver)) return;
  ticks_pending_ += n;
  if (ticks_pending_ >= uint64_t{8} * options_.election_ticks) GiveUpOnPending(/*all=*/false);
}

void Core::GiveUpOnPending(bool all) {
  std::erase_if(pending_, [&](const auto& at) {
    const Pending& pending = at.second;
    const bool aside = pending.frame_bytes == 0;
    if (all || aside) effects_.results.push_back({pending.id, ProposalUnknown{}});
    return all || aside;
  });
  pending_aside_ = 0;
  if (all) uncommitted_bytes_ = 0;
}

}  // namespace varve::raft
