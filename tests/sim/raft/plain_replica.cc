// The replica's log, disk and commit; what it tells.
#include "tests/sim/raft/plain_replica.h"

#include <algorithm>
#include <utility>

namespace varve::raftsim {
namespace {

constexpr std::string_view kDefectNames[kDefects] = {
    "none",
    "vote-not-persisted",
    "vote-without-log-check",
    "vote-twice",
    "own-vote-before-durable",
    "pre-vote-resets-timer",
    "acknowledged-before-durable",
    "old-term-committed-by-count",
    "truncation-on-any-append",
    "previous-not-checked",
    "completion-without-term",
    "commit-beyond-proven",
    "commit-goes-back",
    "leader-counts-undurable",
    "configuration-not-reverted",
    "learner-counted",
    "joint-by-one-side",
    "second-configuration",
    "replica-epoch-ignored",
    "barrier-by-old-replies",
    "barrier-before-confirmed",
    "install-replaces-newer",
    "failed-disk-acknowledges",
    "uncommitted-leak",
    "result-forgotten",
    "window-never-reopens",
};

bool Contains(const std::vector<ReplicaId>& list, ReplicaId replica) {
  return std::find(list.begin(), list.end(), replica) != list.end();
}

}  // namespace

std::string_view NameOf(Defect defect) { return kDefectNames[static_cast<size_t>(defect)]; }

std::optional<Defect> DefectNamed(std::string_view name) {
  for (size_t i = 0; i < kDefects; ++i) {
    if (kDefectNames[i] == name) return static_cast<Defect>(i);
  }
  return std::nullopt;
}

PlainReplica::PlainReplica(const PlainReplicaOptions& options, const LogImage& image)
    : options_(options),
      random_(SeededRandom(options.seed)),
      log_(image),
      durable_(image.last_index()),
      commit_(std::max(image.commit, image.start.index - 1)) {
  configurations_.push_back(log_.base);
  for (const SimEntry& entry : log_.entries) {
    if (entry.configuration) configurations_.push_back({entry.index, entry.configuration});
  }
  RefreshConfiguration();
  ResetTimer();
}

Packet PlainReplica::Make(MessageType type, ReplicaId to) const {
  Packet packet;
  packet.type = type;
  packet.from = options_.self;
  packet.to = to;
  packet.term = log_.hard_state.term;
  return packet;
}

DiskWrite& PlainReplica::NewWrite() {
  DiskWrite& write = out_.disk.emplace_back();
  write.sequence = ++last_sequence_;
  write.term = log_.hard_state.term;
  write.commit = commit_;
  outstanding_.push_back({write.sequence, write.term, Index{}, false, {}});
  return write;
}

void PlainReplica::SendWhenDurable(Packet packet) {
  if (outstanding_.empty()) return Send(std::move(packet));
  outstanding_.back().after.push_back(std::move(packet));
}

void PlainReplica::WriteHardState() { NewWrite().hard_state = log_.hard_state; }

void PlainReplica::TruncateFrom(Index from) {
  log_.Truncate(from);
  durable_ = std::min(durable_, from - 1);
  // A write under way proves only what is still the log.
  if (!Planted(Defect::kCompletionWithoutTerm)) {
    for (Outstanding& write : outstanding_) write.last = std::min(write.last, from - 1);
  }
  if (!Planted(Defect::kConfigurationNotReverted)) {
    while (configurations_.size() > 1 && configurations_.back().index >= from) {
      configurations_.pop_back();
    }
    RefreshConfiguration();
  }
}

void PlainReplica::RefreshConfiguration() { configuration_ = configurations_.back(); }

void PlainReplica::Commit(Index index) {
  if (index <= commit_ && !Planted(Defect::kCommitGoesBack)) return;
  commit_ = index;
  if (role_ == Role::kLeader) confirmed_ = true;
  while (!pending_.empty() && pending_.begin()->first <= index) {
    const auto [at, proposal] = *pending_.begin();
    out_.results.push_back({proposal, Outcome::kCommitted, at});
    pending_.erase(pending_.begin());
    if (!Planted(Defect::kUncommittedLeak) || at.value() % 2 == 0) --uncommitted_;
  }
}

bool PlainReplica::IsVoter(ReplicaId replica) const {
  return Contains(configuration_.configuration->voters, replica) ||
         Contains(configuration_.configuration->outgoing, replica);
}

std::vector<ReplicaId> PlainReplica::Others(bool learners) const {
  std::set<ReplicaId> all;
  const Configuration& c = *configuration_.configuration;
  all.insert(c.voters.begin(), c.voters.end());
  all.insert(c.outgoing.begin(), c.outgoing.end());
  if (learners) all.insert(c.learners.begin(), c.learners.end());
  all.erase(options_.self);
  return {all.begin(), all.end()};
}

void PlainReplica::DiskDone(uint64_t sequence, Term term) {
  const bool known =
      std::any_of(outstanding_.begin(), outstanding_.end(),
                  [&](const Outstanding& w) { return w.sequence == sequence && w.term == term; });
  if (!known || failed_) return;
  // The disk is a queue: what was asked before is durable too.
  bool more = true;
  while (more) {
    Outstanding write = std::move(outstanding_.front());
    outstanding_.pop_front();
    more = write.sequence != sequence;
    durable_ = std::max(durable_, write.last);
    for (Packet& packet : write.after) {
      if (packet.term == log_.hard_state.term) Send(std::move(packet));
    }
    if (write.own_vote && role_ == Role::kCandidate && write.term == log_.hard_state.term) {
      votes_.insert(options_.self);
      CountVotes();
    }
  }
  if (role_ == Role::kLeader) AdvanceCommit();
}

void PlainReplica::DiskFailed() {
  BecomeFollower(log_.hard_state.term, {});
  failed_ = !Planted(Defect::kFailedDiskAcknowledges);
  // Nothing that waits for the disk will ever be durable.
  for (Outstanding& write : outstanding_) {
    if (failed_) continue;
    for (Packet& packet : write.after) Send(std::move(packet));
  }
  outstanding_.clear();
  out_.disk.clear();
}

void PlainReplica::Trim(Index first) {
  if (failed_ || first > commit_ || first <= log_.start.index) return;
  log_.Trim(first);
  while (configurations_.size() > 1 && configurations_[1].index < first) {
    configurations_.erase(configurations_.begin());
  }
  NewWrite().trim_to = first;
}

Outbox PlainReplica::TakeEffects() { return std::exchange(out_, {}); }

ReplicaState PlainReplica::state() const {
  ReplicaState s;
  s.role = role_;
  s.term = log_.hard_state.term;
  s.vote = log_.hard_state.vote;
  s.leader = leader_;
  s.commit = commit_;
  s.last = log_.last_index();
  s.durable = durable_;
  s.confirmed = confirmed_;
  s.waited_ticks = elapsed_;
  s.configuration = configuration_.configuration;
  s.uncommitted_bytes = uncommitted_;
  for (const auto& [id, progress] : progress_) s.inflight += progress.inflight;
  s.pending = pending_.size();
  return s;
}

}  // namespace varve::raftsim
