// Partition: what it says of itself and of the replicas that it leads, and what is stuck.
#include <algorithm>
#include <utility>

#include "common/error.h"
#include "server/partition/partition.h"

namespace varve::server {
namespace {

// What passes by itself within this time, such as an election, is not stuck.
constexpr Nanos kLeaderlessPatience = kSecond;
// A replica that was behind for no longer keeps up.
constexpr Nanos kBehindPatience = 2 * kSecond;
constexpr Nanos kTick = 50 * kMillisecond;

PartitionRole RoleOf(raft::Role role) {
  switch (role) {
    case raft::Role::kFollower:
      return PartitionRole::kFollower;
    case raft::Role::kPreCandidate:
    case raft::Role::kCandidate:
      return PartitionRole::kCandidate;
    case raft::Role::kLeader:
      return PartitionRole::kLeader;
  }
  return PartitionRole::kFollower;
}

ReplicaState StateOf(raft::ProgressState state) {
  switch (state) {
    case raft::ProgressState::kProbe:
      return ReplicaState::kProbe;
    case raft::ProgressState::kReplicate:
      return ReplicaState::kReplicate;
    case raft::ProgressState::kInstall:
      return ReplicaState::kInstall;
  }
  return ReplicaState::kNone;
}

ConfigurationChange ChangeOf(const raft::Core& core) {
  const Configuration& now = core.log().configuration();
  if (!now.outgoing.empty()) return ConfigurationChange::kJoint;
  if (core.configurations().uncommitted) return ConfigurationChange::kUncommitted;
  return now.learners.empty() ? ConfigurationChange::kNone : ConfigurationChange::kLearning;
}

bool Holds(const std::vector<ReplicaId>& replicas, ReplicaId replica) {
  return std::find(replicas.begin(), replicas.end(), replica) != replicas.end();
}

std::string WhyNotInSync(const ReplicaStatus& replica) {
  if (replica.membership == Membership::kMissing) return "is no member";
  if (!replica.live) return "its broker is not heard";
  if (replica.state == ReplicaState::kInstall) return "gets the log as files";
  return StrCat(replica.lag_entries, " entries behind");
}

}  // namespace

// --- Since when
// -----------------------------------------------------------------------------------

void Partition::NoteLeaderKnown() {
  if (leader_is_known()) {
    leaderless_since_.reset();
  } else if (!leaderless_since_) {
    leaderless_since_ = clock_.Now();
  }
}

// Runs while a follower lacks something; else the next commit, or news of a node, begins it again.
void Partition::ArmWatch() {
  if (stopped_ || watch_timer_ != TimerId{} || raft_->core().followers().empty()) return;
  watch_timer_ = shard_.RunAt(clock_.Now() + ReplicaWatch::kInterval, [self = self_] {
    if (*self == nullptr) return;
    Partition& me = **self;
    me.watch_timer_ = TimerId{};
    if (me.watch_.Look(me.raft_->core(), me.clock_.Now())) me.ArmWatch();
  });
}

std::optional<MonoTime> Partition::NotCurrentSince(ReplicaId follower) const {
  std::optional<MonoTime> since = watch_.BehindSince(follower);
  if (view_.IsLive(follower.node)) return since;
  const MonoTime lost = view_.LostSince(follower.node).value_or(role_since_);
  return since ? std::min(*since, lost) : lost;
}

// What the conditions say, without their words: cheap enough for each scrape.
bool Partition::UnderReplicated() const {
  if (raft_->core().role() != raft::Role::kLeader) return false;
  for (const ReplicaId voter : raft_->core().log().configuration().voters) {
    if (voter == options_.self) continue;
    const auto since = NotCurrentSince(voter);
    if (!view_.IsLive(voter.node) || (since && clock_.Now() - *since > kBehindPatience))
      return true;
  }
  return false;
}

// --- Description
// ----------------------------------------------------------------------------------

// Whole segments, and of the one where `match` lies what is above it if its entries were of one
// size.
uint64_t Partition::BytesAbove(Index match) const {
  const std::vector<storage::SegmentSpan> segments = log_->Segments();
  const Index last = raft_->core().end().last_index;
  uint64_t bytes = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Index first = segments[i].first_index;
    const Index end = i + 1 < segments.size() ? segments[i + 1].first_index : last + 1;
    if (end <= match + 1 || end <= first) continue;
    const double missing = static_cast<double>(end - std::max(first, match + 1));
    const double share = missing / static_cast<double>(end - first);
    bytes += static_cast<uint64_t>(share * static_cast<double>(segments[i].bytes));
  }
  return bytes;
}

