// Read barriers (Ongaro's thesis, 6.4): the commit index when a read begins covers all that was
// acknowledged before, once a majority says afterwards that nobody else leads.
#include <algorithm>
#include <set>

#include "raft/core/core.h"
#include "raft/core/defect.h"
#include "raft/core/quorum.h"

namespace varve::raft {

void Core::On(const ReadBarrier& read) {
  if (!leadership_) {
    effects_.reads.push_back({read.id, std::nullopt});
  } else if (leadership_->confirmed || Planted(Defect::kBarrierBeforeConfirmed)) {
    BeginRead(read.id);
  } else {
    // Before an own entry is committed, how far the log is committed is not known (trap 10).
    leadership_->early_reads.push_back(read.id);
  }
}

void Core::BeginRead(ReadId id) {
  const uint64_t context = ++leadership_->last_read_context;
  leadership_->reads.push_back({id, context, commit_index()});
  leadership_->probes_due = true;
  FinishReads();
}

// One question for all reads that began since the last.
void Core::SendReadProbes() {
  for (const auto& [id, follower] : leadership_->followers) {
    if (IsVoter(id)) Send(id, ReadProbe{leadership_->last_read_context});
  }
}

// Vouches for nothing: who gets questions through may get no entries through (heartbeat.cc).
void Core::On(const Message& message, const ReadProbe& probe) {
  if (Planted(Defect::kReadProbeVouches)) HearLeader();
  Send(message.from, ReadProbeReply{probe.context});
}

void Core::On(const Message& message, const ReadProbeReply& reply) {
  Progress* progress = FollowerOf(message);
  if (progress == nullptr) return;
  if (reply.context > leadership_->last_read_context) {
    return Refuse(message, Refusal::kNotContiguous);
  }
  progress->read_context = std::max(progress->read_context, reply.context);
  FinishReads();
}

// Answers to a question vouch for the reads that began before it, and for no later ones (trap 24).
void Core::FinishReads() {
  auto& reads = leadership_->reads;
  while (!reads.empty()) {
    uint64_t needed = reads.front().context;
    if (Planted(Defect::kBarrierByOldReplies)) needed = std::min<uint64_t>(needed, 1);
    const bool passed = HasMajority(log_.configuration(), [&](ReplicaId replica) {
      if (replica == options_.self) return true;
      const auto found = leadership_->followers.find(replica);
      return found != leadership_->followers.end() && found->second.read_context >= needed;
    });
    if (!passed && !Planted(Defect::kBarrierWithoutMajority)) return;
    effects_.reads.push_back({reads.front().id, reads.front().index});
    reads.pop_front();
  }
}

}  // namespace varve::raft
