// Partition: where the log starts: deletions that were asked for, and retention.
#include <algorithm>
#include <utility>

#include "common/check.h"
#include "common/error.h"
#include "server/defect.h"
#include "server/partition/partition.h"

namespace varve::server {
namespace {

constexpr int64_t kUnbounded = -1;
constexpr int64_t kPausedReviewMs = 60'000;
// Least time to the next look: what was refused just now is not asked for at once again.
constexpr int64_t kLeastReviewMs = 10;

}  // namespace

// --- Trims
// ----------------------------------------------------------------------------------------

void Partition::TrimTo(std::optional<Offset> before, TrimDone done) {
  VARVE_CHECK(shard_.InExecutor());
  absl::Status status = log_->suspicion();
  if (status.ok()) status = CheckReadable(bounds().log_start);
  if (!status.ok()) return ReplyTrim(std::move(done), std::move(status));
  const LogBounds now = bounds();
  const Offset to = before.value_or(now.high_watermark);
  if (to < Offset{0} || to > now.high_watermark)
    return ReplyTrim(std::move(done),
                     MakeError(Reason::OFFSET_OUT_OF_RANGE, "records before offset ", to,
                               " cannot be deleted: the log reaches from ", now.log_start, " to ",
                               now.high_watermark));
  if (to <= now.log_start) return ReplyTrim(std::move(done), now.log_start);
  trims_.emplace(ProposeTrim(to), std::move(done));
}

// Fenced with the term in which it was decided.
raft::ProposalId Partition::ProposeTrim(Offset log_start) {
  return raft_->Propose(FrameBuffer::Copy(EncodeMeta(Trim{log_start})), EntryKind::kMeta, 0,
                        leader_epoch());
}

void Partition::ReplyTrim(TrimDone done, absl::StatusOr<Offset> outcome) {
  shard_.Post([done = std::move(done), outcome = std::move(outcome)]() mutable {
    done(std::move(outcome));
  });
}

void Partition::FinishTrim(TrimDone done, const raft::ProposalResult& result) {
  if (std::holds_alternative<raft::ProposalCommitted>(result.result))
    return ReplyTrim(std::move(done), log_->start().offset);
  if (const auto* refused = std::get_if<raft::ProposalRefused>(&result.result))
    return ReplyTrim(std::move(done),
                     MakeError(refused->reason, "partition group ", options_.group,
                               " refused the trim: ", InfoOf(refused->reason).advice));
  if (std::holds_alternative<raft::ProposalLost>(result.result))
    return ReplyTrim(std::move(done), MakeError(Reason::PROPOSAL_LOST, "another leader took over"));
  ReplyTrim(std::move(done), MakeError(Reason::OUTCOME_UNKNOWN,
                                       "the trim may or may not be in the log: the replica "
                                       "stopped leading"));
}

// A log that nobody writes to learns of a commit only this way. Nothing waits for the write: after
// a crash the same entry is committed again.
void Partition::ApplyTrims(Index committed) {
  if (Planted(Defect::kTrimmedBeforeCommitted)) committed = log_->end().last_index;
  if (log_->TrimDue(committed)) {
    LogWrite write;
    write.commit_index = committed;
    log_->Write(std::move(write), [](const absl::Status&) {});
  }
  const LogStart start = log_->start();
  if (start.index <= start_told_) return;
  start_told_ = start.index;
  raft_->Give(raft::LogStartMoved{start});
}

// --- Retention
// ------------------------------------------------------------------------------------

void Partition::SetPolicy(const LogPolicy& policy) {
  if (policy_ == policy) return;
  policy_ = policy;
  ReviewRetention();
}

// Age counts from the append time that the decision's own entry will get.
void Partition::ReviewRetention() {
  if (!serving()) return;
  ages_count_ = clock_watch_.Check().empty();
  const WallTime now = std::max(log_->end().append_time, clock_watch_.stamp_clock().Wall());
  if (!roll_ && RollIsDue(now)) return BeginSegment();  // reviewed again when it is committed
  if (!retention_trim_ && !roll_) {
    const Offset from = RetainedFrom(now);
    if (from > log_->start().offset) retention_trim_ = ProposeTrim(from);
  }
  ArmReview();
}

// An active segment without records never ends for its age.
bool Partition::RollIsDue(WallTime now) const {
  const std::vector<storage::SegmentSpan> segments = log_->Segments();
  if (segments.empty()) return false;
  const storage::SegmentSpan& active = segments.back();
  if (log_->end().next_offset <= std::max(active.base_offset, log_->start().offset)) return false;
  if (policy_.segment_ms != kUnbounded && now - active.begin_time >= policy_.segment_ms)
    return true;
  return ages_count_ && policy_.retention_ms != kUnbounded &&
         now - active.max_append_time >= policy_.retention_ms;
}

// The start of the first segment that has to stay.
Offset Partition::RetainedFrom(WallTime now) const {
  const std::vector<storage::SegmentSpan> segments = log_->Segments();
  uint64_t bytes = 0;
  for (const storage::SegmentSpan& segment : segments) bytes += segment.bytes;
  Offset from = log_->start().offset;
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const bool gone = segments[i + 1].base_offset <= log_->start().offset;
    const bool old = ages_count_ && policy_.retention_ms != kUnbounded &&
                     now - segments[i].max_append_time >= policy_.retention_ms;
    const bool surplus =
        policy_.retention_bytes != kUnbounded &&
        bytes - segments[i].bytes >= static_cast<uint64_t>(policy_.retention_bytes);
    if (!gone && !old && !surplus) break;
    if (segments[i + 1].first_index > commit_index()) break;
    bytes -= segments[i].bytes;
    from = std::max(from, segments[i + 1].base_offset);
  }
  return from;
}

// When age alone makes something due; what depends on size is reviewed when a segment begins.
std::optional<WallTime> Partition::NextReview() const {
  std::optional<WallTime> next;
  const auto at = [&](WallTime time) { next = next ? std::min(*next, time) : time; };
  if (policy_.retention_ms == kUnbounded && policy_.segment_ms == kUnbounded) return next;
  const std::vector<storage::SegmentSpan> segments = log_->Segments();
  if (segments.empty() || log_->end().next_offset <= log_->start().offset) return next;
  const Offset start = log_->start().offset;
  for (size_t i = 0; i < segments.size() && policy_.retention_ms != kUnbounded; ++i) {
    if (i + 1 < segments.size() && segments[i + 1].base_offset <= start) continue;
    at(segments[i].max_append_time + policy_.retention_ms);
    break;
  }
  if (policy_.segment_ms != kUnbounded && log_->end().next_offset > segments.back().base_offset)
    at(segments.back().begin_time + policy_.segment_ms);
  return next;
}

// The shard's timers are the queue of what is due next: a partition without a limit, or without
// records, has none.
void Partition::ArmReview() {
  if (review_timer_ != TimerId{}) shard_.Cancel(std::exchange(review_timer_, TimerId{}));
  if (!serving() || roll_ || retention_trim_) return;
  const std::optional<WallTime> next = NextReview();
  if (!next) return;
  // What is overdue during a pause is looked at again now and then: the pause ends by itself.
  const int64_t wait_ms =
      std::max<int64_t>(*next - clock_.Wall(), ages_count_ ? kLeastReviewMs : kPausedReviewMs);
  review_timer_ = shard_.RunAt(clock_.Now() + wait_ms * kMillisecond, [self = self_] {
    if (*self == nullptr) return;
    (*self)->review_timer_ = TimerId{};
    (*self)->ReviewRetention();
  });
}

}  // namespace varve::server