ReplicaStatus Partition::DescribeMember(ReplicaId member, Membership as) const {
  ReplicaStatus out;
  out.replica = member;
  out.membership = as;
  const raft::Core& core = raft_->core();
  if (member == options_.self) {
    out.state = ReplicaState::kLeader;
    out.live = true;
    out.in_sync = as == Membership::kVoter;
    out.match = core.durable_index();
    out.commit = core.commit_index();
    return out;
  }
  out.live = view_.IsLive(member.node);
  const auto at = core.followers().find(member);
  if (at == core.followers().end()) return out;
  const raft::Progress& progress = at->second;
  out.state = StateOf(progress.state);
  out.match = progress.match;
  out.commit = progress.known_commit;
  out.full = progress.full;
  const Index last = core.end().last_index;
  if (progress.match < last) {
    out.lag_entries = last - progress.match;
    out.lag_bytes = BytesAbove(progress.match);
    out.stalled = static_cast<Nanos>(progress.ticks_no_news) * kTick;
  }
  if (const auto since = NotCurrentSince(member)) out.behind = clock_.Now() - *since;
  out.in_sync = as == Membership::kVoter && out.live && out.behind <= kBehindPatience;
  return out;
}

std::vector<ReplicaStatus> Partition::DescribeMembers(const std::vector<ReplicaId>& placed) const {
  const Configuration& now = raft_->core().log().configuration();
  std::vector<ReplicaStatus> out;
  for (const ReplicaId member : now.voters)
    out.push_back(DescribeMember(member, Membership::kVoter));
  for (const ReplicaId member : now.learners)
    out.push_back(DescribeMember(member, Membership::kLearner));
  for (const ReplicaId member : now.outgoing)
    if (!Holds(now.voters, member) && !Holds(now.learners, member))
      out.push_back(DescribeMember(member, Membership::kLeaving));
  for (const ReplicaId wanted : placed)
    if (std::none_of(out.begin(), out.end(),
                     [&](const ReplicaStatus& r) { return r.replica == wanted; }))
      out.push_back(DescribeMember(wanted, Membership::kMissing));
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.replica < b.replica; });
  return out;
}

PartitionStatus Partition::Describe(const std::vector<ReplicaId>& placed) {
  const raft::Core& core = raft_->core();
  PartitionStatus out;
  out.group = options_.group;
  out.self = options_.self;
  out.role = log_->suspicion().ok() ? RoleOf(core.role()) : PartitionRole::kSuspect;
  out.term = core.term();
  out.leader = core.leader().node;
  out.serving = serving();
  const LogBounds now = bounds();
  out.log_start = now.log_start;
  out.high_watermark = now.high_watermark;
  out.log_end = core.end().next_offset;
  out.size_bytes = size_bytes();
  out.commit = core.commit_index();
  out.durable = log_->durable_index();
  out.last = core.end().last_index;
  out.damaged_ranges = static_cast<uint32_t>(log_->damaged_ranges().size());
  if (out.role != PartitionRole::kLeader) return out;
  if (watch_.Look(core, clock_.Now())) ArmWatch();
  out.replicas = DescribeMembers(placed);
  out.change = ChangeOf(core);
  const size_t wanted = placed.empty() ? core.log().configuration().voters.size() : placed.size();
  const auto in_sync = std::count_if(out.replicas.begin(), out.replicas.end(),
                                     [](const ReplicaStatus& r) { return r.in_sync; });
  out.under_replicated = static_cast<size_t>(in_sync) < wanted;
  return out;
}

