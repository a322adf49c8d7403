// The leader's side of the plain replica's log: proposals, progress, commit, reads, transfer.
#include <algorithm>
#include <utility>

#include "common/sim/trace_hash.h"
#include "tests/sim/raft/plain_quorum.h"
#include "tests/sim/raft/plain_replica.h"

namespace varve::raftsim {
namespace {

// Payloads of the replica's own entries; proposals stay below.
constexpr uint64_t kOwnPayload = uint64_t{1} << 63;
constexpr uint64_t kMaxUncommitted = 200;
constexpr uint32_t kQuietReplies = 3;

}  // namespace

void PlainReplica::AppendOwn(SimEntry entry) {
  entry.index = log_.last_index() + 1;
  entry.term = log_.hard_state.term;
  entry.base_offset = log_.next_offset();
  entry.next_offset = entry.base_offset + (entry.kind == EntryKind::kData ? 1 : 0);
  if (entry.payload == 0) {
    entry.payload = kOwnPayload | MixHash(entry.term.value(), entry.index.value());
  }
  if (entry.configuration) {
    configurations_.push_back({entry.index, entry.configuration});
    RefreshConfiguration();
    RefreshProgress();
  }
  DiskWrite& write = NewWrite();
  write.entries.push_back(entry);
  outstanding_.back().last = entry.index;
  log_.Append(std::move(entry));
}

// Followers keep their progress; new ones begin at the end.
void PlainReplica::RefreshProgress() {
  std::map<ReplicaId, Progress> kept;
  for (const ReplicaId other : Others(true)) {
    const auto known = progress_.find(other);
    if (known != progress_.end()) {
      kept[other] = known->second;
    } else {
      kept[other].next = log_.last_index() + 1;
    }
  }
  progress_ = std::move(kept);
}

bool PlainReplica::MayPropose(uint64_t proposal) {
  const bool full = uncommitted_ >= kMaxUncommitted;
  if (failed_ || role_ != Role::kLeader || !transfer_.empty() || full) {
    out_.results.push_back({proposal, Outcome::kRefused, Index{}});
    return false;
  }
  return true;
}

void PlainReplica::Propose(uint64_t proposal) {
  if (!MayPropose(proposal)) return;
  SimEntry entry;
  entry.payload = proposal;
  ++uncommitted_;
  pending_[log_.last_index() + 1] = proposal;
  AppendOwn(std::move(entry));
  Broadcast();
}

void PlainReplica::ProposeConfiguration(uint64_t proposal, const Configuration& configuration) {
  if (!MayPropose(proposal)) return;
  const bool early = !confirmed_ || configuration_.index > commit_;
  if (early && !Planted(Defect::kSecondConfiguration)) {
    out_.results.push_back({proposal, Outcome::kRefused, Index{}});
    return;
  }
  SimEntry entry;
  entry.kind = EntryKind::kConfig;
  entry.payload = proposal;
  entry.configuration = std::make_shared<const Configuration>(configuration);
  ++uncommitted_;
  pending_[log_.last_index() + 1] = proposal;
  AppendOwn(std::move(entry));
  Broadcast();
}

void PlainReplica::Broadcast() {
  for (auto& [to, progress] : progress_) {
    if (progress.inflight < options_.window) SendAppend(to, progress);
  }
}

void PlainReplica::SendAppend(ReplicaId to, Progress& progress) {
  if (progress.installing || progress.next > log_.last_index()) return;
  if (progress.probing && progress.inflight > 0) return;
  ++progress.inflight;
  if (progress.next < log_.start.index) {
    auto image = std::make_shared<LogImage>(log_);
    image->Truncate(commit_ + 1);
    image->commit = commit_;
    Packet packet = Make(MessageType::kInstall, to);
    packet.image = std::move(image);
    progress.installing = true;
    return Send(std::move(packet));
  }
  Packet packet = Make(MessageType::kAppend, to);
  packet.previous = progress.next - 1;
  const SimEntry* previous = log_.At(packet.previous);
  packet.previous_term = previous != nullptr ? previous->term : log_.start.previous_term;
  packet.commit = commit_;
  const Index end = std::min(log_.last_index(), packet.previous + options_.max_append);
  packet.entries.reserve(end - packet.previous);
  for (Index i = progress.next; i <= end; ++i) packet.entries.push_back(*log_.At(i));
  if (!progress.probing) progress.next = end + 1;
  Send(std::move(packet));
}

// What was sent may be lost: begins again behind what is known to be there.
void PlainReplica::Reopen(ReplicaId to, Progress& progress) {
  progress.quiet = 0;
  progress.inflight = 0;
  progress.installing = false;
  progress.probing = true;
  progress.next = progress.match + 1;
  SendAppend(to, progress);
}

void PlainReplica::OnAppendReply(const Packet& packet) {
  const auto found = progress_.find(packet.from);
  if (role_ != Role::kLeader || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.heard = true;
  progress.quiet = 0;
  // A repeated reply must not make room for another append.
  const bool news = packet.reject || packet.acknowledged > progress.match;
  if (!news && progress.probing) return;
  if (progress.inflight > 0) --progress.inflight;
  if (packet.type == MessageType::kInstallReply) progress.installing = false;
  if (packet.reject) {
    // Late rejections would begin everything again, each of them.
    if (packet.previous <= progress.match) return;
    if (progress.probing && packet.previous != progress.next - 1) return;
    progress.probing = true;
    progress.next = std::min(packet.previous, packet.hint + 1);
    progress.inflight = 0;
  } else if (packet.acknowledged > progress.match) {
    progress.match = packet.acknowledged;
    progress.next = std::max(progress.next, progress.match + 1);
    if (std::exchange(progress.probing, false)) progress.inflight = 0;
    AdvanceCommit();
    if (role_ != Role::kLeader) return;
    ContinueTransfer();
  }
  // Committing may have replaced the configuration and with it the progress.
  const auto still = progress_.find(packet.from);
  if (still != progress_.end() && still->second.inflight < options_.window) {
    SendAppend(packet.from, still->second);
  }
}

void PlainReplica::OnInstallReply(const Packet& packet) { OnAppendReply(packet); }

bool PlainReplica::HeldByMajority(Index index) {
  const Index own = Planted(Defect::kLeaderCountsUndurable) ? log_.last_index() : durable_;
  const auto held = [&](ReplicaId replica) {
    if (replica == options_.self) return own >= index;
    const auto found = progress_.find(replica);
    return found != progress_.end() && found->second.match >= index;
  };
  const Configuration& c = *configuration_.configuration;
  if (Planted(Defect::kLearnerCounted)) {
    const auto all = std::count_if(c.voters.begin(), c.voters.end(), held) +
                     std::count_if(c.learners.begin(), c.learners.end(), held);
    return 2 * static_cast<size_t>(all) > c.voters.size();
  }
  return HasMajority(c, held, Planted(Defect::kJointByOneSide));
}

void PlainReplica::AdvanceCommit() {
  const Index before = commit_;
  for (Index n = log_.last_index(); n > commit_; n = n - 1) {
    const SimEntry& entry = *log_.At(n);
    const bool own = entry.term == log_.hard_state.term;
    if (!own && !Planted(Defect::kOldTermCommittedByCount)) break;
    if (!HeldByMajority(n)) continue;
    Commit(n);
    break;
  }
  if (commit_ == before) return;
  if (configuration_.index <= commit_) {
    if (!configuration_.configuration->outgoing.empty()) {
      if (configuration_.configuration->auto_leave) LeaveJoint();
    } else if (!IsVoter(options_.self)) {
      return BecomeFollower(log_.hard_state.term, {});
    }
  }
  FinishReads();
}

void PlainReplica::LeaveJoint() {
  Configuration next = *configuration_.configuration;
  next.outgoing.clear();
  for (const ReplicaId learner : next.learners_next) next.learners.push_back(learner);
  std::sort(next.learners.begin(), next.learners.end());
  next.learners_next.clear();
  next.auto_leave = false;
  SimEntry entry;
  entry.kind = EntryKind::kConfig;
  entry.configuration = std::make_shared<const Configuration>(std::move(next));
  AppendOwn(std::move(entry));
  Broadcast();
}

void PlainReplica::SendHeartbeats() {
  for (const auto& [to, progress] : progress_) {
    Packet packet = Make(MessageType::kHeartbeat, to);
    // Never more than what the follower is known to hold.
    packet.commit =
        Planted(Defect::kCommitBeyondProven) ? commit_ : std::min(commit_, progress.match);
    Send(std::move(packet));
  }
  if (!reads_.empty()) SendReadProbes();
}

void PlainReplica::OnHeartbeatReply(const Packet& packet) {
  const auto found = progress_.find(packet.from);
  if (role_ != Role::kLeader || found == progress_.end()) return;
  Progress& progress = found->second;
  progress.heard = true;
  if (progress.match >= log_.last_index()) {
    progress.inflight = 0;
    return;
  }
  if (++progress.quiet < kQuietReplies || Planted(Defect::kWindowNeverReopens)) return;
  Reopen(packet.from, progress);
}

void PlainReplica::Transfer(ReplicaId target) {
  if (role_ != Role::kLeader || target == options_.self || !progress_.contains(target) ||
      !IsVoter(target)) {
    return;
  }
  transfer_ = target;
  transfer_elapsed_ = 0;
  ContinueTransfer();
}

void PlainReplica::ContinueTransfer() {
  const auto found = progress_.find(transfer_);
  if (found == progress_.end() || found->second.match != log_.last_index()) return;
  Send(Make(MessageType::kTimeoutNow, transfer_));
}

void PlainReplica::ReadBarrier(uint64_t read) {
  const bool ready = confirmed_ || Planted(Defect::kBarrierBeforeConfirmed);
  if (failed_ || role_ != Role::kLeader || !ready) {
    out_.reads.push_back({read, std::nullopt});
    return;
  }
  reads_.push_back({read, ++last_context_, commit_});
  SendReadProbes();
  FinishReads();
}

void PlainReplica::SendReadProbes() {
  for (const ReplicaId to : Others(false)) {
    Packet packet = Make(MessageType::kReadProbe, to);
    packet.context = last_context_;
    Send(std::move(packet));
  }
}

void PlainReplica::OnReadProbeReply(const Packet& packet) {
  const auto found = progress_.find(packet.from);
  if (role_ != Role::kLeader || found == progress_.end()) return;
  found->second.heard = true;
  found->second.context = std::max(found->second.context, packet.context);
  FinishReads();
}

void PlainReplica::FinishReads() {
  const bool old = Planted(Defect::kBarrierByOldReplies);
  std::erase_if(reads_, [&](const Read& read) {
    const bool done = HasMajority(
        *configuration_.configuration,
        [&](ReplicaId r) {
          if (r == options_.self) return true;
          const auto found = progress_.find(r);
          return found != progress_.end() &&
                 found->second.context >=
                     (old ? std::min<uint64_t>(read.context, 1) : read.context);
        },
        false);
    if (done) out_.reads.push_back({read.id, read.index});
    return done;
  });
}

}  // namespace varve::raftsim
