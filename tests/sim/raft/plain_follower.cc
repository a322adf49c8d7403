// The follower's side of the plain replica: where every message arrives.
#include <algorithm>
#include <utility>

#include "tests/sim/raft/plain_replica.h"

namespace varve::raftsim {
namespace {

bool FromLeader(MessageType type) {
  return type == MessageType::kAppend || type == MessageType::kHeartbeat ||
         type == MessageType::kInstall || type == MessageType::kReadProbe;
}

bool OfVoting(MessageType type) {
  return type == MessageType::kPreVote || type == MessageType::kPreVoteReply ||
         type == MessageType::kVote || type == MessageType::kVoteReply;
}

}  // namespace

void PlainReplica::Receive(const Packet& packet) {
  if (failed_) return;
  if (packet.to != options_.self && !Planted(Defect::kReplicaEpochIgnored)) return;
  if (packet.type == MessageType::kPreVote || packet.type == MessageType::kVote) {
    return OnVoteRequest(packet);
  }
  if (OfVoting(packet.type)) return OnVoteReply(packet);
  const Term term = log_.hard_state.term;
  if (packet.term < term) return FromLeader(packet.type) ? ReplyToStale(packet) : void();
  if (FromLeader(packet.type)) {
    if (packet.term > term || role_ != Role::kFollower || leader_ != packet.from) {
      BecomeFollower(packet.term, packet.from);
    }
    elapsed_ = 0;
    since_leader_ = 0;
  } else if (packet.term > term) {
    return BecomeFollower(packet.term, {});
  }
  switch (packet.type) {
    case MessageType::kAppend:
      return OnAppend(packet);
    case MessageType::kAppendReply:
      return OnAppendReply(packet);
    case MessageType::kHeartbeat:
      return OnHeartbeat(packet);
    case MessageType::kHeartbeatReply:
      return OnHeartbeatReply(packet);
    case MessageType::kInstall:
      return OnInstall(packet);
    case MessageType::kInstallReply:
      return OnInstallReply(packet);
    case MessageType::kReadProbe:
      return OnReadProbe(packet);
    case MessageType::kReadProbeReply:
      return OnReadProbeReply(packet);
    case MessageType::kTimeoutNow:
      if (role_ != Role::kLeader && IsVoter(options_.self)) Campaign(false, true);
      return;
    default:
      return;
  }
}

// A deposed leader learns the term, and a replica that went ahead alone is found again.
void PlainReplica::ReplyToStale(const Packet& packet) {
  Packet reply = Make(MessageType::kHeartbeatReply, packet.from);
  reply.reject = true;
  Send(std::move(reply));
}

void PlainReplica::OnAppend(const Packet& packet) {
  Packet reply = Make(MessageType::kAppendReply, packet.from);
  reply.previous = packet.previous;
  const Index last_new = packet.previous + packet.entries.size();
  if (packet.previous + 1 < log_.start.index) {
    reply.acknowledged = commit_;
    return SendWhenDurable(std::move(reply));
  }
  const SimEntry* previous = log_.At(packet.previous);
  const bool matches = packet.previous + 1 == log_.start.index
                           ? packet.previous_term == log_.start.previous_term
                           : previous != nullptr && (previous->term == packet.previous_term ||
                                                     Planted(Defect::kPreviousNotChecked));
  if (!matches) {
    reply.reject = true;
    reply.hint = std::max(commit_, std::min(log_.last_index(), packet.previous - 1));
    return Send(std::move(reply));
  }
  size_t known = 0;
  while (known < packet.entries.size()) {
    const SimEntry* entry = log_.At(packet.entries[known].index);
    if (entry == nullptr || entry->term != packet.entries[known].term) break;
    ++known;
  }
  const bool conflict = known < packet.entries.size();
  const bool cut_always = Planted(Defect::kTruncationOnAnyAppend);
  const Index from = conflict ? packet.entries[known].index : last_new + 1;
  if (conflict || (cut_always && last_new < log_.last_index())) {
    const bool cut = from <= log_.last_index();
    if (cut) TruncateFrom(from);
    DiskWrite& write = NewWrite();
    if (cut) write.truncate_from = from;
    for (size_t i = known; i < packet.entries.size(); ++i) {
      write.entries.push_back(packet.entries[i]);
      log_.Append(packet.entries[i]);
      if (packet.entries[i].configuration) {
        configurations_.push_back({packet.entries[i].index, packet.entries[i].configuration});
      }
    }
    outstanding_.back().last = last_new;
    RefreshConfiguration();
  }
  // Only as far as this message proved the log.
  const Index proven = Planted(Defect::kCommitBeyondProven) ? log_.last_index() : last_new;
  Commit(std::min(packet.commit, proven));
  reply.acknowledged = last_new;
  if (Planted(Defect::kAcknowledgedBeforeDurable)) return Send(std::move(reply));
  SendWhenDurable(std::move(reply));
}

void PlainReplica::OnHeartbeat(const Packet& packet) {
  Commit(std::min(packet.commit, log_.last_index()));
  Send(Make(MessageType::kHeartbeatReply, packet.from));
}

void PlainReplica::OnReadProbe(const Packet& packet) {
  Packet reply = Make(MessageType::kReadProbeReply, packet.from);
  reply.context = packet.context;
  Send(std::move(reply));
}

void PlainReplica::OnInstall(const Packet& packet) {
  const LogImage& image = *packet.image;
  const Index last = image.last_index();
  Packet reply = Make(MessageType::kInstallReply, packet.from);
  reply.acknowledged = last;
  const bool newer = Planted(Defect::kInstallReplacesNewer);
  if (log_.Holds(last, image.last_term()) && !newer) {
    Commit(last);
    return SendWhenDurable(std::move(reply));
  }
  const bool ahead =
      std::pair(image.last_term(), last) >= std::pair(log_.last_term(), log_.last_index());
  if (!ahead && !newer) {
    reply.reject = true;
    reply.hint = commit_;
    return Send(std::move(reply));
  }
  const HardState hard_state = log_.hard_state;
  log_ = image;
  log_.hard_state = hard_state;
  configurations_ = {log_.base};
  for (const SimEntry& entry : log_.entries) {
    if (entry.configuration) configurations_.push_back({entry.index, entry.configuration});
  }
  RefreshConfiguration();
  for (Outstanding& write : outstanding_) write.last = Index{};
  durable_ = Index{};
  NewWrite().install = packet.image;
  outstanding_.back().last = last;
  Commit(last);
  SendWhenDurable(std::move(reply));
}

}  // namespace varve::raftsim