// A learner holds no elections: it would follow a dead leader for ever.
std::optional<MonoTime> Partition::LeaderlessSince() const {
  const NodeId leader = raft_->core().leader().node;
  if (leaderless_since_ || leader == NodeId{} || leader == options_.self.node ||
      peers_ == nullptr || view_.IsLive(leader))
    return leaderless_since_;
  return view_.LostSince(leader).value_or(role_since_);
}

std::string Partition::WhyLeaderless() const {
  const raft::Core& core = raft_->core();
  if (core.role() == raft::Role::kLeader)
    return StrCat("node ", options_.self.node, " was elected in term ", leader_epoch(),
                  " and has committed nothing in it: no majority acknowledges");
  if (!core.leader().empty())
    return StrCat("the leader that node ", options_.self.node, " knows, node ", core.leader().node,
                  ", is not heard, and nobody has taken over");
  return StrCat("node ", options_.self.node, " hears no leader in term ", leader_epoch(),
                ": no majority of its voters is reachable from here");
}

// --- Conditions
// -----------------------------------------------------------------------------------

void Partition::AddConditions(std::vector<Condition>* out) {
  const MonoTime now = clock_.Now();
  const auto add = [&](ConditionCode code, MonoTime since, std::string cause, NodeId node) {
    out->push_back({code, now - since, std::move(cause), node, options_.group});
  };
  const absl::Status suspicion = log_->suspicion();
  if (!suspicion.ok()) {
    if (!suspect_since_) suspect_since_ = now;
    return add(ConditionCode::kSuspect, *suspect_since_, std::string(MessageOf(suspicion)),
               options_.self.node);
  }
  if (const auto damaged = log_->damaged_ranges(); !damaged.empty()) {
    if (!damaged_since_) damaged_since_ = now;
    add(ConditionCode::kDamaged, *damaged_since_,
        StrCat("entries ", damaged.front().first, " to ", damaged.front().last, " on node ",
               options_.self.node, " do not verify: ", damaged.front().why),
        options_.self.node);
  }
  if (stopped_) return;
  if (const auto since = LeaderlessSince(); since && now - *since > kLeaderlessPatience)
    add(ConditionCode::kLeaderless, *since, WhyLeaderless(), NodeId{});
  if (raft_->core().role() == raft::Role::kLeader) AddReplicationConditions(now, out);
}

void Partition::AddReplicationConditions(MonoTime now, std::vector<Condition>* out) {
  if (watch_.Look(raft_->core(), now)) ArmWatch();
  std::string missing;
  Nanos oldest = 0;
  size_t voters = 0, in_sync = 0;
  for (const ReplicaStatus& replica : DescribeMembers({})) {
    const bool votes = replica.membership == Membership::kVoter;
    voters += votes ? 1 : 0;
    in_sync += replica.in_sync ? 1 : 0;
    if (replica.in_sync || replica.state == ReplicaState::kLeader) continue;
    const NodeId node = replica.replica.node;
    if (votes) {
      missing +=
          StrCat(missing.empty() ? "" : ", ", "node ", node, " (", WhyNotInSync(replica), ")");
      oldest = std::max(oldest, replica.behind);
    }
    // A learner that keeps up has nothing to catch up with.
    if (!replica.live || replica.behind <= kBehindPatience) continue;
    out->push_back(
        {ConditionCode::kCatchingUp, replica.behind,
         StrCat("node ", node, ": ", WhyNotInSync(replica), ", about ", replica.lag_bytes,
                " bytes; no progress for ", replica.stalled / kMillisecond, " ms"),
         node, options_.group});
  }
  if (missing.empty()) return;
  out->push_back({ConditionCode::kUnderReplicated, oldest,
                  StrCat(in_sync, " of ", voters, " replicas in sync; not: ", missing), NodeId{},
                  options_.group});
}

}  // namespace varve::server
