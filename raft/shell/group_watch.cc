#include "raft/shell/group_watch.h"

#include <algorithm>

namespace varve::raft {
namespace {

// Appends under way that are timed; beyond them the window of the core is wrong anyway.
constexpr size_t kMaxTimed = 1024;

bool IsCampaigning(Role role) { return role == Role::kPreCandidate || role == Role::kCandidate; }

}  // namespace

void GroupWatch::OnInput(const Input& input) {
  if (metrics_ == nullptr) return;
  if (const auto* receive = std::get_if<Receive>(&input)) {
    const Message& message = receive->message;
    if (const auto* reply = std::get_if<AppendReply>(&message.body)) OnReply(message, *reply);
    return;
  }
  if (const auto* slow = std::get_if<DiskSlow>(&input)) disk_slow_ = slow->slow;
  if (std::holds_alternative<DiskFailed>(input) || std::holds_alternative<DiskSuspect>(input))
    disk_lost_ = true;
  if (std::holds_alternative<Transfer>(input)) handing_over_ = core_.term();
  if (std::holds_alternative<InstallStaged>(input)) metrics_->installs_taken.Add();
}

void GroupWatch::OnReply(const Message& message, const AppendReply& reply) {
  if (message.term != core_.term()) return;
  if (reply.rejected) return metrics_->rejected_appends.Add();
  for (auto& [follower, sent] : under_way_) {
    if (follower != message.from) continue;
    if (sent.empty() || sent.front().last > reply.report.match) return;
    const MonoTime now = clock_.Now();
    while (!sent.empty() && sent.front().last <= reply.report.match) {
      metrics_->append_round_trip.Observe(now - sent.front().at);
      sent.pop_front();
    }
    return;
  }
}

void GroupWatch::OnEffects(const Effects& effects) {
  if (metrics_ == nullptr) return;
  if (effects.role_change) OnRoleChange(*effects.role_change);
  NoteAppends(effects.messages);
  for (const ProposalResult& result : effects.results) CountResult(result);
  metrics_->installs_offered.Add(effects.prepare_installs.size());
  metrics_->refused_messages.Add(effects.refused.size());
}

void GroupWatch::OnDeafMessage() {
  if (metrics_ != nullptr) metrics_->deaf_messages.Add();
}

void GroupWatch::CountResult(const ProposalResult& result) {
  if (std::holds_alternative<ProposalCommitted>(result.result))
    metrics_->proposals_committed.Add();
  else if (std::holds_alternative<ProposalRefused>(result.result))
    metrics_->proposals_refused.Add();
  else if (std::holds_alternative<ProposalLost>(result.result))
    metrics_->proposals_lost.Add();
  else if (std::holds_alternative<ProposalUnknown>(result.result))
    metrics_->proposals_unknown.Add();
}

// An append that goes again, or goes back, takes the place of what was under way from there on.
void GroupWatch::NoteAppends(const std::vector<Message>& messages) {
  std::optional<MonoTime> now;
  for (const Message& message : messages) {
    const auto* append = std::get_if<AppendRequest>(&message.body);
    if (append == nullptr || append->entries.empty()) continue;
    auto at = std::find_if(under_way_.begin(), under_way_.end(),
                           [&](const auto& row) { return row.first == message.to; });
    if (at == under_way_.end()) at = under_way_.emplace(at, message.to, std::deque<Sent>());
    std::deque<Sent>& sent = at->second;
    while (!sent.empty() && sent.back().last > append->prev_index) sent.pop_back();
    if (sent.size() >= kMaxTimed) continue;
    if (!now) now = clock_.Now();
    sent.push_back({append->entries.back().header.last_index, *now});
  }
}

// Several changes of one step arrive as the last one: a sole voter goes straight to leading.
void GroupWatch::OnRoleChange(const RoleChange& change) {
  const bool led = role_ == Role::kLeader;
  const bool new_term = change.term != term_;
  if (led && (change.role != Role::kLeader || new_term))
    metrics_->step_downs[static_cast<size_t>(WhySteppedDown(change))].Add();
  const bool began = change.role == Role::kPreCandidate ||
                     (change.role == Role::kCandidate && role_ != Role::kPreCandidate) ||
                     (change.role == Role::kLeader && !IsCampaigning(role_) && new_term);
  if (began) metrics_->elections.Add();
  if (!change.leader.empty()) {
    if (!last_leader_.empty() && last_leader_ != change.leader) metrics_->leader_changes.Add();
    last_leader_ = change.leader;
  }
  if (new_term || change.role != Role::kLeader) under_way_.clear();
  role_ = change.role;
  term_ = change.term;
}

StepDown GroupWatch::WhySteppedDown(const RoleChange& change) const {
  if (disk_lost_ || disk_slow_) return StepDown::kDisk;
  if (handing_over_ == term_) return StepDown::kTransfer;
  if (change.term > term_) return StepDown::kHigherTerm;
  const Configuration& now = core_.log().configuration();
  const bool votes =
      std::find(now.voters.begin(), now.voters.end(), core_.self()) != now.voters.end();
  return votes ? StepDown::kNoQuorum : StepDown::kRemoved;
}

}  // namespace varve::raft
